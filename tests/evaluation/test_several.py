"""Several runs: mean and deviation by hand, no look at test that was taken already."""

from __future__ import annotations

import json
import shutil
import statistics
from pathlib import Path

import pytest

from cxrdiag.errors import DataError, UsageError
from cxrdiag.evaluation.several import summarise


@pytest.fixture
def runs(desk: Path, trained_run: Path, cxrdiag_command) -> list[str]:
    """Two runs that differ in what they call pneumonia; only the first was evaluated."""
    for name, point in (("a", "youden"), ("b", "specificity=0.98")):
        run = desk / "runs" / name
        shutil.copytree(trained_run, run)
        model = json.loads((run / "model.json").read_text())
        model["threshold"] = model["operating_points"][point]["threshold"]
        (run / "model.json").write_text(json.dumps(model))
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
    again = cxrdiag_command("eval", "--runs", *runs)
    assert again.err == ""  # nothing was evaluated
    assert f"{found['accuracy']['mean']:.3f} ± {found['accuracy']['sd']:.3f}" in again.out
    for run in runs:
        assert json.loads((desk / run / "test_evaluations.json").read_text()) == {"count": 1}


def test_what_cannot_be_summarised(desk: Path, runs: list[str], cxrdiag_command) -> None:
    with pytest.raises(UsageError, match="two different runs"):
        summarise([Path("runs/a"), Path("runs/a")])
    with pytest.raises(DataError, match="not evaluated"):
        summarise([Path("runs/a"), Path("runs/b")])
    cxrdiag_command("eval", "--run", "runs/b")
    path = desk / "runs" / "b" / "predictions.csv"
    path.write_text(path.read_text().replace("IM-", "XM-"))
    with pytest.raises(DataError, match="other images"):
        summarise([Path("runs/a"), Path("runs/b")])
    for arguments in (["runs/a"], ["--run", "runs/a", "--runs", "runs/b"]):
        outcome = cxrdiag_command("eval", *arguments)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.startswith("error: ")
