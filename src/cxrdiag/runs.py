"""Run folders: the newest one, and the next; and the model that ships in the package."""

from __future__ import annotations

import contextlib
import difflib
import itertools
import os
import shlex
from pathlib import Path

from cxrdiag.errors import ModelError

RUNS = Path("runs")
SHIPPED = "shipped"
"""What the shipped model is called wherever a run may be named."""
SHIPPED_FOLDER = Path(__file__).parent / "weights"
INFO, RESUME = "model.json", "resume.safetensors"
"""What a training that is finished leaves in a run, and what one that was interrupted."""
GRAPH = "model.onnx"
"""A model as one ONNX file: `cxrdiag export` writes it; that of the shipped model ships too."""


def newest_run(runs: Path = RUNS) -> Path:
    """The run in `runs` whose model was finished last. Raises ModelError when there is none."""
    hint = "train one: cxrdiag train; or take the one in the package: --run shipped"
    return _newest(runs, INFO, "no trained model is there", hint)


def find_model(run: Path | str | None = None, runs: Path = RUNS) -> Path:
    """The folder of a model: `run`, by path or as "shipped".

    For None the newest run, or the shipped model where there is none. Raises ModelError where
    there is neither.
    """
    if run is not None:
        is_shipped = str(run) == SHIPPED or is_same_place(Path(run), SHIPPED_FOLDER)
        return SHIPPED_FOLDER if is_shipped else Path(run)
    if is_finished(SHIPPED_FOLDER) and not trained_runs(runs):
        return SHIPPED_FOLDER
    return newest_run(runs)


def is_same_place(a: Path, b: Path) -> bool:
    """Whether two paths lead to one place, be anything there or not."""
    return os.path.realpath(a) == os.path.realpath(b)  # Path.resolve raises on a loop of links


def model_name(model: Path) -> str:
    """What to call the model of this folder: its path, or `shipped`."""
    return SHIPPED if model == SHIPPED_FOLDER else str(model)


def evaluation_folder(model: Path) -> Path:
    """Where an evaluation of the model of this folder is written: there, or `runs/shipped`."""
    return RUNS / SHIPPED if model == SHIPPED_FOLDER else model


def of_split(name: str, split: str) -> str:
    """What a file of an evaluation is called: metrics.json of test, metrics-val.json of val."""
    return name if split == "test" else name.replace(".", f"-{split}.")


def newest_interrupted_run(runs: Path = RUNS) -> Path:
    """The run in `runs` that was interrupted last. Raises ModelError when there is none."""
    return _newest(runs, RESUME, "no interrupted training is there", "name it with --run")


def new_run(name: str, runs: Path = RUNS) -> Path:
    """Make the first of `runs/name-1`, `runs/name-2`, ... that does not exist.

    Made, not only named: two trainings that start together get a folder each.
    """
    runs.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        path = runs / f"{name}-{number}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise AssertionError("there is always a next number")


def discard(run: Path) -> None:
    """Remove what a training writes before its first epoch is saved, and the folder if then empty.

    There is nothing in it to use or to resume.
    """
    with contextlib.suppress(OSError):
        for name in ("config.yaml", "environment.json"):
            (run / name).unlink(missing_ok=True)
        run.rmdir()


def way_to_a_model(run: Path) -> str:
    """What to do where `run` was named, and holds no model."""
    if run.is_file():
        return "name the folder of a run, or 'shipped', and no file"
    if is_interrupted(run):
        command = f"cxrdiag train --resume --run {shlex.quote(str(run))}"
        return f"its training has not ended; go on with it: {command}, and its --data"
    if not run.exists():
        names = {SHIPPED: SHIPPED, **{path.name: str(path) for path in trained_runs()}}
        for name in difflib.get_close_matches(run.name, names, n=1):
            return f"do you mean --run {shlex.quote(names[name])}?"
    return "train one first: cxrdiag train"


def is_finished(run: Path) -> bool:
    """Whether the run holds a model and nothing to resume."""
    return (run / INFO).is_file() and not is_interrupted(run)


def is_interrupted(run: Path) -> bool:
    """Whether the run holds a training to resume."""
    return (run / RESUME).is_file()


def trained_runs(runs: Path = RUNS) -> list[Path]:
    """The runs in `runs` that hold a model, the one finished last at the end."""
    return _with(runs, INFO)


def _newest(runs: Path, marker: str, problem: str, hint: str) -> Path:
    found = _with(runs, marker)
    if not found:
        raise ModelError(problem, path=runs, hint=hint, code="no_run")
    return found[-1]


def _with(runs: Path, marker: str) -> list[Path]:
    """The folders in `runs` with a file `marker`, that of the newest last."""
    folders = list(runs.iterdir()) if runs.is_dir() else []
    marked = [path for path in (folder / marker for folder in folders) if os.path.isfile(path)]
    found = [(path.stat().st_mtime_ns, path.parent) for path in marked]
    return [folder for _, folder in sorted(found)]
