"""The metrics of one evaluation, as tables in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from cxrdiag.cli.console import out, table, warn, with_interval
from cxrdiag.evaluation.metrics import PREVALENCES
from cxrdiag.evaluation.words import NAMES, in_words
from cxrdiag.runs import of_split

_TELLING = 0.1
"""Above it an ECE of calibrated answers says nothing: of few films one alone may weigh so much."""
_FILES = ("metrics.json", "predictions.csv", "confusion.png", "roc.png", "report.html")


def show_metrics(run: Path, metrics: dict[str, Any]) -> None:
    """Print what `evaluate` returned of the model of `run`, and where its files are."""
    out.print(_overall(run.resolve().name, metrics))
    out.print(_predictive_values(metrics))
    out.print(_operating_points(metrics))
    out.print(_certainty(metrics), soft_wrap=True)
    if metrics["shortcuts"]:
        out.print(_shortcuts(metrics["shortcuts"]))
    named = [of_split(name, metrics["split"]) for name in _FILES]
    there = [name for name in named if (run / name).exists()]
    out.print(f"{run}: {', '.join(there)}", soft_wrap=True)


def show_looks(evaluations: Sequence[int | None]) -> None:
    """Say how often these models were evaluated on the test split; None is of another split."""
    counts = [count for count in evaluations if count is not None]
    if max(counts, default=1) > 1:
        which = "this model was" if len(counts) == 1 else "these models were"
        out.print(
            f"{which} evaluated on this test split {' and '.join(map(str, counts))} times: choose "
            "no model, threshold or setting by these numbers",
            soft_wrap=True,
        )


def warn_of_films(cautions: Iterable[str | None]) -> None:
    """Say, once each, why scores may promise too much (`caution`)."""
    for why in dict.fromkeys(cautions):
        if why is not None:
            warn(why)


def _overall(name: str, metrics: dict[str, Any]) -> Table:
    rows = [[shown, *with_interval(metrics, key)] for key, shown in NAMES.items()]
    subtypes, series = metrics["subtypes"], metrics["specificity_by_series"]
    for subtype, found in subtypes.items():
        if found["n"]:
            shown = f"sensitivity, {subtype} (n = {found['n']})"
            rows.append([shown, *with_interval(found, "sensitivity")])
    rows += [[f"{name} (n = 0)", "no claim", ""] for name in subtypes if not subtypes[name]["n"]]
    for one, found in series.items():
        shown = f"specificity, series {one} (n = {found['n']})"
        rows.append([shown, *with_interval(found, "specificity")])
    title = (
        f"{name} on {metrics['split']}: {metrics['n_normal']} normal, "
        f"{metrics['n_pneumonia']} pneumonia, threshold {metrics['threshold']:.3f}"
    )
    return table(title, ["", "", "95 % interval"], rows)


def _predictive_values(metrics: dict[str, Any]) -> Table:
    here = f"here, {metrics['prevalence']:.0%}"
    asked = [(here, "ppv", "npv")] + [
        (f"{share:.0%}", f"ppv_at_{share:.2f}", f"npv_at_{share:.2f}") for share in PREVALENCES
    ]
    return table(
        "How often calls of Pneumonia (PPV) and Normal (NPV) are right",
        ["prevalence", "PPV", "95 % interval", "NPV", "95 % interval"],
        [
            [shown, *with_interval(metrics, ppv), *with_interval(metrics, npv)]
            for shown, ppv, npv in asked
        ],
    )


def _operating_points(metrics: dict[str, Any]) -> Table:
    rows = [
        [
            f"{name} (used)" if name == metrics["operating_point"] else name,
            f"{point['threshold']:.3f}",
            *with_interval(point, "sensitivity"),
            *with_interval(point, "specificity"),
        ]
        for name, point in metrics["operating_points"].items()
    ]
    columns = ["operating point", "at", "sens.", "95 % interval", "spec.", "95 % interval"]
    return table("Thresholds chosen on validation", columns, rows)


def _certainty(metrics: dict[str, Any]) -> str:
    n_uncertain = metrics["uncertain_n"]
    right = [
        f"{in_words(metrics, f'accuracy_if_{kind}')} of the {n} {kind} answers"
        for kind, n in (("certain", metrics["n"] - n_uncertain), ("uncertain", n_uncertain))
        if n
    ]
    lines = [f"correct: {', '.join(right)}"]
    if metrics["ece_reweighted"] is not None:
        calibrated, raw = (
            in_words(metrics, f"ece_reweighted{kind}") for kind in ("", "_without_temperature")
        )
        line = (
            f"calibration, films weighed as if {metrics['probability_prevalence']:.0%} showed "
            f"pneumonia: ECE {calibrated}"
        )
        if (below := metrics["ece_reweighted_if_calibrated_below"]) is not None:
            few = ": too few films to tell" if below > _TELLING else ""
            line += f" (perfectly calibrated ones stay below {below:.3f} in 95% of samples{few})"
        lines.append(f"{line}; without temperature {raw}")
    lines.append(
        f"predict would refuse {metrics['refused']:.1%} of these images, and warn of "
        f"{metrics['unlike_training']:.1%}"
    )
    return "\n".join(lines)


def _shortcuts(shortcuts: dict[str, Any]) -> Table:
    rows = [
        [
            name,
            *with_interval(told, "auroc"),
            *(with_interval(told, f"lean_{label}")[0] for label in ("normal", "pneumonia")),
        ]
        for name, told in shortcuts.items()
    ]
    return table(
        "Shortcuts: alone, and rank correlation with the network within a class",
        ["", "AUROC", "95 % interval", "in Normal", "in Pneumonia"],
        rows,
    )
