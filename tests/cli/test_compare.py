"""`cxrdiag compare`: what it reads, prints and counts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxrdiag.data.store import Store
from cxrdiag.evaluation import intervals
from tests.evaluated import write_evaluation


def test_compare(
    trained_run: Path,
    small_store: Store,
    tmp_path: Path,
    cxrdiag_command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = []
    for name in ("first", "second"):
        runs.append(tmp_path / name)
        shutil.copytree(trained_run, runs[-1])
        assert cxrdiag_command("eval", "--run", runs[-1], "--data", small_store.path).code == 0
    monkeypatch.setattr(intervals, "RESAMPLES", 50)
    table = cxrdiag_command("compare", *runs)
    assert table.code == 0
    assert "0 images are called rightly by the first alone, 0 by the second alone" in table.out
    document = cxrdiag_command("compare", *runs, "--json").document
    assert (document["first"], document["second"]) == (str(runs[0]), str(runs[1]))
    evaluated = json.loads((runs[0] / "metrics.json").read_text())
    assert document["accuracy"]["first"] == evaluated["accuracy"]
    # Nothing was looked at again.
    (look,) = json.loads((runs[0] / "test_evaluations.json").read_text())["looks"]
    assert look["count"] == 1


def test_which_column_is_whose(
    tmp_path: Path, cxrdiag_command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 20 films the first run mistakes one with pneumonia, the second three normal ones."""
    monkeypatch.chdir(tmp_path)
    labels = ["Normal"] * 10 + ["Pneumonia"] * 10
    rows = {"name": [f"{i:02}" for i in range(20)], "label": labels, "patient": "", "subtype": ""}
    truth = np.array([0.0] * 10 + [1.0] * 10)
    for name, wrong, point in (("a", [19], "balanced"), ("b", [0, 1, 2], "youden")):
        said = truth.copy()
        said[wrong] = 1 - said[wrong]
        write_evaluation(tmp_path / name, pd.DataFrame({**rows, "probability": said}), point=point)
    out = " ".join(cxrdiag_command("compare", "a", "b").out.split())
    for name, first, second, difference in (
        ("accuracy", 0.95, 0.85, -0.1),
        ("sensitivity", 0.9, 1, 0.1),
        ("specificity", 1, 0.7, -0.3),
        ("AUROC", 0.95, 0.85, -0.1),
    ):
        assert f"│ {name} │ {first:.3f} │ {second:.3f} │ {difference:+.3f} │" in out
    assert "3 images are called rightly by the first alone, 1 by the second alone" in out
    assert "with a probability of 0.625 (McNemar)" in out  # 2 (1 + 4) / 16
    assert "their operating points differ, balanced and youden:" in out


def test_a_run_is_not_held_against_itself(trained_run: Path, cxrdiag_command) -> None:
    outcome = cxrdiag_command("compare", trained_run, trained_run / "." / "")
    assert outcome.code == 2
    assert "twice the same run" in outcome.err


def test_a_run_that_was_not_evaluated(trained_run: Path, cxrdiag_command) -> None:
    outcome = cxrdiag_command("compare", trained_run, "shipped", "--split", "val")
    assert outcome.code == 3
    assert "was not evaluated on this split" in outcome.err


def test_others_are_shown_on_the_official_split_alone(
    tmp_path: Path, cxrdiag_command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 20)
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.chdir(tmp_path)  # the tables' width is not to be that of its name
    rng = np.random.default_rng(0)
    for n_normal, official in ((234, True), (233, False)):
        labels = ["Normal"] * n_normal + ["Pneumonia"] * (624 - n_normal)
        for name in ("a", "b"):
            rows = {"name": [f"{i:03}" for i in range(624)], "label": labels, "patient": ""}
            films = pd.DataFrame({**rows, "subtype": "", "probability": rng.random(624)})
            write_evaluation(tmp_path / f"{name}{n_normal}", films)
        out = cxrdiag_command("compare", *(f"{x}{n_normal}" for x in "ab")).out
        assert ("Kermany et al. 2018" in out) == official
        document = cxrdiag_command("compare", *(f"{x}{n_normal}" for x in "ab"), "--json").document
        assert ("Kermany et al. 2018" in {p["who"] for p in document["published"]}) == official
        for split in ("official split", "re-split", "re-split, tuned on test", "not known to us"):
            assert (f" {split} " in out) == official
