"""Several runs: mean and deviation by hand, no look at test that was taken already."""

from __future__ import annotations

import dataclasses
import json
import shutil
import statistics
from pathlib import Path

import pytest
import torch

from cxrdiag.data.prepare import prepare
from cxrdiag.errors import DataError, UsageError
from cxrdiag.evaluation.several import summarise
from cxrdiag.model.checkpoint import load_model, save_model


@pytest.fixture
def runs(desk: Path, trained_run: Path, cxrdiag_command) -> list[str]:
    """Two runs that differ in what they call pneumonia; only the first was evaluated."""
    trained = load_model(trained_run, torch.device("cpu"))
    assert trained.detector is not None
    for name, point in (("a", "sensitivity=0.98"), ("b", "specificity=0.98")):
        run = desk / "runs" / name
        shutil.copytree(trained_run, run)
        weights = trained.network.state_dict()
        weights["fc.bias"] = weights["fc.bias"] + (0.01 if name == "b" else 0)
        points = {**trained.info.operating_points}
        points["balanced"] = points[point]
        threshold = points[point].threshold
        info = dataclasses.replace(trained.info, threshold=threshold, operating_points=points)
        save_model(run, weights, trained.detector, info)
    assert cxrdiag_command("eval", "--run", "runs/a").code == 0
    return ["runs/a", "runs/b"]


def test_eval_of_several_runs(desk: Path, runs: list[str], cxrdiag_command) -> None:
    outcome = cxrdiag_command("eval", "--runs", *runs, "--json")
    assert outcome.code == 0
    found = outcome.document
    each = [json.loads((desk / run / "metrics.json").read_text()) for run in runs]
    assert (found["n"], found["runs"]) == (40, runs)
    for name in ("accuracy", "sensitivity", "specificity", "auroc"):
        values = [metrics[name] for metrics in each]
        assert found[name]["values"] == values
        assert found[name]["mean"] == pytest.approx(sum(values) / 2)
        assert found[name]["sd"] == pytest.approx(statistics.stdev(values))
    assert found["sensitivity"]["sd"] > 0
    assert cxrdiag_command("eval", "--runs", runs[0], "--runs", runs[1], "--json").document == found
    again = cxrdiag_command("eval", "--runs", *runs)
    assert again.err == ""  # nothing was evaluated
    cells = {row[0].strip(): row[1:] for row in map(_cells, again.out.splitlines()) if row}
    names = ("accuracy", "sensitivity", "specificity", "auroc", "auprc", "brier", "ece")
    for row, key in (("mean", "mean"), ("deviation", "sd")):
        assert [float(cell) for cell in cells[row]] == [
            pytest.approx(found[name][key], abs=5.1e-4) for name in names
        ]
    assert {*runs, "mean", "deviation"} <= set(cells)
    for run in runs:
        assert _looks(desk / run) == [1]


def _looks(run: Path) -> list[int]:
    looks = json.loads((run / "test_evaluations.json").read_text())["looks"]
    return [look["count"] for look in looks]


def _cells(line: str) -> list[str]:
    return line.strip("│").split("│") if line.startswith("│") else []


def test_a_run_of_another_store_or_model_is_evaluated_again(
    desk: Path, runs: list[str], phantoms: Path, cxrdiag_command
) -> None:
    assert cxrdiag_command("eval", "--runs", *runs).code == 0
    prepare(phantoms, desk / "other", size=64, seed=3)  # another validation split
    outcome = cxrdiag_command("eval", "--runs", *runs, "--data", "other", "--split", "test")
    *said, caution = outcome.err.splitlines()
    assert said == [f"evaluating {run}" for run in runs]
    assert "not the store that the model was trained on" in caution
    assert "evaluated on this test split 2 and 2 times" in outcome.out
    command = ("eval", "--runs", *runs, "--data", "other")  # from what stands there
    again, told = cxrdiag_command(*command), cxrdiag_command(*command, "--json")
    assert (again.err, again.out) == (f"{caution}\n", outcome.out)
    assert told.err == f"{caution}\n"
    assert told.document["test_evaluations"] == [2, 2]
    assert [f"warning: {why}" for why in told.document["cautions"]] == [caution, caution]
    for run in runs:
        assert _looks(desk / run) == [2]  # the test films are the same
    few = cxrdiag_command("eval", "--runs", "runs/tiny", "--split", "val")
    assert few.code == 2
    assert not (desk / "runs" / "tiny" / "metrics-val.json").exists()


