"""fit(): a store and a recipe become a run folder; interrupted, it goes on where it was saved.

Shapes: B batch, N images of a split, S side of a stored square, R side of the network's input.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cxrdiag import __version__
from cxrdiag.data.augment import augment
from cxrdiag.data.batches import Split, cut
from cxrdiag.data.resample import resize
from cxrdiag.data.store import Store
from cxrdiag.errors import DataError, TrainingError, UsageError
from cxrdiag.files import held, remove_strays, write_json, write_text
from cxrdiag.model.checkpoint import LARGEST_MAPS, check_resume, halved, load_model, save_model
from cxrdiag.model.classifier import Classifier, ModelInfo, normalise
from cxrdiag.model.device import autocast, number_format, to_device
from cxrdiag.model.resnet import ResNet
from cxrdiag.runs import RESUME, discard, is_finished, is_interrupted
from cxrdiag.training.config import Recipe, dump_recipe
from cxrdiag.training.detector import fit_detector
from cxrdiag.training.environment import describe_environment
from cxrdiag.training.gradients import Gradients, out_of_memory
from cxrdiag.training.history import Epoch, draw_curves, write_history
from cxrdiag.training.optimisation import (
    build_optimizer,
    class_weights,
    learning_rate,
    loss_function,
    update_average,
)
from cxrdiag.training.reporter import Reporter, Step, Stop
from cxrdiag.training.start import Start, load_start
from cxrdiag.training.state import Progress, State
from cxrdiag.training.validation import Validation, non_finite


@dataclass(frozen=True)
class _Job:
    """All that stays the same while training."""

    recipe: Recipe
    info: ModelInfo
    train: Split
    val: Split
    weights_2: Tensor
    reporter: Reporter
    gradients: Gradients

    @property
    def n_steps(self) -> int:
        """Steps of an epoch."""
        return -(-len(self.train) // self.recipe.training.batch_size)

    def learning_rate(self, step: int) -> float:
        """Of a step, counted from 0 over all epochs."""
        config = self.recipe.training
        return learning_rate(step, self.n_steps * config.epochs, config)


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
    weights to start from cannot be had, and UsageError when they are of another network; DataError
    when a split lacks a class; and whatever `reporter` raises.
    """
    if resume:
        check_resume(run)
    with _alone(run, resume):
        try:
            return _fit(recipe, store, run, device, resume, reporter or Reporter())
        except RuntimeError as error:
            # Of a device torch.OutOfMemoryError, which is one too; of the host this text alone.
            if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
                raise out_of_memory() from error
            raise


def _fit(
    recipe: Recipe, store: Store, run: Path, device: torch.device, resume: bool, reporter: Reporter
) -> Classifier:
    if recipe.model.width * recipe.data.resolution**2 > LARGEST_MAPS:
        raise UsageError(
            f"model.width {recipe.model.width} at data.resolution {recipe.data.resolution} takes "
            "too much memory",
            hint="lower one of the two",
            code="bad_value",
        )
    start = load_start(recipe)
    job = _prepare(recipe, store, device, start, reporter)
    torch.manual_seed(recipe.training.seed)
    network = ResNet(recipe.model.arch, width=recipe.model.width)
    if start is not None:
        network.load_state_dict({**network.state_dict(), **start.weights})
    network = to_device(network, device)
    state = State(network, copy.deepcopy(network), build_optimizer(network, recipe.training))
    identity = {
        "recipe": dataclasses.asdict(recipe),
        "data": store.fingerprint,
        "image_size": store.image_size,
        # Of the weights that it started from, which may be other ones in another version.
        "normalisation": [job.info.mean, job.info.std],
    }
    if resume:
        state.restore(run, identity)
        write_history(run / "history.csv", state.history)  # it may have been killed before that
    write_text(run / "config.yaml", dump_recipe(recipe))
    precision = number_format(device, recipe.training.precision)  # it decides the time
    write_json(run / "environment.json", {**describe_environment(device), "precision": precision})
    validation = Validation(job.val, job.info.resolution, reporter.pause)
    try:
        while not _is_finished(state.history, recipe):
            _run_epoch(job, state, validation)
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


def _prepare(
    recipe: Recipe, store: Store, device: torch.device, start: Start | None, reporter: Reporter
) -> _Job:
    train, val = Split(store, "train", device), Split(store, "val", device)
    for what, split in (("train", train), ("val", val)):
        if split.targets_N.unique().numel() < 2:
            raise DataError(
                f"split {what!r} has images of one class only",
                path=store.path,
                hint="a classifier needs both Normal and Pneumonia",
                code="one_class",
            )
    mean, std = (start.mean, start.std) if start else train.pixel_statistics()
    info = ModelInfo(
        arch=recipe.model.arch,
        width=recipe.model.width,
        image_size=store.image_size,
        mirror=recipe.model.mirror,
        resolution=recipe.data.resolution,
        mean=mean,
        std=std,
        threshold=0.5,
        # Balanced training knows no prevalence; any other learns that of its films.
        prevalence=0.5 if recipe.training.balance else float(train.targets_N.float().mean()),
        recipe=recipe.name,
        seed=recipe.training.seed,
        data_fingerprint=store.fingerprint,
        cxrdiag_version=__version__,
    )
    weights_2 = class_weights(train.targets_N, recipe.training.balance)
    return _Job(recipe, info, train, val, weights_2, reporter, Gradients(reporter.note))


