"""`cxrdiag train`: store -> run folder."""

from __future__ import annotations

import dataclasses
import shlex
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxrdiag.cli.options import STORE, Data, Device, Json
from cxrdiag.cli.signals import Signals
from cxrdiag.errors import DataError, UsageError

if TYPE_CHECKING:
    from cxrdiag.data.store import Store

_FEW = 50
"""Validation films of a class: of fewer, each is more than 2 % of them."""


def train(
    data: Data = STORE,
    run: Annotated[
        Path | None,
        typer.Option(help="The run folder.", show_default="runs/RECIPE-1, -2, ...", readable=False),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Passes over the data.", show_default="the recipe's"),
    ] = None,
    device: Device = "auto",
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**32 - 1,
            help="Seed of the weights and the order of images.",
            show_default="the recipe's",
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="default, best, finetune, original, smoke, or a YAML file.",
            show_default="default; with --init, finetune",
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            help="Weights to start from. shipped: the model in the package, trained on "
            "CoronaHack's official train split. imagenet: torchvision's, which are downloaded.",
            show_default="random weights",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one recipe key."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the interrupted run (--run, or the newest).")
    ] = False,
    json: Json = False,
) -> None:
    """Train a classifier on a prepared store.

    The test split is not touched. If interrupted by Ctrl-C or SIGTERM, the training is saved after
    the current step; --resume continues from there and ends, on the same processor, with the
    weights of a training that was never interrupted.
    """
    with Signals() as signals:  # from before the imports on, of which some are of C++ code
        from cxrdiag import runs
        from cxrdiag.cli.console import err
        from cxrdiag.cli.progress import TrainingProgress
        from cxrdiag.data.store import open_store
        from cxrdiag.model.device import choose_device
        from cxrdiag.training.recipe import load_recipe
        from cxrdiag.training.reporter import Stop
        from cxrdiag.training.resume import check_resume
        from cxrdiag.training.trainer import fit

        overrides = list(set_ or [])
        overrides += [f"training.epochs={epochs}"] if epochs is not None else []
        overrides += [f"training.seed={seed}"] if seed is not None else []
        overrides += [f"training.init={init}"] if init is not None else []
        if resume:
            if recipe or overrides:
                raise UsageError(
                    "--resume goes on with the run's own recipe",
                    hint="leave out --recipe, --init, --set, --epochs and --seed",
                    code="resume_recipe",
                )
            run = run or runs.newest_interrupted_run()
            if not runs.is_finished(run):
                check_resume(run)
            recipe = str(run / "config.yaml")
        if init == "imagenet" and recipe is None:
            overrides.insert(0, "model.width=64")  # there are no narrower ones
        config = load_recipe(
            recipe or ("finetune" if init in ("shipped", "imagenet") else "default"), overrides
        )
        if run:
            _refuse_run(run, resume=resume)
        if run and resume and runs.is_finished(run):
            _show_result(run, data, _store_if_there(data), json, seconds=0.0)
            err.print(f"{run} is finished already", soft_wrap=True)
            return
        store, where = open_store(data), choose_device(device)
        n, n_epochs = len(store.rows("train")), config.training.epochs
        run = run or runs.new_run(config.name)
        started = time.perf_counter()
        epochs_ = f"{n_epochs} epoch{'s' * (n_epochs != 1)}"
        start = f"{n} films by recipe {config.name}, {epochs_} -> {run}"
        with TrainingProgress(config, start, json, signals.check) as progress:
            try:
                fit(config, store, run, device=where, resume=resume, reporter=progress.reporter)
            except (Stop, KeyboardInterrupt):
                progress.bar.stop()
                try:
                    _show_interrupted(run, data, device)
                finally:  # who reads it may have heard the same signal, and be gone
                    raise typer.Exit(128 + signals.received) from None
        _show_result(run, data, store, json, seconds=time.perf_counter() - started)


def _refuse_run(run: Path, *, resume: bool) -> None:
    """Raise UsageError where a run folder cannot be made, or holds something already."""
    from cxrdiag import runs

    if run.exists() and not run.is_dir():
        raise UsageError(
            "a file, and not a folder", path=run, hint="name another --run", code="not_a_folder"
        )
    if not resume and run.exists() and any(run.iterdir()):
        raise UsageError(
            "this folder holds something already",
            path=run,
            hint="choose another --run"
            + (", or go on with it: --resume" if runs.is_interrupted(run) else ""),
            code="run_exists",
        )
    reserved = (Path(runs.SHIPPED), runs.RUNS / runs.SHIPPED)
    if any(runs.is_same_place(run, path) for path in reserved):
        raise UsageError(
            f"{runs.SHIPPED!r} is the name of the model in the package",
            path=run,
            hint="choose another --run",
            code="reserved_name",
        )


def _show_interrupted(run: Path, data: Path, device: str) -> None:
    from cxrdiag import runs
    from cxrdiag.cli.console import err

    if runs.is_interrupted(run):
        # On another device the sums would round differently.
        same_device = [] if device == "auto" else ["--device", device]
        message = f"saved; go on with: {_command('train --resume', run, data, same_device)}"
    else:
        message = "interrupted before the first step was saved: nothing to resume"
    err.print(message, soft_wrap=True)


def _command(name: str, run: Path, data: Path, more: Sequence[str] = ()) -> str:
    where = ["--run", str(run), *(["--data", str(data)] if data != STORE else [])]
    return f"cxrdiag {name} {shlex.join([*where, *more])}"


def _store_if_there(data: Path) -> Store | None:
    """That of a training which ended earlier may be gone by now."""
    from cxrdiag.data.store import open_store

    try:
        return open_store(data)
    except DataError:
        return None


def _show_result(run: Path, data: Path, store: Store | None, as_json: bool, seconds: float) -> None:
    from cxrdiag import runs
    from cxrdiag.cli.console import out, print_json, warn
    from cxrdiag.model.info import read_info

    info, weights_sha256 = read_info(run / runs.INFO)
    if as_json:
        model = {**dataclasses.asdict(info), "weights_sha256": weights_sha256}
        print_json({"run": str(run), "seconds": seconds, "model": model})
        return
    n_films: Counter[tuple[str, str]] = Counter()
    if store is not None:
        n_films.update(zip(store.records["split"], store.records["label"], strict=True))
    has_test = store is None or any(split == "test" for split, _ in n_films)
    out.print(
        f"epoch {info.epoch} kept, threshold {info.threshold:.3f}, "
        f"both by shifted validation; {seconds:.0f} s",
        f"{run}/model.safetensors, curves.png, history.csv",
        f"next: {_command('eval', run, data, () if has_test else ('--split', 'val'))}",
        sep="\n",
        soft_wrap=True,
    )
    few = [f"{n} {label}" for (split, label), n in n_films.items() if split == "val" and n < _FEW]
    if few:
        warn(
            f"few validation films, {' and '.join(few)}: the epoch, the temperature and the "
            "thresholds that they chose are rough"
        )
