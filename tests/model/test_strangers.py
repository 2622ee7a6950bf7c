"""A model from a stranger runs nothing, names no file, takes little memory: used, or refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from cxrdiag.errors import ModelError
from cxrdiag.model.checkpoint import load_model
from cxrdiag.training.resume import load_resume, save_resume
from tests.strangers.made import CPU, edit_info, write_model, write_weights
from tests.strangers.mutations import assemble, parse
from tests.strangers.pickles import Payload, payloads

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each of the pickles makes where it is read as one."""
    return tmp_path_factory.mktemp("canary") / "a canary"


@pytest.fixture(scope="module")
def pickles(canary: Path) -> list[Payload]:
    return payloads(canary)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound model of one's own to damage."""
    write_model(tmp_path / "model")
    return tmp_path / "model"


def _refused(folder: Path) -> ModelError:
    with pytest.raises(ModelError) as e:
        load_model(folder, CPU)
    assert str(e.value).isprintable()
    assert len(str(e.value)) < 1000
    return e.value


def _resave(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    write_weights(folder, save(change(load_file(folder / WEIGHTS))))


def test_nothing_in_twelve_pickles_is_run(
    folder: Path, pickles: list[Payload], canary: Path
) -> None:
    assert len({payload.data for payload in pickles}) == 12
    for payload in pickles:
        for write in (write_weights, lambda f, data: (f / WEIGHTS).write_bytes(data)):
            write(folder, payload.data)
            assert _refused(folder).code == "unreadable_weights", payload.name
        (folder / "resume.safetensors").write_bytes(payload.data)
        with pytest.raises(ModelError) as e:
            load_resume(folder)
        assert e.value.code == "damaged_resume", payload.name
    assert not canary.exists()


def test_the_pickles_would_run_a_command(pickles: list[Payload], canary: Path) -> None:
    for payload in pickles:
        payload.read(payload.data)
        assert canary.exists(), payload.name
        canary.unlink()


def test_no_field_names_a_file(folder: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "other")
    _resave(tmp_path / "other", lambda ts: {**ts, "fc.bias": ts["fc.bias"] + 1})
    own = load_model(folder, CPU).network.fc.bias.item()
    text = [name for name, value in _info(folder).items() if isinstance(value, str)]
    assert {"arch", "recipe", "notice", "data_fingerprint", "weights_sha256"} < set(text)
    for name in ("format", "recipe", "notice", "data_fingerprint", "cxrdiag_version"):
        for path in ("../other/model.safetensors", str(tmp_path / "other")):
            edit_info(folder, **{name: path})
            assert load_model(folder, CPU).network.fc.bias.item() == own
    for name in ("arch", "weights_sha256"):
        old = _info(folder)[name]
        edit_info(folder, **{name: "../other/model.safetensors"})
        assert _refused(folder).code in ("model_version", "weights_mismatch")
        edit_info(folder, **{name: old})
    for name in ("weights", "path", "../other/model.safetensors"):
        document = _info(folder)
        edit_info(folder, **{name: "../other/model.safetensors"})
        assert _refused(folder).code == "model_version"
        (folder / "model.json").write_text(json.dumps(document))


def _info(folder: Path) -> dict[str, Any]:
    document = json.loads((folder / "model.json").read_text())
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"resolution": 1024}, None),
        ({"image_size": 2048}, None),
        ({"resolution": 1025}, "damaged_model"),
        ({"image_size": 2049}, "damaged_model"),
        ({"width": 64, "resolution": 1024}, "weights_mismatch"),
        ({"width": 65, "resolution": 1024}, "damaged_model"),
        ({"width": 1024, "resolution": 256}, "weights_mismatch"),
        ({"width": 1024, "resolution": 257}, "damaged_model"),
        ({"arch": "resnet152", "width": 1024}, "weights_mismatch"),
        ({"arch": "resnet152", "width": 10**9}, "damaged_model"),
    ],
)
def test_a_network_that_would_take_gigabytes_is_refused(
    folder: Path, changes: dict[str, Any], code: str | None
) -> None:
    edit_info(folder, **changes)
    if code is None:
        load_model(folder, CPU)
    else:
        assert _refused(folder).code == code


@pytest.mark.parametrize(
    "dtype",
    [torch.int32, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn, torch.uint16],
)
@pytest.mark.parametrize("name", ["layer1.0.bn1.running_mean", "fc.weight", "detector.mean_G"])
def test_weights_that_are_no_real_numbers_are_refused(
    folder: Path, name: str, dtype: torch.dtype
) -> None:
    _resave(folder, lambda tensors: {**tensors, name: tensors[name].to(dtype)})
    assert _refused(folder).code == "weights_mismatch"


def test_double_precision_is_read_where_single_can_hold_it(folder: Path) -> None:
    single = load_model(folder, CPU).network.state_dict()
    _resave(
        folder,
        lambda tensors: {
            name: tensor.double() if tensor.is_floating_point() else tensor
            for name, tensor in tensors.items()
        },
    )
    double = load_model(folder, CPU).network.state_dict()
    assert list(double) == list(single)
    for name, tensor in single.items():
        assert double[name].dtype == tensor.dtype
        assert torch.equal(double[name], tensor)
    large = torch.tensor([1e300], dtype=torch.float64)
    _resave(folder, lambda tensors: {**tensors, "fc.bias": large})
    assert _refused(folder).code == "non_finite_weights"