def _is_finished(history: list[Epoch], recipe: Recipe) -> bool:
    patience = recipe.training.patience
    aurocs = [row.shifted_auroc for row in history]
    stale = bool(aurocs) and len(aurocs) - 1 - aurocs.index(max(aurocs)) >= patience
    return len(history) >= recipe.training.epochs or (patience > 0 and stale)


def _run_epoch(job: _Job, state: State, validation: Validation) -> None:
    """Train and validate, from where `state` stands to the next epoch's begin."""
    config, device = job.recipe.training, job.train.device
    _train_epoch(job, state)
    started = time.perf_counter()
    kept = state.average if config.ema_decay else state.network
    # Without the mirror image epochs are told apart just as well, in half the time.
    plain = dataclasses.replace(job.info, mirror=False)
    with autocast(device, config.precision):
        scores = validation.scores(Classifier(kept.eval(), plain, device))
    row = Epoch(
        epoch=len(state.history) + 1,
        train_loss=state.progress.mean_loss,
        train_accuracy=state.progress.hits / state.progress.images,
        val_loss=scores.loss,
        val_accuracy=scores.accuracy,
        val_auroc=scores.auroc,
        shifted_auroc=scores.shifted_auroc,
        lr=job.learning_rate((len(state.history) + 1) * job.n_steps - 1),
        images_per_s=state.progress.images / state.progress.seconds,
        seconds=state.progress.seconds + time.perf_counter() - started,
    )
    state.history.append(row)
    state.keep_if_best(kept.state_dict())
    state.progress = Progress()


def _train_epoch(job: _Job, state: State) -> None:
    """What is left of one pass over the training images."""
    config, device, progress = job.recipe.training, job.train.device, state.progress
    epoch = len(state.history) + 1
    within = state.generator.get_state() if progress.steps else None
    state.generator.manual_seed(config.seed * 100_003 + epoch)
    order_N = torch.randperm(len(job.train), generator=state.generator)
    if within is not None:
        state.generator.set_state(within)
    state.network.train()

    def logits(x_B1RR: Tensor) -> Tensor:
        with autocast(device, config.precision):
            out_B1: Tensor = state.network(normalise(x_B1RR, job.info.mean, job.info.std))
        return out_B1[:, 0].float()

    def loss(logits_B: Tensor, targets_B: Tensor) -> Tensor:
        return loss_function(logits_B, targets_B, job.weights_2, config.label_smoothing)

    for chosen_B in cut(order_N, config.batch_size)[progress.steps :]:
        started = time.perf_counter()
        images_BSS, targets_B = job.train.batch(chosen_B)
        done = (epoch - 1) * job.n_steps + progress.steps
        for group in state.optimizer.param_groups:
            group["lr"] = job.learning_rate(done)
        x_B1RR = resize(images_BSS, job.info.resolution)
        x_B1RR = augment(x_B1RR, job.recipe.augment, state.generator, targets_B)
        value, logits_B = job.gradients.compute(state.network, logits, loss, x_B1RR, targets_B)
        if not math.isfinite(value):
            where = f"the loss is {value} at epoch {epoch}, step {progress.steps + 1}"
            raise non_finite(f"{where}, of the images {', '.join(job.train.names(chosen_B))}")
        if config.clip_norm:
            torch.nn.utils.clip_grad_norm_(state.network.parameters(), config.clip_norm)
        state.optimizer.step()
        if config.ema_decay:
            update_average(state.average, state.network, config.ema_decay, done)
        progress.steps += 1
        progress.images += len(targets_B)
        progress.loss += value * len(targets_B)
        progress.hits += int(((logits_B > 0) == (targets_B > 0)).sum())
        progress.seconds += time.perf_counter() - started
        rate = progress.images / progress.seconds
        job.reporter.step(Step(epoch, progress.steps, job.n_steps, progress.mean_loss, rate))
        job.reporter.pause()


def _finish(job: _Job, validation: Validation, state: State, run: Path) -> Classifier:
    """Write the model and the curves; nothing is left to resume then."""
    weights = halved(state.best)
    state.network.load_state_dict(weights)  # what is calibrated is what is written
    classifier = Classifier(state.network.eval(), job.info, job.val.device)
    info = dataclasses.replace(validation.calibrate(classifier), epoch=state.best_epoch)
    detector = fit_detector(classifier, job.train, validation)
    save_model(run, weights, detector, info)
    draw_curves(run / "curves.png", state.history)
    classifier = load_model(run, job.val.device)  # it reads back: now the other may go
    (run / RESUME).unlink()
    return classifier
