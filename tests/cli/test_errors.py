"""Bad input: one line that names what is at fault, what to do, and a stable exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.main import get_command

from cxrdiag.cli.app import app
from cxrdiag.data.prepare import prepare

# Arguments, exit code, code, and what the message has to name; run in `desk`, see conftest.py.
CASES: dict[str, tuple[str, int, str, list[str]]] = {
    "no source": ("prepare", 2, "no_source", ["--kaggle-dir", "--download"]),
    "two sources": ("prepare --kaggle-dir x --download", 2, "no_source", ["either"]),
    "missing source": ("prepare --kaggle-dir gone", 3, "no_such_folder", ["gone", "--download"]),
    "other layout": ("prepare --kaggle-dir empty", 3, "unknown_layout", ["empty", "Metadata.csv"]),
    "no store to train on": ("train --data gone", 3, "no_store", ["gone", "cxrdiag prepare"]),
    "unknown recipe": ("train --recipe frob", 2, "unknown_recipe", ["frob", "smoke"]),
    "unknown key": (
        "train --set training.epoch=3",
        2,
        "unknown_key",
        ["training.epoch'", "training.epochs?"],
    ),
    "unknown section": ("train --set trainig.lr=1", 2, "unknown_key", ["trainig", "training?"]),
    "bad value": ("train --set training.lr=fast", 2, "bad_value", ["training.lr", "a number"]),
    "bad choice": ("train --set model.arch=vgg", 2, "bad_value", ["vgg", "resnet18"]),
    "bad override": ("train --set lr=1", 2, "bad_override", ["lr=1", "section.key=value"]),
    "unknown device": ("train --device tpu", 2, "unknown_device", ["tpu", "cuda"]),
    "run exists": ("train --run runs/tiny", 2, "run_exists", ["runs/tiny", "--run"]),
    "run is a folder of mine": ("train --run mine", 2, "run_exists", ["mine", "another --run"]),
    "nothing to resume": ("train --resume --run gone", 4, "nothing_to_resume", ["gone"]),
    "no run to resume": ("train --resume", 4, "no_run", ["runs", "--run"]),
    "no run to evaluate": ("eval --run gone", 4, "no_model", ["gone", "cxrdiag train"]),
    "no store to evaluate": ("eval --data gone", 3, "no_store", ["gone", "cxrdiag prepare"]),
    "unknown split": ("eval --split frob", 2, "unknown_split", ["frob", "train, val, test"]),
    "damaged weights": (
        "eval --run damaged-weights",
        4,
        "unreadable_weights",
        ["damaged-weights/model.safetensors"],
    ),
    "other weights": (
        "predict film.jpeg --run other-weights",
        4,
        "weights_mismatch",
        ["other-weights/model.safetensors", "train again"],
    ),
    "damaged model.json": (
        "predict film.jpeg --run damaged-json",
        4,
        "damaged_model",
        ["damaged-json/model.json"],
    ),
    "later version": ("eval --run later-version", 4, "model_version", ["later-version", "99"]),
    "store is a file": ("prepare --kaggle-dir SOURCE --out film.jpeg", 3, "not_a_store", ["film"]),
    "store is a full folder": ("prepare --kaggle-dir SOURCE --out .", 3, "not_a_store", ["--out"]),
    "table is a folder": ("predict film.jpeg --csv empty", 1, "file_error", ["empty: Is a dir"]),
    "table is this folder": ("predict film.jpeg --csv .", 1, "file_error", [".: Is a dir"]),
    "a run is a circle": ("predict film.jpeg --run loop", 4, "no_model", ["loop", "train one"]),
    "evaluated is a circle": ("eval --run loop", 4, "no_model", ["loop"]),
    "compared is a circle": ("compare loop shipped", 4, "no_model", ["loop"]),
    "compared is not there": ("compare gone shipped", 4, "no_model", ["gone", "train one"]),
    "compared was not evaluated": (
        "compare mine shipped",
        3,
        "not_evaluated",
        ["mine/metrics.json", "cxrdiag eval --run mine"],
    ),
    "table is a circle": ("predict film.jpeg --csv loop", 1, "file_error", ["loop: Too many"]),
    "graph is a circle": ("export --out loop", 1, "file_error", ["loop: Too many"]),
    "training is a circle": ("train --run loop", 1, "file_error", ["loop: "]),
    "finished and damaged": (
        "train --resume --run damaged-json",
        4,
        "damaged_model",
        ["model.json"],
    ),
    "maps into a file": ("predict film.jpeg --heatmap film.jpeg", 2, "not_a_folder", ["film"]),
}


@pytest.fixture(scope="module")
def damaged_runs(trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that each have one thing wrong."""
    weights = (trained_run / "model.safetensors").read_bytes()
    model = (trained_run / "model.json").read_text(encoding="utf-8")
    folder = tmp_path_factory.mktemp("damaged")
    for name, its_weights, its_model in (
        ("damaged-weights", weights[:5000], model),
        ("other-weights", weights[:-1] + bytes([weights[-1] ^ 1]), model),
        ("damaged-json", b"", model[: len(model) // 2]),
        ("later-version", b"", model.replace('"version": 3', '"version": 99')),
    ):
        (folder / name).mkdir()
        (folder / name / "model.safetensors").write_bytes(its_weights)
        (folder / name / "model.json").write_text(its_model, encoding="utf-8")
        (folder / name / "config.yaml").symlink_to(trained_run / "config.yaml")
    return folder


@pytest.fixture
def disorder(desk: Path, damaged_runs: Path, films: list[Path]) -> Path:
    """A folder of things that are not what they should be."""
    (desk / "film.jpeg").write_bytes(films[0].read_bytes())
    (desk / "empty").mkdir()
    (desk / "mine").mkdir()
    (desk / "loop").symlink_to("loop")
    (desk / "mine" / "config.yaml").write_text("training: {lr: 1}")
    for run in damaged_runs.iterdir():
        (desk / run.name).symlink_to(run)
    return desk


def _contents(folder: Path) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("case", CASES)
def test_one_line_and_its_exit_code(
    case: str, disorder: Path, phantoms: Path, cxrdiag_command: Callable[..., Any]
) -> None:
    command, code, name, named = CASES[case]
    arguments = command.replace("SOURCE", str(phantoms)).split()
    before = _contents(disorder)

    outcome = cxrdiag_command(*arguments)
    assert (outcome.code, outcome.out) == (code, "")
    first, *hints = outcome.err.strip().splitlines()
    assert first.startswith("error: ")
    assert all(hint.startswith("       ") for hint in hints)
    assert len(hints) <= 1
    for text in named:
        assert text in outcome.err

    outcome = cxrdiag_command(*arguments, "--json")
    assert (outcome.code, outcome.err) == (code, "")
    error = outcome.document["error"]
    assert error.keys() == {"code", "message", "path", "hint"}
    assert error["code"] == name
    assert error["message"] in first
    assert error["path"] is None or first.startswith(f"error: {error['path']}: ")
    assert _contents(disorder) == before


def test_a_training_that_fails_at_once_leaves_no_run(desk: Path, cxrdiag_command) -> None:
    explosive = ["--recipe", "smoke", "--set", "training.lr=1000", "--set", "training.warmup=0"]
    outcome = cxrdiag_command("train", *explosive, "--set", "training.precision=fp32")
    assert (outcome.code, "lower training.lr" in outcome.err) == (5, True)
    assert [path.name for path in (desk / "runs").iterdir()] == ["tiny"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("command", ["train", "eval", "predict film.jpeg"])
def test_a_device_that_is_not_there(command: str, disorder: Path, cxrdiag_command) -> None:
    outcome = cxrdiag_command(*command.split(), "--device", "cuda")
    assert outcome.code == 2
    assert outcome.err == (
        "error: device 'cuda' is not available on this machine\n       use --device auto\n"
    )
    assert not (disorder / "runs" / "default-1").exists()


def test_no_run_at_all(tmp_path: Path, small_store, monkeypatch, cxrdiag_command) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = cxrdiag_command("eval", "--data", small_store.path)
    assert outcome.code == 4
    assert outcome.err.splitlines() == [
        "error: runs: no trained model is there",
        "       train one: cxrdiag train; or take the one in the package: --run shipped",
    ]


def test_a_store_of_another_size(desk: Path, phantoms: Path, cxrdiag_command) -> None:
    prepare(phantoms, desk / "larger", size=80)
    outcome = cxrdiag_command("eval", "--data", "larger")
    assert outcome.code == 3
    assert "error: larger: the store has squares of 80 pixels, the model 64" in outcome.err
    assert "--size 64" in outcome.err
    assert not (desk / "runs" / "tiny" / "metrics.json").exists()


@pytest.mark.parametrize(
    "command",
    [
        "frobnicate",
        "train --epochs 0",
        "train --epochs many",
        "train --frob",
        "prepare --kaggle-dir x --size 8",
        "predict",
    ],
)
def test_usage_errors_exit_with_2(command: str, cxrdiag_command) -> None:
    outcome = cxrdiag_command(*command.split())
    assert outcome.code == 2
    assert "Usage:" in outcome.err
    assert "Traceback" not in outcome.err
    as_json = cxrdiag_command(*command.split(), "--json")
    told = as_json.document["error"]
    assert (as_json.code, as_json.err, told["code"]) == (2, "", "usage")
    assert told["message"]
    assert told["message"].rstrip(".") in outcome.err
    named = command.split()[0]
    assert told["hint"] == (
        "cxrdiag --help" if named == "frobnicate" else f"cxrdiag {named} --help"
    )


def test_an_empty_argument_is_not_the_current_folder(desk: Path, cxrdiag_command) -> None:
    for command in (["predict", ""], ["predict", "film.jpeg", "--heatmap", ""], ["models", ""]):
        outcome = cxrdiag_command(*command, "--json")
        assert (outcome.code, outcome.document["error"]["code"]) == (2, "empty_argument")


def test_no_option_refuses_what_cannot_be_read_before_it_is_read() -> None:
    """It would end the whole command, with the code of wrong usage, and name what is anonymous."""
    commands = get_command(app).commands.values()  # type: ignore[attr-defined]
    types = [parameter.type for command in commands for parameter in command.params]
    paths = [type_ for type_ in types if hasattr(type_, "readable")]
    assert len(paths) > 15
    assert not any(path.readable or path.exists for path in paths)


def test_what_a_run_is_called_steers_no_terminal(desk: Path, cxrdiag_command) -> None:
    (desk / "runs" / "tiny").rename(desk / "runs" / "a\x1b")
    for command in (["models"], ["compare", "runs/a\x1b", "shipped"], ["predict", "gone"]):
        outcome = cxrdiag_command(*command)
        assert "\x1b" not in outcome.out + outcome.err
        assert "a\\x1b" in outcome.out + outcome.err or command[0] == "predict"
