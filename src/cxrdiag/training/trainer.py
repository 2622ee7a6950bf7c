"""fit(): a store and a recipe become a run folder; interrupted, it goes on where it was saved.

Shapes: B batch, N images of a split, S side of a stored square, R side of the network's input.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cxrdiag import __version__
from cxrdiag.data.augment import augment
from cxrdiag.data.batches import Split
from cxrdiag.data.resample import resize
from cxrdiag.data.store import Store
from cxrdiag.errors import DataError
from cxrdiag.files import write_json, write_text
from cxrdiag.model.checkpoint import halved, save_model
from cxrdiag.model.classifier import Classifier, ModelInfo, normalise
from cxrdiag.model.device import autocast, number_format, to_device
from cxrdiag.model.resnet import ResNet
from cxrdiag.runs import RESUME
from cxrdiag.training.config import Recipe, dump_recipe
from cxrdiag.training.detector import fit_detector
from cxrdiag.training.environment import describe_environment
from cxrdiag.training.history import Epoch, draw_curves, write_history
from cxrdiag.training.optimisation import (
    build_optimizer,
    class_weights,
    learning_rate,
    loss_function,
    update_average,
)
from cxrdiag.training.start import Start, load_start
from cxrdiag.training.state import State
from cxrdiag.training.validation import Validation, non_finite


@dataclass(frozen=True)
class Step:
    """Where a training stands after a step."""

    epoch: int
    step: int
    """Of this epoch, from 1."""
    n_steps: int
    """Of an epoch."""
    loss: float
    """Mean of the epoch so far."""
    images_per_s: float


@dataclass(frozen=True)
class Reporter:
    """What a caller may want to hear while training."""

    step: Callable[[Step], None] = lambda step: None
    epoch: Callable[[Epoch], None] = lambda epoch: None


@dataclass(frozen=True)
class _Job:
    """All that stays the same while training."""

    recipe: Recipe
    info: ModelInfo
    train: Split
    val: Split
    weights_2: Tensor
    reporter: Reporter

    @property
    def n_steps(self) -> int:
        """Steps of an epoch."""
        return -(-len(self.train) // self.recipe.training.batch_size)


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

    Raises TrainingError on a non-finite loss, or when `resume` finds another recipe or store;
    ModelError when there is nothing to resume, or the weights to start from cannot be had, and
    UsageError when they are of another network; DataError when a split lacks a class.
    """
    start = load_start(recipe)
    job = _prepare(recipe, store, device, start, reporter or Reporter())
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
    write_text(run / "config.yaml", dump_recipe(recipe))
    precision = number_format(device, recipe.training.precision)  # it decides the time
    write_json(run / "environment.json", {**describe_environment(device), "precision": precision})
    validation = Validation(job.val, job.info.resolution)
    # Without the mirror image epochs are told apart just as well, in half the time.
    plain = dataclasses.replace(job.info, mirror=False)

    while not _is_finished(state.history, recipe):
        started = time.perf_counter()
        loss, accuracy = _train_epoch(job, state)
        images_per_s = len(job.train) / (time.perf_counter() - started)
        kept = state.average if recipe.training.ema_decay else state.network
        with autocast(device, recipe.training.precision):
            scores = validation.scores(Classifier(kept.eval(), plain, device))
        row = Epoch(
            epoch=len(state.history) + 1,
            train_loss=loss,
            train_accuracy=accuracy,
            val_loss=scores.loss,
            val_accuracy=scores.accuracy,
            val_auroc=scores.auroc,
            shifted_auroc=scores.shifted_auroc,
            lr=state.optimizer.param_groups[0]["lr"],
            images_per_s=images_per_s,
            seconds=time.perf_counter() - started,
        )
        state.history.append(row)
        state.keep_if_best(kept.state_dict())
        state.save(run, identity)
        write_history(run / "history.csv", state.history)
        job.reporter.epoch(row)
    return _finish(job, validation, state, run)


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
    return _Job(recipe, info, train, val, weights_2, reporter)


def _is_finished(history: list[Epoch], recipe: Recipe) -> bool:
    patience = recipe.training.patience
    aurocs = [row.shifted_auroc for row in history]
    stale = bool(aurocs) and len(aurocs) - 1 - aurocs.index(max(aurocs)) >= patience
    return len(history) >= recipe.training.epochs or (patience > 0 and stale)


def _train_epoch(job: _Job, state: State) -> tuple[float, float]:
    """One pass over the training images. Returns mean loss and accuracy."""
    config, device = job.recipe.training, job.train.device
    epoch = len(state.history) + 1
    generator = torch.Generator().manual_seed(config.seed * 100_003 + epoch)
    losses, hits, seen, started = 0.0, 0, 0, time.perf_counter()
    state.network.train()
    batches = job.train.shuffled(config.batch_size, generator)
    for step, (images_BSS, targets_B) in enumerate(batches):
        done = (epoch - 1) * job.n_steps + step
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate(done, job.n_steps * config.epochs, config)
        x = resize(images_BSS, job.info.resolution)
        x = augment(x, job.recipe.augment, generator, targets_B)
        with autocast(device, config.precision):
            logits_B = state.network(normalise(x, job.info.mean, job.info.std))[:, 0].float()
        loss = loss_function(logits_B, targets_B, job.weights_2, config.label_smoothing)
        value = loss.item()
        if not math.isfinite(value):
            raise non_finite(f"the loss is {value} at epoch {epoch}, step {step + 1}")
        state.optimizer.zero_grad()
        loss.backward()
        if config.clip_norm:
            torch.nn.utils.clip_grad_norm_(state.network.parameters(), config.clip_norm)
        state.optimizer.step()
        if config.ema_decay:
            update_average(state.average, state.network, config.ema_decay, done)
        seen += len(targets_B)
        losses += value * len(targets_B)
        hits += int(((logits_B > 0) == (targets_B > 0)).sum())
        rate = seen / (time.perf_counter() - started)
        job.reporter.step(Step(epoch, step + 1, job.n_steps, losses / seen, rate))
    return losses / seen, hits / seen


def _finish(job: _Job, validation: Validation, state: State, run: Path) -> Classifier:
    """Write the model and the curves; nothing is left to resume then."""
    weights = halved(state.best)
    state.network.load_state_dict(weights)  # what is calibrated is what is written
    classifier = Classifier(state.network.eval(), job.info, job.val.device)
    info = dataclasses.replace(validation.calibrate(classifier), epoch=state.best_epoch)
    detector = fit_detector(classifier, job.train, validation)
    save_model(run, weights, detector, info)
    draw_curves(run / "curves.png", state.history)
    (run / RESUME).unlink()
    return dataclasses.replace(classifier, info=info, detector=detector.to(job.val.device))
