"""The state of a training comes back bit for bit, or not at all and with one clear error."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from cxrdiag.errors import ModelError
from cxrdiag.training.resume import VERSION, digest, load_resume, save_resume


def test_a_resume_state_comes_back_bit_for_bit(tmp_path: Path) -> None:
    tensors = {
        "network/a": torch.randn(3, 4, 2, 2).to(memory_format=torch.channels_last),
        "optimizer/0/step": torch.tensor(17.0),
        "best/n": torch.tensor(2**62 + 1),
        "half": torch.randn(5).bfloat16(),
        "odd": torch.tensor([float("inf"), -0.0, 5e-324], dtype=torch.float64),
    }
    state = {"history": [{"epoch": 1, "lr": 0.1 + 0.2}], "name": "Ω", "none": None}
    save_resume(tmp_path, tensors, state)
    loaded, loaded_state = load_resume(tmp_path)
    assert loaded_state == state
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)
    assert [path.name for path in tmp_path.iterdir()] == ["resume.safetensors"]


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        (None, "resume_version"),
        ({"version": "99", "state": "{}"}, "resume_version"),
        ({"version": str(VERSION)}, "damaged_resume"),
        ({"version": str(VERSION), "state": "{"}, "damaged_resume"),
        ({"version": str(VERSION), "state": "[]"}, "damaged_resume"),
    ],
)
def test_a_resume_state_that_is_not_ours_is_refused(
    tmp_path: Path, metadata: dict[str, str] | None, code: str
) -> None:
    tensors = {"a": torch.zeros(2)}
    if metadata is not None and "state" in metadata:
        metadata["sha256"] = digest(tensors, metadata["state"])
    save_file(tensors, tmp_path / "resume.safetensors", metadata)
    with pytest.raises(ModelError) as e:
        load_resume(tmp_path)
    assert (e.value.code, e.value.exit_code) == (code, 4)


def test_a_truncated_or_missing_resume_state_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as e:
        load_resume(tmp_path)
    assert e.value.code == "nothing_to_resume"
    save_resume(tmp_path, {"a": torch.zeros(200)}, {})
    data = (tmp_path / "resume.safetensors").read_bytes()
    for size in (0, 5, 60, len(data) - 1):
        (tmp_path / "resume.safetensors").write_bytes(data[:size])
        with pytest.raises(ModelError) as e:
            load_resume(tmp_path)
        assert e.value.code == "damaged_resume"


def test_numbers_are_aligned_however_they_are_mixed(tmp_path: Path) -> None:
    tensors = {"a": torch.ones(3).half(), "b": torch.ones(1).byte(), "c": torch.tensor(1)}
    save_resume(tmp_path, {**tensors, "none": torch.zeros(0, 4), "d": torch.ones(2)}, {})
    data = (tmp_path / "resume.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert length % 8 == 0
    for name, size in {"a": 2, "b": 1, "c": 8, "d": 4}.items():
        assert header[name]["data_offsets"][0] % size == 0
    loaded = load_file(tmp_path / "resume.safetensors")
    assert loaded["none"].shape == (0, 4)
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())


def test_what_reads_back_differently_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_resume(tmp_path, {"a": torch.ones(3)}, {"epoch": 1})
    plain = Path.open

    def open_(self: Path, mode: str = "r") -> IO[Any]:  # a disk that loses what it is given
        if mode == "rb" and ".part" in self.name:
            with plain(self, "r+b") as file:
                file.seek(-1, os.SEEK_END)
                file.write(b"?")
        return plain(self, mode)

    monkeypatch.setattr(Path, "open", open_)
    with pytest.raises(OSError, match="reads back differently"):
        save_resume(tmp_path, {"a": torch.zeros(3)}, {"epoch": 2})
    monkeypatch.undo()
    assert load_resume(tmp_path)[1] == {"epoch": 1}


def test_a_failed_save_leaves_the_old_state(tmp_path: Path) -> None:
    save_resume(tmp_path, {"a": torch.ones(3)}, {"epoch": 1})
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))  # as on a full disk
    try:
        with pytest.raises(OSError, match="too large"):
            save_resume(tmp_path, {"a": torch.zeros(1000), "b": torch.zeros(1000)}, {"epoch": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    tensors, state = load_resume(tmp_path)
    assert state == {"epoch": 1}
    assert torch.equal(tensors["a"], torch.ones(3))
    assert [path.name for path in tmp_path.iterdir()] == ["resume.safetensors"]


def test_a_changed_bit_is_noticed(tmp_path: Path) -> None:
    save_resume(tmp_path, {"a": torch.randn(40)}, {"history": []})
    path = tmp_path / "resume.safetensors"
    data = bytearray(path.read_bytes())
    data[-50] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="not what was saved") as e:
        load_resume(tmp_path)
    assert e.value.code == "damaged_resume"
