"""`cxrdiag compare`: two runs that were evaluated on the same images."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from cxrdiag.cli.options import Json
from cxrdiag.errors import ModelError, UsageError


def compare(
    first: Annotated[Path, typer.Argument(help="A run folder, or 'shipped'.", readable=False)],
    second: Annotated[
        Path, typer.Argument(help="Another run folder, or 'shipped'.", readable=False)
    ],
    split: Annotated[str, typer.Option(help="test, val or train.")] = "test",
    json: Json = False,
) -> None:
    """Tell whether one of two runs is better or it may be chance.

    Reads what eval wrote for both; no image is read again.
    """
    from cxrdiag import runs
    from cxrdiag.cli.console import out, print_json, table, with_interval
    from cxrdiag.evaluation.compare import METRICS
    from cxrdiag.evaluation.compare import compare as compare_runs
    from cxrdiag.evaluation.published import OFFICIAL, PUBLISHED
    from cxrdiag.evaluation.words import NAMES, share

    models = [runs.find_model(run) for run in (first, second)]
    for model in models:
        if not model.is_dir():
            hint = runs.way_to_a_model(model)
            raise ModelError("no run is there", path=model, hint=hint, code="no_model")
    a, b = map(runs.evaluation_folder, models)
    if runs.is_same_place(a, b):
        raise UsageError("twice the same run", path=second, hint="name two", code="few_runs")
    found = compare_runs(a, b, split)
    is_official = split == "test" and (found["n"], found["n_normal"]) == OFFICIAL
    if json:
        published = [dataclasses.asdict(other) for other in PUBLISHED] if is_official else []
        print_json({"first": str(a), "second": str(b), **found, "published": published})
        return
    rows = [
        [
            NAMES[name],
            "\n".join(with_interval(found[name], "first")),
            "\n".join(with_interval(found[name], "second")),
            f"{found[name]['difference']:+.3f}\n{_ends(found[name]['difference_ci95'])}",
        ]
        for name in METRICS
    ]
    title = f"{a} and {b} on {split}, {found['n']} images, with 95 % intervals"
    out.print(table(title, ["", "first", "second", "difference"], rows))
    out.print(
        f"{found['only_first_right']} images are called rightly by the first alone, "
        f"{found['only_second_right']} by the second alone; two equally good models would differ "
        f"as much, or more, with a probability of {_p(found['mcnemar_p'])} (McNemar)",
        soft_wrap=True,
    )
    points = found["operating_points"]
    if len(set(points)) > 1:
        out.print(
            f"their operating points differ, {points[0]} and {points[1]}: apart from the AUROC, "
            "this compares thresholds too",
            soft_wrap=True,
        )
    if is_official:
        shown = [
            [f"{p.who}, {p.where}", p.split, *(share(getattr(p, name)) for name in _ORDER)]
            for p in PUBLISHED
        ]
        for name, which in ((str(a), "first"), (str(b), "second")):
            shown.append([name, "these 624 films", *(share(found[m][which]) for m in _ORDER)])
        columns = ["", "tested on", "accuracy", "AUROC", "sens.", "spec."]
        out.print(table("As others report it for the same data", columns, shown))


_ORDER = ("accuracy", "auroc", "sensitivity", "specificity")


def _ends(interval: list[float] | None) -> str:
    return "-" if interval is None else "{:+.3f} to {:+.3f}".format(*interval)


def _p(value: float) -> str:
    return "less than 0.001" if value < 0.001 else f"{value:.3f}"
