"""`cxrdiag export`: a file that ONNX Runtime alone answers with."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import cxrdiag
from cxrdiag.data.image import read_image
from cxrdiag.model.probability import probability


def test_another_program_gives_the_answers_of_predict(
    phantoms: Path, trained_run: Path, tmp_path: Path, cxrdiag_command
) -> None:
    file = tmp_path / "new" / "exported.onnx"
    document = cxrdiag_command("export", "--run", trained_run, "--out", file, "--json").document
    assert (document["file"], document["bytes"]) == (str(file), file.stat().st_size)
    shapes = {tensor["name"]: tensor["shape"] for tensor in document["tensors"]}
    assert shapes["logits"] == ["batch"]
    size = shapes["images"][1]
    films = sorted(phantoms.rglob("test/*.jpeg"))[:8]
    session = onnxruntime.InferenceSession(file.read_bytes())
    images = np.stack([read_image(film, size) for film in films])
    logits, *_ = session.run(None, {"images": images, "with_maps": np.array(False)})
    model = cxrdiag.load(trained_run, backend="torch", force=True)
    expected = [model.diagnose(film).probability for film in films]
    found = probability(logits, model.classifier.info.temperature)
    np.testing.assert_allclose(found, np.array(expected, dtype=float), atol=1e-5)


def test_where_it_is_written(
    trained_run: Path, tmp_path: Path, cxrdiag_command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = cxrdiag_command("export", "--run", "shipped")
    assert "Not a medical device" in outcome.out
    assert (tmp_path / "model.onnx").is_file()
    assert cxrdiag_command("export", "--run", "shipped", "--out", tmp_path).code == 1
    outcome = cxrdiag_command("export", "--run", "shipped", "--format", "tflite")
    assert (outcome.code, "one of onnx" in outcome.err) == (2, True)


@pytest.mark.parametrize("name", ["model.safetensors", "model.json", "film.jpeg"])
def test_it_takes_the_place_of_nothing(
    trained_run: Path, tmp_path: Path, cxrdiag_command, name: str
) -> None:
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    outcome = cxrdiag_command("export", "--run", run, "--out", run / name)
    assert (outcome.code, "would write over" in outcome.err) == (2, True)
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
    for _ in range(2):  # its own file it may
        assert cxrdiag_command("export", "--run", run).code == 0
