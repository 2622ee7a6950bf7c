"""What the README shows is what the results hold and what the code does."""

import importlib
import json
import re
import statistics
from pathlib import Path

import pytest

from cxrdiag.cli.evaluate import show_metrics
from cxrdiag.model.info import UNCERTAIN
from cxrdiag.runs import SHIPPED_FOLDER

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = json.loads((ROOT / "benchmarks" / "results" / "accuracy.json").read_text())


def test_results_table_is_made_from_the_committed_results(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    accuracy = importlib.import_module("accuracy")
    assert accuracy.with_table(README, RESULTS) == README


def test_among_others_the_results_of_best_are_the_committed_ones():
    (row,) = re.findall(r"^\| `best`, mean \|.*$", README, re.MULTILINE)
    names = ("accuracy", "auroc", "sensitivity", "specificity")
    shown = [f"{RESULTS['best'][name]['mean']:.3f}" for name in names]
    assert "| {} | {} | {} / {} |".format(*shown) in row


def test_the_answer_of_the_shipped_model_has_its_threshold():
    model = json.loads((SHIPPED_FOLDER / "model.json").read_text(encoding="utf-8"))
    low, high = (model["operating_points"][name]["threshold"] for name in UNCERTAIN)
    said = f"Normal below {low:.3f}, Pneumonia from {high:.3f}, uncertain between, "
    assert f"│ {said}threshold {model['threshold']:.3f} " in README


def test_the_evaluation_of_the_shipped_model_is_that_of_its_metrics(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("COLUMNS", "100")
    metrics = json.loads((SHIPPED_FOLDER / "metrics.json").read_text(encoding="utf-8"))
    show_metrics(Path("runs/shipped"), metrics)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    for line in lines[: next(i for i, line in enumerate(lines) if "uncertain" in line) + 1]:
        assert line in README


def test_where_it_fails_is_what_was_measured():
    metrics = json.loads((SHIPPED_FOLDER / "metrics.json").read_text(encoding="utf-8"))
    worse, better = (metrics["specificity_by_series"][name] for name in ("NORMAL2-IM", "IM"))
    false_alarms = round(worse["n"] * (1 - worse["specificity"]))
    assert (false_alarms, better["specificity"]) == (metrics["false_positives"], 1)
    said = " ".join(README.split())
    assert f"All {false_alarms} false alarms are among the {worse['n']} normal test films" in said
    assert f"(specificity {worse['specificity']:.3f} and 1.000)" in said
    border = metrics["shortcuts"]["borders and corners"]["auroc"]
    assert f"and of test with {border:.2f}" in said


def test_what_is_said_of_refusing_is_what_was_measured():
    found = json.loads((ROOT / "benchmarks" / "results" / "refusal.json").read_text())
    others, films = found["others_refused"], found["films_refused"]
    assert (films["k"], films["n"]) == (0, 624)
    said = f"Of {others['n']:,} pictures of {len(found['kinds'])} kinds"
    assert said in README
    text = " ".join(README.split())
    assert f"it refused {others['k']:,}, of 624 test films none" in text
    found = json.loads((ROOT / "benchmarks" / "results" / "other_origin.json").read_text())
    frontal, lateral = (found[f"other origin, {view}"] for view in ("frontal", "lateral"))
    unsaid, refused = (frontal[name] for name in ("answered without a warning", "refused"))
    assert f"answered {unsaid['k']} of the {unsaid['n']} frontal ones without" in text
    assert f"and refused {refused['k']}" in text
    assert (lateral["answered without a warning"]["k"], lateral["refused"]["n"]) == (1, 4)
    assert "of the four lateral ones it answered one" in text


def test_the_tables_of_speed_and_growth_are_made_from_the_committed_results(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "speed"))
    speed, growth = (importlib.import_module(name) for name in ("side_by_side", "growth"))
    results, text = ROOT / "benchmarks" / "results", speed.README.read_text(encoding="utf-8")
    lines = json.loads((results / "speed.json").read_text())["lines"]
    assert speed.with_table(text, "speed", speed.table(lines)) == text
    sizes = json.loads((results / "growth.json").read_text())["sizes"]
    assert speed.with_table(text, "growth", growth.table(sizes)) == text
    # A ratio is that of the medians of what was measured, and a goal that is missed is said.
    for line in lines.values():
        for peer, versus in line["ratios"].items():
            ours, theirs = (
                statistics.median(
                    run["said"].get(line["figure"], run.get(line["figure"])) for run in runs
                )
                for runs in (line["runs"][line["ours"]], line["runs"][peer])
            )
            ratio = theirs / ours if line["figure"] in ("seconds", "peak_mb") else ours / theirs
            assert versus["ratio"] == pytest.approx(ratio)
            assert versus["holds"] == (ratio >= versus["goal"])


def test_every_module_stands_in_the_file_tree():
    tree = README.partition("    src/cxrdiag/")[2].partition("    tests/")[0]
    named = set(re.findall(r"([a-z_]+)\.py", tree))
    package = ROOT / "src" / "cxrdiag"
    modules = [path for path in package.rglob("*.py") if "phantom" not in path.parts]
    missing = {path.stem for path in modules} - named - {"__init__", "__main__"}
    assert not missing


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_links_into_the_repository_lead_somewhere(target: str):
    assert (ROOT / target).exists()
