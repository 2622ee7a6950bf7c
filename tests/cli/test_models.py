"""`cxrdiag models`: the shipped model and the runs here, with what `eval` wrote of them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import cxrdiag.model.onnx  # noqa: F401  before a test moves what it takes from runs
from cxrdiag import runs


@pytest.fixture
def shipped(trained_run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny run in the place of the shipped model."""
    monkeypatch.setattr(runs, "SHIPPED_FOLDER", trained_run)
    return trained_run


def test_models_are_listed_with_their_results(shipped: Path, desk: Path, cxrdiag_command) -> None:
    second = Path(shutil.copytree(desk / "runs" / "tiny", desk / "runs" / "second"))
    os.utime(second / "model.json", (2e9, 2e9))
    metrics = cxrdiag_command("eval", "--run", "runs/tiny", "--json").document
    rows = cxrdiag_command("models", "--json").document["models"]
    assert [row["model"] for row in rows] == ["shipped", "runs/tiny", "runs/second"]
    assert (rows[1]["recipe"], rows[1]["seed"], rows[1]["resolution"]) == ("smoke", 0, 32)
    for name in ("n", "accuracy", "accuracy_ci95", "auroc", "auroc_ci95", "test_evaluations"):
        assert rows[1][name] == metrics[name]
        assert rows[2][name] is None
    lines = cxrdiag_command("models").out.splitlines()
    (line,) = [line for line in lines if "runs/tiny" in line]
    assert f"{metrics['accuracy']:.3f}" in line
    assert f"{metrics['auroc']:.3f}" in line
    low, high = metrics["accuracy_ci95"]
    assert f"{low:.3f} to {high:.3f}" in lines[lines.index(line) + 1]
    (line,) = [line for line in lines if "runs/second" in line]
    assert line.count(" - ") == 3
    assert cxrdiag_command("eval", "--run", "runs/tiny", "--operating-point", "youden").code == 0
    assert "at youden" in cxrdiag_command("models").out


def test_where_there_is_no_screen_nothing_is_cut_off(
    shipped: Path, desk: Path, cxrdiag_command
) -> None:
    name = "a-run-" + "of-a-long-name-" * 9
    shutil.copytree(desk / "runs" / "tiny", desk / "runs" / name)
    (line,) = [x for x in cxrdiag_command("models").out.splitlines() if name in x]
    assert "smoke, seed 0" in line
    assert "…" not in line


@pytest.mark.parametrize(
    "damaged",
    [
        "[",
        '{"recipe": "smoke", "seed": NaN, "arch": "resnet18"}',
        '{"recipe": "\\u001b[2J", "seed": 0, "arch": "resnet18", "width": 8, "resolution": 32}',
    ],
)
def test_a_damaged_run_does_not_hide_the_others(
    damaged: str, shipped: Path, desk: Path, cxrdiag_command
) -> None:
    (desk / "runs" / "damaged").mkdir()
    (desk / "runs" / "damaged" / "model.json").write_text(damaged)
    rows = cxrdiag_command("models", "--json").document["models"]
    assert {row["model"]: row["recipe"] for row in rows} == {
        "shipped": "smoke",
        "runs/tiny": "smoke",
        "runs/damaged": None,
    }
    assert "damaged model.json" in cxrdiag_command("models").out
    damages = (
        '{"accuracy": "x", "accuracy_ci95": [0.5], "auroc": NaN, "n": true}',
        '{"accuracy_ci95": [0.5, "x"], "auroc": [1, 2]}',
        '{"n": 1' + "0" * 400 + ', "accuracy": Infinity}',
        "[" * 100_000,
        "7",
    )
    for damage in damages:
        (desk / "runs" / "damaged" / "metrics.json").write_text(damage)
        row = cxrdiag_command("models", "--json").document["models"][-1]
        read = [row[name] for name in ("n", "accuracy", "accuracy_ci95", "auroc")]
        assert read == [None] * 4
        assert cxrdiag_command("models").code == 0


def test_without_a_run_the_shipped_model_answers_and_says_so(
    shipped: Path, films: list[Path], tmp_path: Path, cxrdiag_command, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answers = [
        cxrdiag_command("predict", films[0], *run, "--json").document
        for run in ([], ["--run", "shipped"], ["--run", shipped])
    ]
    assert [answer["model"] for answer in answers] == ["shipped", "shipped", "shipped"]
    assert answers[0]["diagnoses"] == answers[1]["diagnoses"] == answers[2]["diagnoses"]
    assert "model shipped" in cxrdiag_command("predict", films[0]).out


def test_the_shipped_model_is_evaluated_beside_the_runs_and_not_in_the_package(
    shipped: Path, desk: Path, cxrdiag_command
) -> None:
    before = {path.name for path in shipped.iterdir()}
    document = cxrdiag_command("eval", "--run", "shipped", "--json").document
    assert document["run"] == "runs/shipped"
    written = json.loads((desk / "runs" / "shipped" / "metrics.json").read_text())
    assert written["accuracy"] == document["accuracy"]
    assert {path.name for path in shipped.iterdir()} == before


@pytest.mark.parametrize("name", ["shipped", "runs/shipped", "runs/../runs/shipped"])
def test_no_run_takes_the_name_of_the_shipped_model(name: str, desk: Path, cxrdiag_command) -> None:
    outcome = cxrdiag_command("train", "--run", name, "--json")
    assert (outcome.code, outcome.document["error"]["code"]) == (2, "reserved_name")
    assert not (desk / name).exists()
