"""`cxrdiag eval`: run + store -> metrics, predictions and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cxrdiag.cli.options import STORE, Data, Device, Json, OperatingPoint, Run
from cxrdiag.errors import UsageError


def evaluate(
    more: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN", help="More runs, after --runs.")
    ] = None,
    run: Run = None,
    runs_: Annotated[
        Path | None,
        typer.Option(
            "--runs", metavar="RUN", help="Several runs, as of several seeds: --runs A B C."
        ),
    ] = None,
    data: Data = STORE,
    split: Annotated[str, typer.Option(help="test, val or train.")] = "test",
    operating_point: OperatingPoint = "balanced",
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Evaluate a run, at the threshold chosen on validation.

    Each evaluation on test is counted in the run's test_evaluations.json. What is written for the
    shipped model (--run shipped) goes to runs/shipped. Of several runs (--runs A B C) mean and
    deviation are shown; one that was evaluated on this store already, at the same operating point,
    is not evaluated again.
    """
    from cxrdiag import runs
    from cxrdiag.cli.console import print_json, warn_of_another_store
    from cxrdiag.data.store import open_store
    from cxrdiag.evaluation.evaluate import evaluate as evaluate_run
    from cxrdiag.model.device import choose_device

    if more and runs_ is None:
        raise UsageError(f"what is {more[0]}?", hint="--run RUN, or --runs A B C", code="no_option")
    if runs_ is not None:
        if run is not None:
            raise UsageError("--run and --runs", hint="one of them", code="two_options")
        names = [runs_, *(more or [])]
        _evaluate_several(names, data, split, operating_point, device, json)
        return
    model = runs.find_model(run or runs.newest_run())
    out = runs.evaluation_folder(model)
    store, where = open_store(data), choose_device(device)
    metrics = evaluate_run(model, store, split, where, operating_point)
    if json:
        print_json({"run": str(out), **metrics})
        return
    if not metrics["trained_on_this_store"]:
        warn_of_another_store()
    show_metrics(out, metrics)


_CLASSES = ("normal", "pneumonia")
_SHORT = {"sensitivity": "sens.", "specificity": "spec.", "brier": "Brier"}
"""So that a row fits a terminal."""


def _evaluate_several(
    names: list[Path], data: Path, split: str, operating_point: str, device: str, json: bool
) -> None:
    from cxrdiag import runs
    from cxrdiag.cli.console import err, out, print_json, table, warn_of_another_store
    from cxrdiag.data.store import open_store
    from cxrdiag.evaluation.evaluate import evaluate as evaluate_run
    from cxrdiag.evaluation.evaluate import is_evaluated
    from cxrdiag.evaluation.metrics import NAMES
    from cxrdiag.evaluation.several import refuse_few, summarise
    from cxrdiag.evaluation.words import share
    from cxrdiag.model.device import choose_device

    models = [runs.find_model(name) for name in names]
    folders = [runs.evaluation_folder(model) for model in models]
    refuse_few(folders)  # before a look at test, not after it
    store, where = open_store(data), choose_device(device)
    for model in models:
        if not is_evaluated(model, store, split, operating_point):
            err.print(f"evaluating {runs.model_name(model)}", soft_wrap=True)
            metrics = evaluate_run(model, store, split, where, operating_point)
            if not metrics["trained_on_this_store"]:
                warn_of_another_store()
    found = summarise(folders, split)
    if json:
        print_json(found)
        return
    several = {name: found[name] for name in NAMES if found[name] is not None}
    rows = [
        [str(folder), *(share(metric["values"][i]) for metric in several.values())]
        for i, folder in enumerate(folders)
    ]
    for what, key in (("mean", "mean"), ("deviation", "sd")):
        rows.append([what, *(share(metric[key]) for metric in several.values())])
    title = f"{len(folders)} runs on {split}, {found['n']} images"
    columns = ["", *(_SHORT.get(name, NAMES[name]) for name in several)]
    out.print(table(title, columns, rows))


def _if_calibrated(metrics: dict[str, Any]) -> str:
    below = metrics["ece_reweighted_if_calibrated_below"]
    return "" if below is None else f"; were they true, below {below:.3f} in 19 of 20 draws"


