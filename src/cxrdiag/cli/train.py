"""`cxrdiag train`: store -> run folder."""

from __future__ import annotations

import dataclasses
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxrdiag.cli.options import STORE, Data, Device, Json
from cxrdiag.cli.signals import Signals
from cxrdiag.errors import DataError, UsageError

if TYPE_CHECKING:
    from cxrdiag.training.config import Recipe
    from cxrdiag.training.history import Epoch
    from cxrdiag.training.reporter import Step


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
            _show_result(run, data, json, seconds=0.0)
            return
        store, where = open_store(data), choose_device(device)
        run = run or runs.new_run(config.name)
        started = time.perf_counter()
        n, n_epochs = len(store.rows("train")), config.training.epochs
        start = f"{n} films by recipe {config.name}, {n_epochs} epochs -> {run}"
        with _Progress(config, start, json, signals.check) as progress:
            try:
                fit(config, store, run, device=where, resume=resume, reporter=progress.reporter)
            except (Stop, KeyboardInterrupt):
                progress.bar.stop()
                try:
                    _show_interrupted(run, data, device)
                finally:  # who reads it may have heard the same signal, and be gone
                    raise typer.Exit(128 + signals.received) from None
        _show_result(run, data, json, seconds=time.perf_counter() - started)


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


class _Progress:
    """A live line for the epoch at hand, and a printed one for each that is done."""

    def __init__(self, config: Recipe, start: str, quiet: bool, pause: Callable[[], None]) -> None:
        """`start` is said after the first step: an epoch may take minutes."""
        from cxrdiag.cli.console import err, progress_bar
        from cxrdiag.training.reporter import Reporter

        self._epochs = config.training.epochs
        self._start = "" if quiet else start
        self.bar = progress_bar(quiet)
        self._task = self.bar.add_task("training", total=None, note="")
        self._quiet = quiet
        self._console = err
        self._auroc = ""
        self.reporter = Reporter(step=self._step, epoch=self._epoch, pause=pause, note=self._note)

    def __enter__(self) -> _Progress:
        self.bar.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.stop()

    def _note(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)

    def _step(self, step: Step) -> None:
        if self._start:
            self._note(self._start)
            self._start = ""
        note = f"loss {step.loss:.3f}{self._auroc}  {step.images_per_s:.0f} images/s"
        self.bar.update(
            self._task,
            description=f"epoch {step.epoch}/{self._epochs}",
            completed=(step.epoch - 1) * step.n_steps + step.step,
            total=self._epochs * step.n_steps,
            note=note,
        )

    def _epoch(self, row: Epoch) -> None:
        self._auroc = f"  shifted AUROC {row.shifted_auroc:.4f}"
        if not self._quiet:
            self._console.print(
                f"epoch {row.epoch:3}/{self._epochs}  loss {row.train_loss:.3f}  "
                f"accuracy {row.train_accuracy:.3f}  |  validation: loss {row.val_loss:.3f}  "
                f"accuracy {row.val_accuracy:.3f}  AUROC {row.val_auroc:.4f}, "
                f"shifted {row.shifted_auroc:.4f}  |  {row.images_per_s:.0f} images/s",
                soft_wrap=True,
            )


def _command(name: str, run: Path, data: Path, more: Sequence[str] = ()) -> str:
    where = ["--run", str(run), *(["--data", str(data)] if data != STORE else [])]
    return f"cxrdiag {name} {shlex.join([*where, *more])}"


def _split(data: Path) -> Sequence[str]:
    """What `eval` is to be told of a store without a test split."""
    from cxrdiag.data.store import open_store

    try:
        has_test = "test" in set(open_store(data).records["split"])
    except DataError:  # it may be gone: the model is there
        has_test = True
    return () if has_test else ("--split", "val")


def _show_result(run: Path, data: Path, as_json: bool, seconds: float) -> None:
    from cxrdiag import runs
    from cxrdiag.cli.console import out, print_json
    from cxrdiag.model.info import read_info

    info, weights_sha256 = read_info(run / runs.INFO)
    if as_json:
        model = {**dataclasses.asdict(info), "weights_sha256": weights_sha256}
        print_json({"run": str(run), "seconds": seconds, "model": model})
        return
    out.print(
        f"epoch {info.epoch} kept, threshold {info.threshold:.3f}, "
        f"both by shifted validation; {seconds:.0f} s",
        f"{run}/model.safetensors, curves.png, history.csv",
        f"next: {_command('eval', run, data, _split(data))}",
        sep="\n",
        soft_wrap=True,
    )
