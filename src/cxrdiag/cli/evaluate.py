"""`cxrdiag eval`: run + store -> metrics, predictions and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cxrdiag.cli.options import STORE, Data, Device, Json, Run
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
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Evaluate a run, at the threshold that training chose on validation.

    Each evaluation on test is counted in the run's test_evaluations.json. What is written for the
    shipped model (--run shipped) goes to runs/shipped. Of several runs (--runs A B C) mean and
    deviation are shown; one that was evaluated on this store already is not evaluated again.
    """
    from cxrdiag import runs
    from cxrdiag.cli.console import err, print_json
    from cxrdiag.data.store import open_store
    from cxrdiag.evaluation.evaluate import evaluate as evaluate_run
    from cxrdiag.model.device import choose_device

    if more and runs_ is None:
        raise UsageError(f"what is {more[0]}?", hint="--run RUN, or --runs A B C", code="no_option")
    if runs_ is not None:
        if run is not None:
            raise UsageError("--run and --runs", hint="one of them", code="two_options")
        _evaluate_several([runs_, *(more or [])], data, split, device, json)
        return
    model = runs.find_model(run or runs.newest_run())
    out = runs.evaluation_folder(model)
    metrics = evaluate_run(model, open_store(data), split, choose_device(device), out)
    if json:
        print_json({"run": str(out), **metrics})
        return
    if not metrics["trained_on_this_store"]:
        err.print(
            "warning: this is not the store that the model was trained on; whether its films were "
            "among those of training is not known, and if they were, this says nothing",
            soft_wrap=True,
        )
    show_metrics(out, metrics)


_SHORT = {"sensitivity": "sens.", "specificity": "spec.", "brier": "Brier"}
"""So that a row fits a terminal."""


def _evaluate_several(names: list[Path], data: Path, split: str, device: str, json: bool) -> None:
    from cxrdiag import runs
    from cxrdiag.cli.console import err, out, print_json, table
    from cxrdiag.data.store import open_store
    from cxrdiag.evaluation.evaluate import evaluate as evaluate_run
    from cxrdiag.evaluation.evaluate import is_evaluated
    from cxrdiag.evaluation.metrics import NAMES
    from cxrdiag.evaluation.several import refuse_few, summarise
    from cxrdiag.model.device import choose_device

    models = [runs.find_model(name) for name in names]
    folders = [runs.evaluation_folder(model) for model in models]
    refuse_few(folders)  # before a look at test, not after it
    store, where = open_store(data), choose_device(device)
    for model, folder in zip(models, folders, strict=True):
        if not is_evaluated(model, folder, store, split):
            err.print(f"evaluating {runs.model_name(model)}", soft_wrap=True)
            evaluate_run(model, store, split, where, folder)
    found = summarise(folders, split)
    if json:
        print_json(found)
        return
    several = {name: found[name] for name in NAMES if found[name] is not None}
    rows = [
        [str(folder), *(f"{metric['values'][i]:.3f}" for metric in several.values())]
        for i, folder in enumerate(folders)
    ]
    for what, key in (("mean", "mean"), ("deviation", "sd")):
        rows.append([what, *(f"{metric[key]:.3f}" for metric in several.values())])
    title = f"{len(folders)} runs on {split}, {found['n']} images"
    columns = ["", *(_SHORT.get(name, NAMES[name]) for name in several)]
    out.print(table(title, columns, rows))


def show_metrics(run: Path, metrics: dict[str, Any]) -> None:
    """Print the table of metrics and where the files are."""
    from cxrdiag.cli.console import out, table, with_interval
    from cxrdiag.evaluation.metrics import NAMES, PREVALENCES
    from cxrdiag.model.classifier import DEFAULT_POINT
    from cxrdiag.runs import of_split

    subtypes = [key.removesuffix("_sensitivity") for key in metrics if key.endswith("_sensitivity")]
    names = NAMES | {
        f"{subtype}_sensitivity": f"sensitivity, {subtype} (n = {metrics[f'{subtype}_n']})"
        for subtype in subtypes
    }
    rows = [[shown, *with_interval(metrics, name)] for name, shown in names.items()]
    title = (
        f"{run.name} on {metrics['split']}: {metrics['n_normal']} normal, "
        f"{metrics['n_pneumonia']} pneumonia, threshold {metrics['threshold']:.3f}"
    )
    out.print(table(title, ["", "", "95 % interval"], rows))
    here = [" (".join(with_interval(metrics, name)) + ")" for name in ("ppv", "npv")]
    elsewhere = [
        [
            f"{share:.0%}",
            *(with_interval(metrics, f"{v}_at_{share:.2f}")[0] for v in ("ppv", "npv")),
        ]
        for share in PREVALENCES
    ]
    out.print(
        table(
            "How often a call is right, by how common pneumonia is",
            ["prevalence", "Pneumonia (PPV)", "Normal (NPV)"],
            [[f"here, {metrics['prevalence']:.0%}", *here], *elsewhere],
        )
    )
    points = [
        [
            f"{name} (used)" if name == DEFAULT_POINT else name,
            f"{point['threshold']:.3f}",
            *(with_interval(point, rate)[0] for rate in ("sensitivity", "specificity")),
        ]
        for name, point in metrics["operating_points"].items()
    ]
    columns = ["chosen on validation", "threshold", "sensitivity", "specificity"]
    out.print(table("Operating points", columns, points))
    certain, uncertain = (
        with_interval(metrics, f"accuracy_if_{name}")[0] for name in ("certain", "uncertain")
    )
    with_it, without = (
        with_interval(metrics, f"ece_reweighted{which}")[0]
        for which in ("", "_without_temperature")
    )
    out.print(
        f"{metrics['uncertain_n']} answers are uncertain: right {uncertain}, the others {certain}\n"
        f"probabilities hold where {metrics['probability_prevalence']:.0%} of films show a "
        f"pneumonia; weighed so, the ECE here is {with_it}, without temperature {without}\n"
        f"predict would refuse {metrics['refused']:.1%} of these images, and warn of "
        f"{metrics['unlike_training']:.1%}",
        soft_wrap=True,
    )
    files = ("metrics.json", "predictions.csv", "confusion.png", "roc.png", "report.html")
    named = [of_split(name, metrics["split"]) for name in files]
    there = [name for name in named if (run / name).exists()]
    out.print(f"{run}: {', '.join(there)}", soft_wrap=True)
    if (count := metrics.get("test_evaluations", 1)) > 1:
        out.print(f"evaluated on test {count} times; choose nothing by it")