def test_damaged_metrics_are_one_clear_error(desk: Path, runs: list[str], cxrdiag_command) -> None:
    assert cxrdiag_command("eval", "--runs", *runs).code == 0
    path = desk / "runs" / "b" / "metrics.json"
    sound = json.loads(path.read_text())
    forged: list[tuple[str, object]] = [("accuracy", "0.9"), ("trained_on_this_store", None)]
    for name, value in forged:
        path.write_text(json.dumps({**sound, name: value}))
        for command in (["eval", "--runs"], ["compare"]):
            outcome = cxrdiag_command(*command, *runs, "--json")
            assert outcome.code == 3
            assert outcome.document["error"]["code"] == "damaged_metrics"
    for other in (
        {**sound, "split": []},
        {k: v for k, v in sound.items() if k != "weights_sha256"},
    ):
        path.write_text(json.dumps(other))
        with pytest.raises(DataError, match="damaged"):
            summarise([Path(run) for run in runs])


def test_no_look_at_test_is_taken_where_one_of_the_models_cannot_be_used(
    desk: Path, runs: list[str], cxrdiag_command
) -> None:
    outcome = cxrdiag_command("eval", "--runs", runs[1], "nope", "--json")
    assert (outcome.code, outcome.document["error"]["code"]) == (4, "no_model")
    assert not (desk / runs[1] / "test_evaluations.json").exists()


def test_metrics_of_another_version_are_refused_and_evaluated_again(
    desk: Path, runs: list[str], cxrdiag_command
) -> None:
    assert cxrdiag_command("eval", "--runs", *runs).code == 0
    path = desk / "runs" / "b" / "metrics.json"
    written = json.loads(path.read_text())
    path.write_text(json.dumps({**written, "version": 0}))
    outcome = cxrdiag_command("compare", *runs, "--json")
    assert (outcome.code, outcome.document["error"]["code"]) == (3, "metrics_version")
    hint = outcome.document["error"]["hint"]
    assert hint == "evaluate it again: cxrdiag eval --run runs/b"
    assert cxrdiag_command("eval", "--runs", *runs).code == 0
    assert json.loads(path.read_text()) == {**written, "test_evaluations": 2}


def test_what_cannot_be_summarised(desk: Path, runs: list[str], cxrdiag_command) -> None:
    with pytest.raises(UsageError, match="same weights"):
        summarise([Path("runs/a"), Path("runs/a")])
    with pytest.raises(UsageError, match="two runs"):
        summarise([Path("runs/a")])
    with pytest.raises(DataError, match="not evaluated"):
        summarise([Path("runs/a"), Path("runs/b")])
    cxrdiag_command("eval", "--run", "runs/b")
    path = desk / "runs" / "b" / "predictions.csv"
    path.write_text(path.read_text().replace("IM-", "XM-"))  # as many of each class
    with pytest.raises(DataError, match="other images"):
        summarise([Path("runs/a"), Path("runs/b")])
    shutil.copytree(desk / "runs" / "b", desk / "runs" / "copy of b")
    path = desk / "runs" / "copy of b" / "model.json"
    copied = json.loads(path.read_text())
    copied["threshold"] = copied["operating_points"]["balanced"]["threshold"] = 0.5
    path.write_text(json.dumps(copied))
    for arguments in (
        ["runs/a"],
        ["--run", "runs/a", "--runs", "runs/b"],
        ["--runs", "runs/b", "runs/copy of b", "--operating-point", "sensitivity=0.98"],
    ):
        outcome = cxrdiag_command("eval", *arguments)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.startswith("error: ")
    assert _looks(desk / "runs" / "b") == [1]
