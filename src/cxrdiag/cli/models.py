"""`cxrdiag models`: what there is to predict with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cxrdiag.cli.options import Json
from cxrdiag.errors import DataError

_MODEL = {"recipe": str, "seed": int, "arch": str, "width": int, "resolution": int}
_METRICS = (
    "n",
    "operating_point",
    "accuracy",
    "accuracy_ci95",
    "auroc",
    "auroc_ci95",
    "test_evaluations",
)


def models(json: Json = False) -> None:
    """List the shipped model and the runs here, with their results.

    The numbers of a run are those that `cxrdiag eval` wrote, on the test split of whatever store it
    was given; those of the shipped model came with it.
    """
    from cxrdiag import runs
    from cxrdiag.cli.console import err, out, print_json, table, with_interval

    trained = runs.trained_runs()
    folders = [*([runs.SHIPPED_FOLDER] if runs.is_finished(runs.SHIPPED_FOLDER) else []), *trained]
    rows = [{"model": runs.model_name(folder), **_describe(folder)} for folder in folders]
    if json:
        print_json({"models": rows})
        return
    shown = [
        [
            row["model"],
            f"{row['recipe']}, seed {row['seed']}" if row["arch"] else "damaged model.json",
            _films(row),
            "\n".join(with_interval(row, "accuracy")),
            "\n".join(with_interval(row, "auroc")),
        ]
        for row in rows
    ]
    columns = ["model", "trained by", "test films", "accuracy", "AUROC"]
    out.print(table("with 95 % intervals", columns, shown))
    if trained:
        out.print("cxrdiag predict uses the newest run, the last one here; --run takes another")
    elif folders:
        out.print("cxrdiag predict uses it until there is a run of your own: cxrdiag train")
    else:
        err.print("no model here; train one: cxrdiag train")


def _films(row: dict[str, Any]) -> str:
    from cxrdiag.model.info import DEFAULT_POINT

    if row["n"] is None:
        return "-"
    point = row["operating_point"]
    return str(row["n"]) if point == DEFAULT_POINT else f"{row['n']}\nat {point}"


def _describe(folder: Path) -> dict[str, Any]:
    """What model.json and, where it was evaluated on test, metrics.json say; else None."""
    from cxrdiag.evaluation.read import read_metrics
    from cxrdiag.files import read_json
    from cxrdiag.runs import INFO

    model = read_json(folder / INFO)  # what is wrong with a damaged one `predict` says
    described = {name: model.get(name) for name in _MODEL}
    types = [type(value) for value in described.values()]
    if types != list(_MODEL.values()) or not "".join(map(str, described.values())).isprintable():
        described = dict.fromkeys(_MODEL)
    try:
        metrics = read_metrics(folder, "test")
    except (DataError, OSError):  # `compare` says why
        metrics = {}
    return described | {name: metrics.get(name) for name in _METRICS}
