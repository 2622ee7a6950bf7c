"""`cxrdiag eval`: run + store -> metrics, predictions and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cxrdiag.cli.options import STORE, Data, Device, Json, OperatingPoint, Run
from cxrdiag.errors import UsageError


def evaluate(
    more: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RUN", help="More runs, after --runs.", readable=False),
    ] = None,
    run: Run = None,
    runs_: Annotated[
        list[Path] | None,
        typer.Option(
            "--runs",
            metavar="RUN",
            help="Several runs, for example of several seeds: --runs A B C.",
            readable=False,
        ),
    ] = None,
    data: Data = STORE,
    split: Annotated[str, typer.Option(help="test, val or train.")] = "test",
    operating_point: OperatingPoint = "balanced",
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Evaluate a run, at the threshold chosen on validation.

    Each evaluation on test is counted in the run's test_evaluations.json. Results of the shipped
    model (--run shipped) go to runs/shipped. With --runs A B C, the mean and standard deviation of
    several runs are shown; a run already evaluated on this store at the same operating point is not
    evaluated again.
    """
    from cxrdiag import runs
    from cxrdiag.cli.console import print_json
    from cxrdiag.cli.metrics import show_looks, show_metrics, warn_of_films
    from cxrdiag.data.store import open_store
    from cxrdiag.evaluation.evaluate import evaluate as evaluate_run
    from cxrdiag.evaluation.words import caution
    from cxrdiag.model.device import choose_device

    if more and not runs_:
        raise UsageError(
            f"unexpected argument {str(more[0])!r}",
            hint="--run RUN, or --runs A B C",
            code="no_option",
        )
    if runs_:
        if run is not None:
            hint = "give one of them"
            raise UsageError("--run and --runs exclude each other", hint=hint, code="two_options")
        names = [*runs_, *(more or [])]
        _evaluate_several(names, data, split, operating_point, device, json)
        return
    model = runs.find_model(run or runs.newest_run())
    out = runs.evaluation_folder(model)
    store, where = open_store(data), choose_device(device)
    metrics = evaluate_run(model, store, split, where, operating_point)
    if json:
        print_json({"run": str(out), **metrics})
    else:
        show_metrics(out, metrics)
        show_looks([metrics.get("test_evaluations")])
    warn_of_films([caution(metrics)])


_SHORT = {"sensitivity": "sens.", "specificity": "spec.", "brier": "Brier"}
"""So that a row fits a terminal."""


def _evaluate_several(
    names: list[Path], data: Path, split: str, operating_point: str, device: str, json: bool
) -> None:
    from cxrdiag import runs
    from cxrdiag.cli.console import err, print_json
    from cxrdiag.cli.metrics import warn_of_films
    from cxrdiag.data.store import check_image_size, open_store
    from cxrdiag.evaluation.evaluate import evaluate as evaluate_run
    from cxrdiag.evaluation.evaluate import is_evaluated
    from cxrdiag.evaluation.several import refuse_few, summarise
    from cxrdiag.model.checkpoint import load_model
    from cxrdiag.model.device import choose_device
    from cxrdiag.model.info import read_info

    models = [runs.find_model(name) for name in names]
    folders = [runs.evaluation_folder(model) for model in models]
    weights_sha256 = [read_info(model / runs.INFO)[1] for model in models]
    refuse_few(folders, weights_sha256)  # before a look at test, not after it
    store, where = open_store(data), choose_device(device)
    pending = [x for x in models if not is_evaluated(x, store, split, operating_point)]
    for model in pending:  # what is wrong with one of them is told before a look, too
        check_image_size(store, load_model(model, where).at(operating_point).info.image_size)
    for model in pending:
        err.print(f"evaluating {runs.model_name(model)}", soft_wrap=True)
        evaluate_run(model, store, split, where, operating_point)
    found = summarise(folders, split)
    if json:
        print_json(found)
    else:
        _show_several(found, folders)
    warn_of_films(found["cautions"])


def _show_several(found: dict[str, Any], folders: list[Path]) -> None:
    from cxrdiag.cli.console import out, table
    from cxrdiag.cli.metrics import show_looks
    from cxrdiag.evaluation.words import NAMES, share

    several = {name: found[name] for name in NAMES if found[name] is not None}
    rows = [
        [str(folder), *(share(metric["values"][i]) for metric in several.values())]
        for i, folder in enumerate(folders)
    ]
    for what, key in (("mean", "mean"), ("deviation", "sd")):
        rows.append([what, *(share(metric[key]) for metric in several.values())])
    title = f"{len(folders)} runs on {found['split']}, {found['n']} images"
    columns = ["", *(_SHORT.get(name, NAMES[name]) for name in several)]
    out.print(table(title, columns, rows))
    show_looks(found["test_evaluations"])
