"""`cxrdiag eval`: run + store -> metrics, predictions and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cxrdiag.cli.options import STORE, Data, Device, Json, Run
from cxrdiag.errors import UsageError


def evaluate(
    more: Annotated[
        list[Path] | None, typer.Argument(metavar="[RUN]...", help="More runs, after --runs.")
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
    deviation are shown; one that was evaluated already is not evaluated again.
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
    out = runs.RUNS / runs.SHIPPED if model == runs.SHIPPED_FOLDER else model
    metrics = evaluate_run(model, open_store(data), split, choose_device(device), out)
    if json:
        print_json({"run": str(out), **metrics})
        return
    show_metrics(out, metrics)
    if not metrics["trained_on_this_store"]:
        err.print("note: this is not the store that the model was trained on")


def _evaluate_several(names: list[Path], data: Path, split: str, device: str, json: bool) -> None:
    from cxrdiag import runs
    from cxrdiag.cli.console import err, out, print_json, table
    from cxrdiag.data.store import open_store
    from cxrdiag.evaluation.evaluate import evaluate as evaluate_run
    from cxrdiag.evaluation.metrics import NAMES
    from cxrdiag.evaluation.several import summarise
    from cxrdiag.model.device import choose_device

    suffix = "" if split == "test" else f"-{split}"
    folders = []
    for name in names:
        model = runs.find_model(name)
        folders.append(runs.RUNS / runs.SHIPPED if model == runs.SHIPPED_FOLDER else model)
        if not (folders[-1] / f"metrics{suffix}.json").is_file():
            err.print(f"evaluating {name}", soft_wrap=True)
            evaluate_run(model, open_store(data), split, choose_device(device), folders[-1])
    found = summarise(folders, split)
    if json:
        print_json(found)
        return
    rows = [
        [shown, "-", *("-" for _ in folders)]
        if found[name] is None
        else [
            shown,
            f"{found[name]['mean']:.3f} ± {found[name]['sd']:.3f}",
            *(f"{value:.3f}" for value in found[name]["values"]),
        ]
        for name, shown in NAMES.items()
    ]
    title = f"{len(folders)} runs on {split}, {found['n']} images"
    columns = ["", "mean ± deviation", *(folder.name for folder in folders)]
    out.print(table(title, columns, rows))


def show_metrics(run: Path, metrics: dict[str, Any]) -> None:
    """Print the table of metrics and where the files are."""
    from cxrdiag.cli.console import out, table, with_interval
    from cxrdiag.evaluation.metrics import NAMES, PREVALENCES

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
            f"{name}{' (used)' if point['threshold'] == metrics['threshold'] else ''}",
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
    suffix = "" if metrics["split"] == "test" else f"-{metrics['split']}"
    files = ("metrics{}.json", "predictions{}.csv", "confusion{}.png", "roc{}.png", "report{}.html")
    there = [name.format(suffix) for name in files if (run / name.format(suffix)).exists()]
    out.print(f"{run}: {', '.join(there)}", soft_wrap=True)
    if (count := metrics.get("test_evaluations", 1)) > 1:
        out.print(f"evaluated on test {count} times; choose nothing by it")
