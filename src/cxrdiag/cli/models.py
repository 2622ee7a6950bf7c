"""`cxrdiag models`: what there is to predict with."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Any

import typer

from cxrdiag.cli.options import Json

_MODEL = ("recipe", "seed", "arch", "width", "resolution")
_METRICS = ("n", "accuracy", "accuracy_ci95", "auroc", "auroc_ci95", "test_evaluations")


def models(json: Json = False) -> None:
    """List the model that ships with cxrdiag and the runs here, with their results on test.

    The numbers are those that `cxrdiag eval` wrote, on the test split of whatever store it was
    given.
    """
    from cxrdiag import runs
    from cxrdiag.cli.console import err, out, print_json, table, with_interval

    trained = runs.finished_runs()
    folders = [*([runs.WEIGHTS] if runs.is_finished(runs.WEIGHTS) else []), *trained]
    rows = [{"model": runs.model_name(folder), **_describe(folder)} for folder in folders]
    if json:
        print_json({"models": rows})
        return
    shown = [
        [
            row["model"],
            f"{row['recipe']}, seed {row['seed']}" if row["arch"] else "damaged model.json",
            *with_interval(row, "accuracy"),
            with_interval(row, "auroc")[0],
        ]
        for row in rows
    ]
    out.print(table("", ["model", "trained by", "accuracy", "95 % interval", "AUROC"], shown))
    if not trained:
        err.print("no runs here; train one: cxrdiag train")
    typer.echo("cxrdiag predict takes the newest run, or the shipped model; --run NAME another")


def _describe(folder: Path) -> dict[str, Any]:
    """What model.json and, where it was evaluated on test, metrics.json say; else None."""
    model, metrics = (_read(folder / name) for name in ("model.json", "metrics.json"))
    return {name: model.get(name) for name in _MODEL} | {
        name: metrics.get(name) for name in _METRICS
    }


def _read(path: Path) -> dict[str, Any]:
    """The document, or {} where there is none to read: `predict` says what is wrong with it."""
    try:
        document = jsonlib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
