"""A file's diagnosis is its own: alone, in a batch of any size, and in a store all the same."""

from __future__ import annotations

import copy
import dataclasses
import errno
import hashlib
import os
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import cxrdiag
from cxrdiag.data.image import read_image, read_picture
from cxrdiag.data.store import Store
from cxrdiag.errors import DataError, ModelError, UsageError
from cxrdiag.evaluation.evaluate import evaluate
from cxrdiag.inference.backend import Backend
from cxrdiag.inference.diagnosis import Diagnosis, Failure
from cxrdiag.inference.heatmap import SIDE, write_heatmap
from cxrdiag.inference.paths import expand
from cxrdiag.inference.predictor import Predictor
from cxrdiag.model.classifier import Classifier
from cxrdiag.model.onnx import OnnxClassifier
from cxrdiag.model.overlay import overlay


@pytest.fixture(scope="module")
def predictor(trained_run: Path) -> Predictor:
    return cxrdiag.load(trained_run, device="cpu")


def _probabilities(results: list[Diagnosis | Failure]) -> list[float]:
    assert all(isinstance(result, Diagnosis) for result in results)
    return [r.probability for r in results if isinstance(r, Diagnosis) and r.probability]


def test_a_file_alone_and_in_a_batch(
    predictor: Predictor, films: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxrdiag.inference.predictor._BATCH", 16)  # two full ones, and a rest
    together = list(predictor.diagnose_all(films))
    alone = [predictor.diagnose(film) for film in films]
    assert [result.file for result in together] == [str(film) for film in films]
    assert _probabilities(together) == pytest.approx([d.probability for d in alone], abs=1e-6)
    assert len(set(np.round(_probabilities(together), 5))) > 30


def _with_threshold(classifier: Backend, threshold: float) -> Backend:
    assert isinstance(classifier, OnnxClassifier)
    info = dataclasses.replace(classifier.info, threshold=threshold)
    return dataclasses.replace(classifier, info=info)


def test_the_label_is_pneumonia_from_the_threshold(trained_run: Path, films: list[Path]) -> None:
    predictor = cxrdiag.load(trained_run, device="cpu")
    middle = float(np.median(_probabilities(list(predictor.diagnose_all(films)))))
    predictor.classifier = _with_threshold(predictor.classifier, middle)
    diagnoses = [predictor.diagnose(film) for film in films]
    assert {d.label for d in diagnoses} == {"Normal", "Pneumonia"}
    for d in diagnoses:
        assert d.probability is not None
        assert (d.label == "Pneumonia") == (d.probability >= middle)
        assert d.threshold == middle


def test_the_order_of_files_is_kept(predictor: Predictor, films: list[Path]) -> None:
    forwards = _probabilities(list(predictor.diagnose_all(films)))
    backwards = _probabilities(list(predictor.diagnose_all(films[::-1])))
    assert backwards[::-1] == pytest.approx(forwards, abs=1e-6)
    assert list(predictor.diagnose_all([])) == []


def test_predict_and_eval_agree(
    predictor: Predictor, own_run: Path, small_store: Store, films: list[Path]
) -> None:
    evaluate(own_run, small_store, "test", torch.device("cpu"))
    table = pd.read_csv(own_run / "predictions.csv").set_index("name")["probability"]
    diagnoses = {Path(d.file).name: d for d in map(predictor.diagnose, films)}
    assert set(diagnoses) == set(table.index)
    for name, expected in table.items():
        assert diagnoses[str(name)].probability == pytest.approx(expected, abs=1e-6)


def test_the_threshold_itself_is_pneumonia(
    predictor: Predictor, films: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    p = predictor.diagnose(films[0]).probability
    assert p is not None
    for threshold, label in ((p, "Pneumonia"), (np.nextafter(p, 1), "Normal")):
        classifier = _with_threshold(predictor.classifier, threshold)
        monkeypatch.setattr(predictor, "classifier", classifier)
        assert predictor.diagnose(films[0]).label == label


def test_a_bad_file_keeps_its_place(
    predictor: Predictor, films: list[Path], tmp_path: Path
) -> None:
    bad, empty = tmp_path / "bad.png", tmp_path / "empty"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    empty.mkdir()
    results = list(predictor.diagnose_all([films[0], bad, empty, films[1]]))
    assert [type(result) for result in results] == [Diagnosis, Failure, Failure, Diagnosis]
    assert [result.file for result in results] == [
        *(str(path) for path in (films[0], bad, empty, films[1]))
    ]
    with pytest.raises(DataError) as error:
        predictor.diagnose(bad)
    assert isinstance(results[1], Failure)
    assert results[1].code == error.value.code
    assert results[1].message.startswith(error.value.message)


def test_only_bad_files(predictor: Predictor, tmp_path: Path) -> None:
    results = list(predictor.diagnose_all([tmp_path / "a", tmp_path / "b"]))
    assert [(type(result), Path(result.file).name) for result in results] == [
        (Failure, "a"),
        (Failure, "b"),
    ]


def test_expand(tmp_path: Path) -> None:
    for name in ("b/2.PNG", "b/1.jpg", "b/c/0.jpeg", "b/.hidden.png", "b/x.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    arguments = [tmp_path / "z.tif", tmp_path / "b", tmp_path / "empty", tmp_path / "b" / "x.txt"]
    found = [path.relative_to(tmp_path).as_posix() for path in expand(arguments)]
    assert found == ["z.tif", "b/1.jpg", "b/2.PNG", "b/c/0.jpeg", "empty", "b/x.txt"]


def test_load_says_what_is_missing(tmp_path: Path, trained_run: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cxrdiag.runs.SHIPPED_FOLDER", tmp_path / "of a build without a model")
    with pytest.raises(ModelError):
        cxrdiag.load()
    with pytest.raises(ModelError):
        cxrdiag.load("gone")
    with pytest.raises(UsageError):
        cxrdiag.load(trained_run, device="tpu")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.parametrize("anonymous", [False, True])
def test_a_file_is_read_once_whatever_is_wanted_of_it(
    predictor: Predictor, films: list[Path], tmp_path: Path, anonymous: bool
) -> None:
    pipe = tmp_path / "film.jpeg"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(films[0].read_bytes(),))
    writer.start()
    predictor = copy.copy(predictor)
    predictor._force = True
    (diagnosis,) = predictor.diagnose_all(str(pipe), str(tmp_path / "maps"), anonymous=anonymous)
    writer.join()
    assert isinstance(diagnosis, Diagnosis)
    name = hashlib.sha256(films[0].read_bytes()).hexdigest()[:16] if anonymous else str(pipe)
    assert diagnosis.file == name
    assert diagnosis.heatmap == str(tmp_path / "maps" / f"{name if anonymous else 'film'}.png")
    drawn = predictor.diagnose(str(films[0]), str(tmp_path / "alone.png"))
    assert diagnosis.probability == pytest.approx(drawn.probability)
    assert Path(diagnosis.heatmap).read_bytes() == (tmp_path / "alone.png").read_bytes()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_nothing_but_an_earlier_map_is_replaced_and_no_pipe_waited_for(
    predictor: Predictor, films: list[Path], tmp_path: Path
) -> None:
    predictor = copy.copy(predictor)
    predictor._force = True
    os.mkfifo(tmp_path / f"{films[0].stem}.png")
    (diagnosis,) = predictor.diagnose_all([films[0]], tmp_path)
    assert isinstance(diagnosis, Diagnosis)
    assert diagnosis.heatmap == str(tmp_path / f"{films[0].stem}-2.png")
    own = tmp_path / "own.jpeg"
    own.write_bytes(films[0].read_bytes())
    with pytest.raises(UsageError) as e:
        predictor.diagnose(own, own)
    assert e.value.code == "not_a_map"
    assert own.read_bytes() == films[0].read_bytes()
    for _ in range(2):  # a map is one whatever it is called, and may be replaced
        predictor.diagnose(own, tmp_path / "map")
    with pytest.raises(DataError, match="map"):
        predictor.diagnose(tmp_path / "map")


def test_what_cannot_be_named_or_followed_fails_by_itself(
    predictor: Predictor, films: list[Path], tmp_path: Path
) -> None:
    loop = tmp_path / "loop.png"
    loop.symlink_to(loop)
    bad = [str(loop), "a" * 300]
    *failures, diagnosis = predictor.diagnose_all([*bad, films[0]], tmp_path / "maps")
    assert [failure.file for failure in failures] == bad
    assert {failure.code for failure in failures if isinstance(failure, Failure)} == {
        "unreadable_file"
    }
    assert isinstance(diagnosis, Diagnosis)


def test_a_folder_is_the_films_in_it(
    predictor: Predictor, films: list[Path], tmp_path: Path
) -> None:
    for film in films[:3]:
        (tmp_path / film.name).write_bytes(film.read_bytes())
    found = list(predictor.diagnose_all(tmp_path))
    assert [Path(d.file).name for d in found] == sorted(film.name for film in films[:3])


@pytest.mark.parametrize("shape", [(300, 200), (200, 300), (640, 480), (64, 64), (900, 30)])
def test_a_map_keeps_the_aspect_ratio(shape: tuple[int, int], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    film = tmp_path / "film.png"
    Image.fromarray(rng.integers(256, size=shape[::-1], dtype=np.uint8)).save(film)
    write_heatmap(
        tmp_path / "map.png",
        read_picture(film.read_bytes(), SIDE),
        np.zeros((2, 2), np.float32),
        "caption",
    )
    with Image.open(tmp_path / "map.png") as picture:
        assert picture.format == "PNG"
        width, height = picture.size
        pixels = np.asarray(picture)
    assert width == SIDE
    fitted = [round(side * SIDE / max(shape)) for side in shape]
    assert fitted[1] < height < fitted[1] + 100
    # A map of nothing: what is shown is the film, in the middle, in gray.
    left = (SIDE - fitted[0]) // 2
    shown = pixels[: fitted[1], left : left + fitted[0]]
    assert (shown == shown[..., :1]).all()
    gray = Image.fromarray(read_image(film, SIDE)).resize(fitted, Image.Resampling.BILINEAR)
    assert (shown[..., 0] == np.asarray(gray)).all()
    caption = pixels[fitted[1] :]
    assert (caption > 150).any()


def test_red_speaks_for_pneumonia_and_blue_against() -> None:
    gray = np.full((60, 80), 100, np.uint8)
    nothing = overlay(gray, np.zeros((3, 4), np.float32))
    assert nothing.dtype == np.uint8
    assert (nothing == 100).all()
    map_hw = np.zeros((3, 4), np.float32)
    map_hw[0, 0], map_hw[2, 3] = 8, -8
    red, _, blue = np.moveaxis(overlay(gray, map_hw).astype(int), -1, 0)
    assert red[5, 5] > 100 > blue[5, 5]
    assert blue[-5, -5] > 100 > red[-5, -5]
    assert (red[25:35, 35:45] == blue[25:35, 35:45]).mean() > 0.5
    stronger = overlay(gray, map_hw * 1.25).astype(int)
    assert stronger[5, 5, 0] > red[5, 5]


def test_a_map_is_drawn_where_it_is_asked_for(
    predictor: Predictor, films: list[Path], tmp_path: Path
) -> None:
    diagnosis = predictor.diagnose(films[0], heatmap=tmp_path / "new" / "map.png")
    assert diagnosis.heatmap == str(tmp_path / "new" / "map.png")
    assert diagnosis.probability == predictor.diagnose(films[0]).probability
    with Image.open(tmp_path / "new" / "map.png") as picture:
        pixels = np.asarray(picture).astype(int)
    assert (np.ptp(pixels, axis=-1) > 0).any()


def test_numbers_that_make_none_are_refused(own_run: Path, films: list[Path]) -> None:
    predictor = Predictor(own_run, backend="torch")
    assert isinstance(predictor.classifier, Classifier)
    with torch.no_grad():
        predictor.classifier.network.get_parameter("layer4.1.bn2.weight").fill_(3e38)
    with pytest.raises(ModelError, match="no number") as e:
        predictor.diagnose(films[0])
    assert e.value.code == "non_finite_weights"


def test_a_map_that_cannot_be_written_costs_no_answer(
    predictor: Predictor, films: list[Path], tmp_path: Path
) -> None:
    predictor = copy.copy(predictor)
    predictor._force = True
    long = tmp_path / ("x" * 253)  # with .png no name of a file any more
    long.write_bytes(films[0].read_bytes())
    first, second = predictor.diagnose_all([long, films[1]], tmp_path / "maps")
    alone = predictor.diagnose(long)
    assert isinstance(first, Diagnosis)
    assert isinstance(second, Diagnosis)
    assert first.label == alone.label
    assert first.probability == pytest.approx(alone.probability)
    assert (first.heatmap, first.heatmap_error) == (None, os.strerror(errno.ENAMETOOLONG))
    assert second.heatmap == str(tmp_path / "maps" / f"{films[1].stem}.png")
    assert second.heatmap_error is None
    with pytest.raises(OSError, match=os.strerror(errno.ENAMETOOLONG)):
        predictor.diagnose(long, tmp_path / f"{long.name}.png")
