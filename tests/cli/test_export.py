"""`cxrdiag export`: a file that ONNX Runtime alone answers with."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import cxrdiag
from cxrdiag.data.image import read_image
from cxrdiag.data.store import Store
from cxrdiag.model.probability import probability


def test_another_program_gives_the_answers_of_predict(
    phantoms: Path, trained_run: Path, tmp_path: Path, cxrdiag_command
) -> None:
    file = tmp_path / "new" / "exported.onnx"
    document = cxrdiag_command("export", "--run", trained_run, "--out", file, "--json").document
    assert (document["file"], document["bytes"]) == (str(file), file.stat().st_size)
    shapes = {tensor["name"]: tensor["shape"] for tensor in document["tensors"]}
    assert shapes["logits"] == ["batch"]
    types = {tensor["name"]: tensor["type"] for tensor in document["tensors"]}
    assert (types["images"], types["with_maps"], types["maps"]) == ("uint8", "bool", "float")
    size = shapes["images"][1]
    films = sorted(phantoms.rglob("test/*.jpeg"))[:8]
    session = onnxruntime.InferenceSession(file.read_bytes())
    images = np.stack([read_image(film, size) for film in films])
    logits, *_ = session.run(None, {"images": images, "with_maps": np.array(False)})
    model = cxrdiag.load(trained_run, backend="torch", force=True)
    expected = [model.diagnose(film).probability for film in films]
    found = probability(logits, model.classifier.info.temperature)
    np.testing.assert_allclose(found, np.array(expected, dtype=float), atol=1e-5)


def test_the_readme_says_how(
    trained_run: Path, films: list[Path], tmp_path: Path, cxrdiag_command, monkeypatch, capsys
) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (code,) = (c for c in re.findall(r"```python\n(.*?)```", readme, re.S) if "onnxruntime" in c)
    cxrdiag_command("export", "--run", trained_run, "--out", tmp_path / "model.onnx")
    monkeypatch.chdir(tmp_path)
    model = cxrdiag.load(trained_run)
    answered = 0
    for film in films[:8]:
        shutil.copy(film, "xray.jpeg")
        expected = model.diagnose("xray.jpeg")
        capsys.readouterr()
        exec(code, {})
        said = capsys.readouterr().out
        if expected.abstained:
            assert "no answer" in said
            continue
        answered += 1
        probability_, called = said.split()[:2]
        assert float(probability_) == pytest.approx(expected.probability, abs=0.01)
        assert called == str(expected.label == "Pneumonia")
        assert ("unlike" in said) is (expected.warning is not None)
    assert answered


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


@pytest.mark.parametrize("int8", [[], ["--int8"]])
def test_another_programs_graph_is_not_written_over(
    small_store: Store, trained_run: Path, tmp_path: Path, cxrdiag_command, int8: list[str]
) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y]), producer_name="pytorch")
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    before = path.read_bytes()
    data = ["--data", small_store.path] if int8 else []
    command = ["export", "--run", trained_run, *int8, *data, "--out"]
    outcome = cxrdiag_command(*command, path)
    assert (outcome.code, "cxrdiag did not write" in outcome.err) == (2, True)
    assert path.read_bytes() == before
    path.write_text("notes on cxrdiag")
    assert cxrdiag_command(*command, path).code == 2
    (tmp_path / "own.onnx").touch()  # an empty one, as of mktemp
    for _ in range(2):
        assert cxrdiag_command(*command, tmp_path / "own.onnx").code == 0


@pytest.mark.parametrize("name", ["model.safetensors", "model.json", "film.jpeg"])
def test_it_takes_the_place_of_nothing(
    trained_run: Path, tmp_path: Path, cxrdiag_command, name: str
) -> None:
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    outcome = cxrdiag_command("export", "--run", run, "--out", run / name)
    problem = "would write over" if name in before else "is called as a film is"
    assert (outcome.code, problem in outcome.err) == (2, True)
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
    for _ in range(2):  # its own file it may
        assert cxrdiag_command("export", "--run", run).code == 0
