"""fit(): a store and a recipe become a run folder; interrupted, it goes on where it was saved."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from cxrdiag import __version__
from cxrdiag.data.batches import Split
from cxrdiag.data.store import Store
from cxrdiag.errors import DataError, TrainingError, UsageError, is_out_of_memory
from cxrdiag.files import held, read_json, remove_strays, write_json, write_text
from cxrdiag.model.checkpoint import halved, load_model, save_model
from cxrdiag.model.classifier import Classifier
from cxrdiag.model.device import number_format, to_device
from cxrdiag.model.info import ModelInfo, is_too_large
from cxrdiag.model.resnet import ResNet
from cxrdiag.runs import RESUME, discard, is_finished, is_interrupted
from cxrdiag.training.config import Recipe
from cxrdiag.training.detector import fit_detector
from cxrdiag.training.environment import describe_environment
from cxrdiag.training.epoch import Job, run_epoch
from cxrdiag.training.gradients import Gradients, out_of_memory
from cxrdiag.training.history import Epoch, draw_curves, write_history
from cxrdiag.training.memory import kept_memory
from cxrdiag.training.optimisation import build_optimizer, class_weights
from cxrdiag.training.recipe import dump_recipe
from cxrdiag.training.reporter import Reporter, Stop
from cxrdiag.training.resume import check_resume
from cxrdiag.training.start import Start, load_start
from cxrdiag.training.state import State
from cxrdiag.training.validation import Validation


def fit(
    recipe: Recipe,
    store: Store,
    run: Path,
    *,
    device: torch.device,
    resume: bool = False,
    reporter: Reporter | None = None,
) -> Classifier:
    """Train on the store's train split, choose on its val split, write the run folder `run`.

    The weights kept are those of the epoch of highest AUROC on shifted validation, by which their
    threshold is chosen too; the test split is not read. All randomness of an epoch derives from
    the seed and the epoch's number: a training that was stopped and resumed ends with the weights
    of one that never was, bit for bit on one machine's CPU (a GPU's sums may round differently).

    Raises TrainingError on a non-finite loss, when another process trains in `run`, or when
    `resume` finds another recipe or store; ModelError when there is nothing to resume, or the
    weights to start from cannot be had, and UsageError when they are of another network, the
    network takes too much memory or `run` holds a training already; DataError when a split lacks a
    class; and whatever `reporter` raises.
    """
    if resume:
        check_resume(run)
    with _alone(run, resume):
        try:
            return _fit(recipe, store, run, device, resume, reporter or Reporter())
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise out_of_memory() from error
            raise


def _fit(
    recipe: Recipe, store: Store, run: Path, device: torch.device, resume: bool, reporter: Reporter
) -> Classifier:
    if is_too_large(recipe.model.width, recipe.data.resolution):
        raise UsageError(
            f"model.width {recipe.model.width} at data.resolution {recipe.data.resolution} takes "
            "too much memory",
            hint="lower one of the two",
            code="bad_value",
        )
    train, val = _splits(store, device)
    # What it started from is in what was saved.
    start = None if resume else load_start(recipe, reporter.pause)
    state = _begin(recipe, start, train, reporter)
    identity = {
        "recipe": dataclasses.asdict(recipe),
        "data": store.fingerprint,
        "image_size": store.image_size,
    }
    precision = number_format(device, recipe.training.precision)  # it decides the time
    environment = {**describe_environment(device), "precision": precision}
    if resume:
        state.restore(run, identity)
        write_history(run / "history.csv", state.history)  # it may have been killed before that
        _tell_of_differences(read_json(run / "environment.json"), environment, reporter)
    job = _job(recipe, store, train, val, state, reporter)
    write_text(run / "config.yaml", dump_recipe(recipe))
    write_json(run / "environment.json", environment)
    validation = Validation(job.val, job.info.resolution, recipe.augment.normal_cut, reporter.pause)
    try:
        with kept_memory():
            while not _has_ended(state.history, recipe):
                run_epoch(job, state, validation)
                state.save(run, identity)
                write_history(run / "history.csv", state.history)
                reporter.epoch(state.history[-1])
    except Stop:
        state.save(run, identity)
        raise
    return _finish(job, validation, state, run)


@contextmanager
def _alone(run: Path, resume: bool) -> Iterator[None]:
    """Hold the run folder; one in which nothing was saved is removed again."""
    if not resume:
        run.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            is_held = stack.enter_context(held(run))
        except BlockingIOError as error:
            raise TrainingError(
                "another process is training in this folder",
                path=run,
                hint="wait for it, or choose another --run",
                code="run_in_use",
            ) from error
        if not resume and (is_interrupted(run) or is_finished(run)):  # by then
            raise UsageError(
                "this folder holds a training already",
                path=run,
                hint="choose another --run",
                code="run_exists",
            )
        if is_held:
            remove_strays(run)
        try:
            yield
        finally:
            if not (resume or is_finished(run) or is_interrupted(run)):
                discard(run)


def _splits(store: Store, device: torch.device) -> tuple[Split, Split]:
    """Train and val, of which each holds both classes."""
    train, val = Split(store, "train", device), Split(store, "val", device)
    for what, split in (("train", train), ("val", val)):
        if split.targets_N.unique().numel() < 2:
            raise DataError(
                f"split {what!r} has images of one class only",
                path=store.path,
                hint="a classifier needs both Normal and Pneumonia",
                code="one_class",
            )
    return train, val


def _begin(recipe: Recipe, start: Start | None, train: Split, reporter: Reporter) -> State:
    torch.manual_seed(recipe.training.seed)
    network = ResNet(recipe.model.arch, width=recipe.model.width)
    if start is not None:
        network.load_state_dict({**network.state_dict(), **start.weights})
    network = to_device(network, train.device)
    average = copy.deepcopy(network) if recipe.training.ema_decay else None
    optimizer = build_optimizer(network, recipe.training)
    mean, std = (start.mean, start.std) if start else train.pixel_statistics()
    return State(network, average, optimizer, Gradients(reporter.note), mean, std)


def _job(
    recipe: Recipe, store: Store, train: Split, val: Split, state: State, reporter: Reporter
) -> Job:
    info = ModelInfo(
        arch=recipe.model.arch,
        width=recipe.model.width,
        image_size=store.image_size,
        mirror=recipe.model.mirror,
        resolution=recipe.data.resolution,
        mean=state.mean,
        std=state.std,
        threshold=0.5,
        # Balanced training knows no prevalence; any other learns that of its films.
        prevalence=0.5 if recipe.training.balance else float(train.targets_N.float().mean()),
        recipe=recipe.name,
        seed=recipe.training.seed,
        data_fingerprint=store.fingerprint,
        cxrdiag_version=__version__,
    )
    weights_2 = class_weights(train.targets_N, recipe.training.balance)
    return Job(recipe, info, train, val, weights_2, reporter)


def _tell_of_differences(before: dict[str, Any], now: dict[str, Any], reporter: Reporter) -> None:
    """Say what rounds sums otherwise than where the training ran last."""
    names = ("processor", "threads", "device", "gpu", "precision", "torch")
    changed = [
        f"{name} {now[name]}, before {before.get(name)}"
        for name in names
        if before and before.get(name) != now[name]
    ]
    if changed:
        reporter.note(
            f"resumed with another environment ({'; '.join(changed)}): the weights will not be, to "
            "the last bit, those of a training that was never interrupted"
        )


def _has_ended(history: list[Epoch], recipe: Recipe) -> bool:
    patience = recipe.training.patience
    aurocs = [row.shifted_auroc for row in history]
    # Patience counts from the first of equal ones, though the last is kept: it gained nothing.
    stale = bool(aurocs) and len(aurocs) - 1 - aurocs.index(max(aurocs)) >= patience
    return len(history) >= recipe.training.epochs or (patience > 0 and stale)


def _finish(job: Job, validation: Validation, state: State, run: Path) -> Classifier:
    """Write the model and the curves; nothing is left to resume then."""
    weights = halved(state.best)
    state.network.zero_grad()  # of no more use, and up to three networks large
    state.optimizer.state.clear()
    state.network.load_state_dict(weights)  # what is calibrated is what is written
    classifier = Classifier(state.network.eval(), job.info, job.val.device)
    info = dataclasses.replace(validation.calibrate(classifier), epoch=state.best_epoch)
    detector = fit_detector(classifier, job.train, validation)
    save_model(run, weights, detector, info)
    draw_curves(run / "curves.png", state.history)
    classifier = load_model(run, job.val.device)  # it reads back: now the other may go
    (run / RESUME).unlink()
    return classifier