def show_metrics(run: Path, metrics: dict[str, Any]) -> None:
    """Print the table of metrics and where the files are."""
    from cxrdiag.cli.console import out, table, with_interval
    from cxrdiag.evaluation.metrics import NAMES, PREVALENCES
    from cxrdiag.evaluation.words import in_words
    from cxrdiag.runs import of_split

    kinds = [key.removesuffix("_sensitivity") for key in metrics if key.endswith("_sensitivity")]
    names = NAMES | {
        f"{kind}_sensitivity": f"sensitivity, {kind} (n = {metrics[f'{kind}_n']})"
        for kind in kinds
        if metrics[f"{kind}_n"]
    }
    rows = [[shown, *with_interval(metrics, name)] for name, shown in names.items()]
    rows += [[f"{kind} (n = 0)", "no claim", ""] for kind in kinds if not metrics[f"{kind}_n"]]
    rows += [
        [f"specificity, series {name} (n = {found['n']})", *with_interval(found, "specificity")]
        for name, found in metrics["specificity_by_series"].items()
    ]
    title = (
        f"{run.name} on {metrics['split']}: {metrics['n_normal']} normal, "
        f"{metrics['n_pneumonia']} pneumonia, threshold {metrics['threshold']:.3f}"
    )
    out.print(table(title, ["", "", "95 % interval"], rows))
    here = f"here, {metrics['prevalence']:.0%}"
    predictive = [(here, "ppv", "npv")] + [
        (f"{share:.0%}", f"ppv_at_{share:.2f}", f"npv_at_{share:.2f}") for share in PREVALENCES
    ]
    out.print(
        table(
            "How often calls of Pneumonia (PPV) and Normal (NPV) are right",
            ["prevalence", "PPV", "95 % interval", "NPV", "95 % interval"],
            [
                [shown, *with_interval(metrics, ppv), *with_interval(metrics, npv)]
                for shown, ppv, npv in predictive
            ],
        )
    )
    points = [
        [
            f"{name} (used)" if name == metrics["operating_point"] else name,
            f"{point['threshold']:.3f}",
            *with_interval(point, "sensitivity"),
            *with_interval(point, "specificity"),
        ]
        for name, point in metrics["operating_points"].items()
    ]
    columns = ["operating point", "at", "sens.", "95 % interval", "spec.", "95 % interval"]
    out.print(table("Thresholds chosen on validation", columns, points))
    certain, uncertain, calibrated, raw = (
        in_words(metrics, name)
        for name in (
            "accuracy_if_certain",
            "accuracy_if_uncertain",
            "ece_reweighted",
            "ece_reweighted_without_temperature",
        )
    )
    out.print(
        f"{metrics['uncertain_n']} answers are uncertain: right {uncertain}, the others {certain}\n"
        f"probabilities hold where {metrics['probability_prevalence']:.0%} of films show a "
        f"pneumonia; weighed so, the ECE here is {calibrated}, without temperature {raw}"
        f"{_if_calibrated(metrics)}\n"
        f"predict would refuse {metrics['refused']:.1%} of these images, and warn of "
        f"{metrics['unlike_training']:.1%}",
        soft_wrap=True,
    )
    if metrics["shortcuts"]:
        rows = [
            [
                name,
                *with_interval(told, "auroc"),
                *(with_interval(told, f"lean_{label}")[0] for label in _CLASSES),
            ]
            for name, told in metrics["shortcuts"].items()
        ]
        title = "Shortcuts alone; their rank correlation with the network's answers in a class"
        columns = ["", "AUROC", "95 % interval", "Normal", "Pneumonia"]
        out.print(table(title, columns, rows))
    files = ("metrics.json", "predictions.csv", "confusion.png", "roc.png", "report.html")
    named = [of_split(name, metrics["split"]) for name in files]
    there = [name for name in named if (run / name).exists()]
    out.print(f"{run}: {', '.join(there)}", soft_wrap=True)
    if (count := metrics.get("test_evaluations", 1)) > 1:
        out.print(f"evaluated on test {count} times; choose nothing by it")
