"""What an evaluation wrote is read back, or refused where it contradicts itself."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cxrdiag.errors import DataError
from cxrdiag.evaluation.read import read_evaluation, read_metrics
from cxrdiag.evaluation.several import summarise
from tests.evaluated import write_evaluation

FILMS = pd.DataFrame(
    {
        "name": ["c", "a", "b", "d"],
        "label": ["Normal", "Pneumonia", "Normal", "Pneumonia"],
        "patient": ["", "NA", "007", ""],
        "subtype": "",
        "probability": [0.1, 0.9, 0.6, 0.7],
    }
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_evaluation(tmp_path / "run", FILMS)


def test_what_was_written_is_read_back_by_name(run: Path) -> None:
    found = read_evaluation(run, "test")
    expected = FILMS.sort_values("name", ignore_index=True)
    # A name or a patient is text, whatever it looks like.
    pd.testing.assert_frame_equal(found.predictions, expected, check_like=True)
    assert found.metrics == read_metrics(run, "test")
    assert found.metrics["accuracy"] == 0.75


@pytest.mark.parametrize(
    "change",
    [
        {"n": 624},
        {"n": 4.0},
        {"true_positives": 1, "false_negatives": 1},  # of other predictions
        {"true_positives": -1},
        {"test_evaluations": "1"},
        {"accuracy": "0.9"},
        {"auroc": [1]},
        {"ece": True},
        {"brier": float("nan")},
        {"threshold": 10**400},
        {"threshold": None},
        {"operating_point": None},
        {"accuracy_ci95": [0.9, 0.1]},
        {"ece_ci95": [0.1]},
        {"specificity_ci95": [0.1, 2]},
    ],
)
def test_what_contradicts_itself_is_damaged(run: Path, change: dict[str, Any]) -> None:
    path = run / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert _code(run) == "damaged_metrics"


@pytest.mark.parametrize("name", ["n", "auprc", "ece_ci95", "threshold", "false_positives"])
def test_what_lacks_a_metric_is_damaged(run: Path, name: str) -> None:
    path = run / "metrics.json"
    metrics = json.loads(path.read_text())
    del metrics[name]
    path.write_text(json.dumps(metrics))
    assert _code(run) == "damaged_metrics"


@pytest.mark.parametrize("text", ["", "{", "7", "[" * 100_000, '{"version": 1}'])
def test_what_is_no_such_document_is_refused(run: Path, text: str) -> None:
    (run / "metrics.json").write_text(text)
    assert _code(run) in ("damaged_metrics", "metrics_version")


def test_what_is_no_text_is_one_short_line(run: Path) -> None:
    (run / "metrics.json").write_bytes(b'{"n": "\xff' + b"x" * 100_000)
    with pytest.raises(DataError) as raised:
        read_metrics(run, "test")
    assert raised.value.code == "damaged_metrics"
    assert len(raised.value.message) < 400


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such pipes")
@pytest.mark.parametrize("name", ["metrics.json", "predictions.csv"])
def test_a_pipe_is_not_waited_for(run: Path, name: str) -> None:
    (run / name).unlink()
    os.mkfifo(run / name)
    assert _code(run) in ("not_evaluated", "damaged_metrics")


@pytest.mark.parametrize("change", [{"version": 0}, {"version": "1"}, {"format": "metrics"}])
def test_another_version_is_refused(run: Path, change: dict[str, Any]) -> None:
    path = run / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert _code(run) == "metrics_version"


def test_predictions_that_are_not_those_of_the_metrics_are_damaged(run: Path) -> None:
    path = run / "predictions.csv"
    for damaged in (FILMS.iloc[1:], FILMS.assign(probability=[0.1, 0.9, 0.4, 0.7])):
        damaged.to_csv(path, index=False)
        assert _code(run) == "damaged_metrics"
    for text in ("", "name,label\na,Normal\n", FILMS.to_csv(index=False).replace("0.9", "x")):
        path.write_text(text)
        assert _code(run) == "damaged_metrics"
    path.unlink()
    assert _code(run) == "damaged_metrics"


def test_a_run_without_an_evaluation_says_how_to_get_one(tmp_path: Path) -> None:
    run = tmp_path / "my run"
    with pytest.raises(DataError) as raised:
        read_metrics(run, "val")
    assert raised.value.code == "not_evaluated"
    assert raised.value.hint == f"cxrdiag eval --run '{run}' --split val"


def test_a_mean_over_operating_points_says_nothing(run: Path, tmp_path: Path) -> None:
    other = write_evaluation(tmp_path / "other", FILMS, point="youden")
    with pytest.raises(DataError, match="balanced, youden") as raised:
        summarise([run, other])
    assert raised.value.code == "different_operating_points"


def _code(run: Path) -> str:
    with pytest.raises(DataError) as raised:
        read_evaluation(run, "test")
    assert raised.value.path is not None
    return raised.value.code
