"""What the README shows is what the results hold and what the code does."""

import csv
import importlib
import json
import re
import statistics
from pathlib import Path

import pytest
from PIL import Image

import cxrdiag
from cxrdiag.cli.metrics import show_metrics
from cxrdiag.evaluation.published import PUBLISHED
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


def test_every_look_at_test_is_counted():
    with (ROOT / "benchmarks" / "test_ledger.csv").open(newline="", encoding="utf-8") as file:
        n = len(list(csv.DictReader(file)))
    assert f"has {n} evaluations on test" in " ".join(README.split())


def test_what_others_report_on_the_official_split_is_told():
    table = README.partition("as others report them:")[2].partition("`best`, mean")[0]
    rows = [line.split(" | ") for line in table.splitlines() if " | 0." in line]
    told = {tuple(row[2:4]) for row in rows}
    official = [other for other in PUBLISHED if other.split == "official split"]
    assert len(rows) == len(official)
    for other in official:
        auroc = "-" if other.auroc is None else f"{other.auroc:.3f}"
        assert (f"{other.accuracy:.3f}", auroc) in told


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
    said = " ".join(README.split())  # long lines are broken there
    for line in capsys.readouterr().out.splitlines():
        assert " ".join(line.split()) in said


def test_the_headline_is_that_of_the_shipped_model():
    metrics = json.loads((SHIPPED_FOLDER / "metrics.json").read_text(encoding="utf-8"))
    said = (
        "an accuracy of {accuracy:.3f}, an AUROC of {auroc:.3f}, a sensitivity of "
        "{sensitivity:.3f} and a specificity of {specificity:.3f}"
    )
    assert said.format(**metrics) in " ".join(README.split())


def test_every_key_of_metrics_json_is_told():
    metrics = json.loads((SHIPPED_FOLDER / "metrics.json").read_text(encoding="utf-8"))
    table = README.partition("<code>metrics.json</code>")[2].partition("</details>")[0]
    told = set(re.findall(r"`([a-z][\w.]*)`", table))
    endings = "(_ci95|(?<=_if_calibrated)_below)$"
    assert {re.sub(endings, "", key) for key in metrics} <= told
    within = {"lean_normal", "lean_pneumonia", "predict"}
    assert told <= within | set(metrics)


@pytest.fixture
def films_folder(films: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: xray.jpeg, notes.txt, and films/ of one film, turned too, and no film."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "films"
    folder.mkdir()
    with Image.open(films[0]) as film:
        film.save(folder / "a.png")
        film.save("xray.jpeg")
        film.rotate(180).save(folder / "b-turned.png")
    (tmp_path / "notes.txt").write_text("no film")
    (folder / "c-notes.png").write_text("no film")
    return tmp_path


def test_the_program_in_python_runs_as_it_stands(
    films_folder: Path, capsys: pytest.CaptureFixture[str]
):
    (code,) = (c for c in re.findall(r"```python\n(.*?)```", README, re.S) if "diagnose_all" in c)
    exec(code, {})
    film, turned, notes = capsys.readouterr().out.splitlines()
    diagnosis = cxrdiag.load("shipped").diagnose("films/a.png")
    said = ["uncertain"] if diagnosis.uncertain else [diagnosis.label]
    assert film.split()[:3] == ["films/a.png", *said, str(diagnosis.probability)]
    assert turned.startswith("films/b-turned.png no answer: it does not look like an upright")
    assert notes.startswith("films/c-notes.png unsupported_format not a JPEG")
    assert [path.name for path in (films_folder / "maps").iterdir()] == ["a.png"]


def test_the_document_of_predict_has_the_keys_that_are_shown(films_folder: Path, cxrdiag_command):
    (shown,) = (json.loads(text) for text in re.findall(r"```json\n(.*?)```", README, re.S))
    files = ("xray.jpeg", "notes.txt")
    found = cxrdiag_command("predict", "--run", "shipped", *files, "--json").document
    assert found.keys() == shown.keys()
    ((diagnosis,), (shown_diagnosis,)) = found["diagnoses"], shown["diagnoses"]
    assert shown_diagnosis.keys() <= diagnosis.keys()
    assert {key: found[key] for key in ("errors", "model", "version", "notice")} == {
        key: shown[key] for key in ("errors", "model", "version", "notice")
    }
    model = json.loads((SHIPPED_FOLDER / "model.json").read_text(encoding="utf-8"))
    assert shown_diagnosis["threshold"] == diagnosis["threshold"] == model["threshold"]
    assert f"│ probability {shown_diagnosis['probability']:.3f} where 50%" in README


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
    text = " ".join(README.split())
    said = f"It refused {others['k']:,} of {others['n']:,} other pictures, of {len(found['kinds'])}"
    assert f"{said} kinds that no training saw, and {films['k']} of {films['n']} test films" in text
    found = json.loads((ROOT / "benchmarks" / "results" / "other_origin.json").read_text())
    frontal, lateral = (found[f"other origin, {view}"] for view in ("frontal", "lateral"))
    unsaid, n_lateral = frontal["answered without a warning"], lateral["refused"]["n"]
    assert (lateral["answered without a warning"]["k"], n_lateral) == (1, 4)
    said = f"answered {unsaid['k']} of the {unsaid['n']} frontal ones without a warning, and one of"
    assert f"{said} the four lateral ones" in text


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
    tree = README.partition("    src/cxrdiag/\n")[2].partition("    tests/")[0]
    named, folders = set(), {1: Path()}  # the depth of a line -> the folder that it stands in
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2 - 2
        if folder := re.match(r" +([a-z]+)/ ", line + " "):
            folders[depth + 1] = folders.get(depth, Path()) / folder[1]
        named |= {folders[depth] / name for name in re.findall(r"[a-z_]+\.py\b", line)}
    package = ROOT / "src" / "cxrdiag"
    modules = {path.relative_to(package) for path in package.rglob("*.py")}
    left_out = {path for path in modules if "phantom" in path.parts or path.stem == "__main__"}
    empty = {path for path in modules if path.name == "__init__.py" and path.parent != Path()}
    assert named == modules - left_out - empty


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_links_into_the_repository_lead_somewhere(target: str):
    assert (ROOT / target).exists()