def test_what_is_loaded_stays_what_it_was_where_the_file_is_written_over(folder: Path) -> None:
    network = load_model(folder, CPU).network
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    (folder / WEIGHTS).write_bytes(bytes(1000))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_variance_below_zero_is_refused(folder: Path) -> None:
    def change(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        tensors["layer4.1.bn2.running_var"][3] = -1e-3
        return tensors

    _resave(folder, change)
    error = _refused(folder)
    assert error.code == "non_finite_weights"
    assert "layer4.1.bn2.running_var" in error.message


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: {**tensors, "more": torch.zeros(1)},
        lambda tensors: {n: t for n, t in tensors.items() if n != "bn1.num_batches_tracked"},
        lambda tensors: {**tensors, "fc.weight": tensors["fc.weight"].T.contiguous()},
        lambda tensors: {**tensors, "detector.bias": torch.zeros(1, 1)},
        lambda tensors: {**tensors, "detector.directions_KG": torch.zeros(2, 0)},
    ],
)
def test_tensors_more_fewer_or_of_other_shapes_are_refused(
    folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]
) -> None:
    _resave(folder, change)
    assert _refused(folder).code == "weights_mismatch"


@pytest.mark.parametrize("shape", [[0, 2**63], [2**62, 0]])
def test_a_tensor_of_nothing_with_a_side_without_end_is_refused(
    folder: Path, shape: list[int]
) -> None:
    header, body = parse((folder / WEIGHTS).read_bytes())
    directions = header["detector.directions_KG"]
    begin, end = directions["data_offsets"]
    for tensor in header.values():  # closes the gap
        tensor["data_offsets"] = [at - (end - begin) * (at >= end) for at in tensor["data_offsets"]]
    directions.update(shape=shape, data_offsets=[begin, begin])
    write_weights(folder, assemble(json.dumps(header), body[:begin] + body[end:]))
    assert _refused(folder).code == "weights_mismatch"


def test_a_long_header_is_not_read(folder: Path) -> None:
    # In the library it takes 200 MB and some seconds.
    names = (
        f'"{number}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}' for number in range(150_000)
    )
    data = assemble(f"{{{','.join(names)}}}", b"")
    assert len(data) > 2**23
    write_weights(folder, data)
    error = _refused(folder)
    assert error.code == "unreadable_weights"
    assert f"a header of {len(data) - 8} bytes" in error.message
    (folder / "resume.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match="a header of"):
        load_resume(folder)


@pytest.mark.parametrize("n", [2**20, 300 * 2**20])
def test_a_long_description_is_not_read(folder: Path, n: int) -> None:
    with (folder / "model.json").open("ab") as file:
        file.truncate(n)  # of zeros, which take no room on the disk
    error = _refused(folder)
    assert error.code == "damaged_model"
    assert ("more than" in error.message) == (n > 2**20)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in this system's folders")
def test_a_pipe_in_the_place_of_weights_is_not_waited_for(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    os.mkfifo(folder / WEIGHTS)
    assert _refused(folder).code == "unreadable_weights"
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).symlink_to("/dev/zero")
    assert _refused(folder).code == "unreadable_weights"


@pytest.mark.parametrize("text", ["\x1b[31m", "two\nlines", "\u202e", "\ud800", "x" * 900_000])
def test_what_a_stranger_wrote_makes_one_short_line(folder: Path, text: str) -> None:
    document = _info(folder)
    point = document["operating_points"]["balanced"]
    for changes in (
        {"arch": text},
        {"version": text},
        {text: 1},
        {"width": text},
        {"operating_points": {**document["operating_points"], text: 0.5}},
        {"operating_points": {**document["operating_points"], "more": {**point, text: 1}}},
        {"operating_points": {**document["operating_points"], "balanced": {"threshold": text}}},
    ):
        edit_info(folder, **changes)
        _refused(folder)
        (folder / "model.json").write_text(json.dumps(document))
    header, body = parse((folder / WEIGHTS).read_bytes())
    header["fc.bias"]["dtype"] = text
    data = json.dumps(header, ensure_ascii=False).encode("utf-8", "surrogatepass")
    write_weights(folder, len(data).to_bytes(8, "little") + data + body)
    assert _refused(folder).code == "unreadable_weights"


@pytest.mark.parametrize("name", ["recipe", "notice", "cxrdiag_version", "data_fingerprint"])
def test_text_that_is_no_line_is_refused(folder: Path, name: str) -> None:
    for text in ("\x1b[31m", "two\nlines", "\ud800"):
        edit_info(folder, **{name: text})
        assert _refused(folder).code == "damaged_model"
    edit_info(folder, **{name: "größer"})
    assert getattr(load_model(folder, CPU).info, name) == "größer"


def test_an_operating_point_is_called_by_a_line_of_text(folder: Path) -> None:
    points = _info(folder)["operating_points"]
    edit_info(folder, operating_points={**points, "\x1b[31m": points["balanced"]})
    assert _refused(folder).code == "damaged_model"


def test_a_resume_state_of_a_type_torch_lacks_is_damaged(tmp_path: Path) -> None:
    save_resume(tmp_path, {"a": torch.zeros(0, 3)}, {})
    header, body = parse((tmp_path / "resume.safetensors").read_bytes())
    assert load_resume(tmp_path)[0]["a"].shape == (0, 3)
    for changes in ({"dtype": "F6_E2M3"}, {"shape": [0, 2**63]}):
        changed = {**header, "a": {**header["a"], **changes}}
        (tmp_path / "resume.safetensors").write_bytes(assemble(json.dumps(changed), body))
        with pytest.raises(ModelError) as e:
            load_resume(tmp_path)
        assert e.value.code == "damaged_resume"
