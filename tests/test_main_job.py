"""The four commands one after the other, as a user runs them, in an empty folder."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

import cxrdiag
from cxrdiag.data.phantom.dataset import IMAGES
from cxrdiag.training.recipe import load_recipe

CXRDIAG = [sys.executable, "-m", "cxrdiag"]
RUN = Path("runs/smoke-1")
WITH_INTERVAL = ("accuracy", "sensitivity", "specificity", "auroc", "auprc", "brier")


def _cxrdiag(folder: Path, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*CXRDIAG, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def _interrupt_after_an_epoch(folder: Path, *arguments: str) -> tuple[int, str]:
    # A job in the background of a shell ignores the signal, and would hand that down.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [*CXRDIAG, *arguments], cwd=folder, stderr=subprocess.PIPE, text=True
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stderr is not None
    with process:
        said = process.stderr.readline() + process.stderr.readline()  # of the start, of an epoch
        process.send_signal(signal.SIGINT)
        said += process.stderr.read()
    return process.returncode, said


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _columns(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    return list(reader.fieldnames or []), rows


@pytest.fixture(scope="module")
def folder(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An otherwise empty folder with the data set, and then with all that the commands made."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "coronahack").symlink_to(phantoms)
    return folder


@pytest.mark.slow
def test_the_main_job(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _cxrdiag(folder, "prepare", "--kaggle-dir", "coronahack")
    assert "130 images" in first.stdout
    store = folder / "data" / "prepared"
    made = {path.name: path.stat().st_mtime_ns for path in store.iterdir()}
    assert set(made) == {"store.json", "records.csv", "images.npy"}
    again = _cxrdiag(folder, "prepare", "--kaggle-dir", "coronahack")
    assert "data/prepared is already there and unchanged: 130 images" in again.stdout
    assert {path.name: path.stat().st_mtime_ns for path in store.iterdir()} == made

    _train_interrupted_and_resumed(folder)
    refused = _cxrdiag(folder, "train", "--recipe", "smoke", "--run", RUN, code=2)
    assert refused.stderr.startswith(f"error: {RUN}: this folder holds something already")
    assert (folder / "runs").is_dir()
    assert [path.name for path in (folder / "runs").iterdir()] == ["smoke-1"]

    shown = _cxrdiag(folder, "eval").stdout
    assert "smoke-1 on test: 16 normal, 24 pneumonia" in shown
    _check_run(folder / RUN)

    films = sorted((folder / "coronahack" / IMAGES / "test").iterdir())[:3]
    document = json.loads(_cxrdiag(folder, "predict", *films, "--json").stdout)
    monkeypatch.chdir(folder)
    model = cxrdiag.load()
    for film, said in zip(films, document["diagnoses"], strict=True):
        diagnosis = json.loads(json.dumps(dataclasses.asdict(model.diagnose(film))))
        assert said["probability"] == pytest.approx(diagnosis.pop("probability"), abs=1e-6)
        assert {key: said[key] for key in diagnosis} == diagnosis
    _, rows = _columns(folder / RUN / "predictions.csv")
    listed = {row["name"]: float(row["probability"]) for row in rows}
    for said in document["diagnoses"]:
        assert said["probability"] == pytest.approx(listed[Path(said["file"]).name], abs=1e-6)


def _train_interrupted_and_resumed(folder: Path) -> None:
    code, said = _interrupt_after_an_epoch(folder, "train", "--recipe", "smoke")
    assert code == 130
    start, first, *_, last = said.strip().splitlines()
    assert start == f"81 films by recipe smoke, 2 epochs -> {RUN}"
    assert first.startswith("epoch   1/2  loss ")
    assert last == f"saved; go on with: cxrdiag train --resume --run {RUN}"
    assert "Traceback" not in said
    assert not (folder / RUN / "model.json").exists()
    assert len(_columns(folder / RUN / "history.csv")[1]) == 1
    done = _cxrdiag(folder, *shlex.split(last.partition("cxrdiag ")[2]))
    assert f"next: cxrdiag eval --run {RUN}" in done.stdout
    assert "epoch   2/2" in done.stderr
    assert "epoch   1/2" not in done.stderr


def _check_run(run: Path) -> None:
    """Every file that the design lists, with its columns and keys."""
    assert {path.name for path in run.iterdir()} == {
        "config.yaml",
        "history.csv",
        "curves.png",
        "model.safetensors",
        "model.json",
        "environment.json",
        "metrics.json",
        "predictions.csv",
        "confusion.png",
        "roc.png",
        "report.html",
        "test_evaluations.json",
    }
    for name in ("curves.png", "confusion.png", "roc.png"):
        with Image.open(run / name) as figure:
            figure.load()

    columns, rows = _columns(run / "history.csv")
    assert columns == [
        *("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_auroc"),
        *("shifted_auroc", "lr", "images_per_s", "seconds"),
    ]
    assert [row["epoch"] for row in rows] == ["1", "2"]

    columns, rows = _columns(run / "predictions.csv")
    assert columns == ["name", "label", "split", "patient", "subtype", "logit", "probability"]
    assert len(rows) == 40

    model = _json(run / "model.json")
    assert {"arch", "image_size", "mean", "std", "threshold", "temperature"} <= set(model)
    assert (model["arch"], model["image_size"], model["version"]) == ("resnet18", 256, 3)
    store = _json(run.parent.parent / "data" / "prepared" / "store.json")
    assert model["data_fingerprint"] == store["fingerprint"]
    assert "Not a medical device" in model["notice"]

    metrics = _json(run / "metrics.json")
    named = {*WITH_INTERVAL, *(f"{name}_ci95" for name in WITH_INTERVAL), "ece", "threshold", "n"}
    assert named <= set(metrics)
    assert (metrics["format"], metrics["version"]) == ("cxrdiag metrics", 1)
    assert {"bacterial", "viral"} <= set(metrics["subtypes"])
    assert metrics["threshold"] == model["threshold"]
    assert (metrics["n"], metrics["split"], metrics["test_evaluations"]) == (40, "test", 1)
    for name in WITH_INTERVAL:
        low, high = metrics[f"{name}_ci95"]
        assert 0 <= low <= high <= 1

    assert load_recipe(str(run / "config.yaml")) == load_recipe("smoke")
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    assert set(config) == {"name", "data", "augment", "model", "training"}

    environment = _json(run / "environment.json")
    assert environment["cxrdiag"] == cxrdiag.__version__
    # Runs are shared: they tell of the machine's kind, and of no folder or person.
    for path in run.iterdir():
        if path.suffix in {".json", ".yaml", ".csv"}:
            text = path.read_text(encoding="utf-8")
            assert str(run.parent.parent) not in text
            assert os.path.expanduser("~") + "/" not in text
