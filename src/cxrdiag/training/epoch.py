"""One pass over the training images, step by step, and the validation that ends it.

Shapes: B batch, V views of each of its images, M = B * V of them together, N images of a split,
S side of a stored square, R side of the network's input.
"""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from cxrdiag.data.augment import augment
from cxrdiag.data.batches import Split, cut
from cxrdiag.data.resample import resize
from cxrdiag.model.classifier import Classifier, normalise
from cxrdiag.model.device import autocast
from cxrdiag.model.info import ModelInfo
from cxrdiag.training.config import Recipe
from cxrdiag.training.history import Epoch
from cxrdiag.training.optimisation import (
    inconsistency,
    learning_rate,
    loss_function,
    update_average,
)
from cxrdiag.training.reporter import Reporter, Step
from cxrdiag.training.state import Progress, State
from cxrdiag.training.validation import Validation, non_finite


@dataclass(frozen=True)
class Job:
    """What a training is given."""

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

    def learning_rate(self, step: int) -> float:
        """Of a step, counted from 0 over all epochs."""
        config = self.recipe.training
        return learning_rate(step, self.n_steps * config.epochs, config)


def run_epoch(job: Job, state: State, validation: Validation) -> None:
    """Train and validate, from where `state` stands to the next epoch's begin."""
    config, device = job.recipe.training, job.train.device
    _train_epoch(job, state)
    started = time.perf_counter()
    kept = state.network if state.average is None else state.average
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


def _train_epoch(job: Job, state: State) -> None:
    """What is left of one pass over the training images."""
    config, device, progress = job.recipe.training, job.train.device, state.progress
    epoch = len(state.history) + 1
    side = job.recipe.data.side(epoch, config.epochs)
    within = state.generator.get_state() if progress.steps else None
    state.generator.manual_seed(config.seed * 100_003 + epoch)
    order_N = torch.randperm(len(job.train), generator=state.generator)
    if within is not None:
        state.generator.set_state(within)
    state.network.train()

    n_views = 2 if config.consistency else 1

    def logits(x_BVRR: Tensor) -> Tensor:
        x_M1RR = x_BVRR.flatten(0, 1)[:, None]
        with autocast(device, config.precision):
            out_M1: Tensor = state.network(normalise(x_M1RR, job.info.mean, job.info.std))
        return out_M1.float().view(-1, n_views)

    def loss(logits_BV: Tensor, targets_BV: Tensor) -> Tensor:
        value = loss_function(logits_BV, targets_BV, job.weights_2, config.label_smoothing)
        return value + config.consistency * inconsistency(logits_BV) if n_views > 1 else value

    for chosen_B in cut(order_N, config.batch_size)[progress.steps :]:
        started = time.perf_counter()
        images_BSS, targets_B = job.train.batch(chosen_B)
        done = (epoch - 1) * job.n_steps + progress.steps
        for group in state.optimizer.param_groups:
            group["lr"] = job.learning_rate(done)
        x_M1RR = resize(images_BSS, side).repeat_interleave(n_views, 0)
        targets_BV = targets_B[:, None].expand(-1, n_views)
        x_M1RR = augment(x_M1RR, job.recipe.augment, state.generator, targets_BV.flatten())
        x_BVRR = x_M1RR.view(-1, n_views, side, side)
        value, logits_BV = state.gradients.compute(state.network, logits, loss, x_BVRR, targets_BV)
        if not math.isfinite(value):
            where = f"the loss is {value} at epoch {epoch}, step {progress.steps + 1}"
            raise non_finite(f"{where}, of the images {', '.join(job.train.names(chosen_B))}")
        if config.clip_norm:
            torch.nn.utils.clip_grad_norm_(state.network.parameters(), config.clip_norm)
        state.optimizer.step()
        if state.average is not None:
            update_average(state.average, state.network, config.ema_decay, done)
        progress.steps += 1
        progress.images += len(targets_B)
        progress.loss += value * len(targets_B)
        progress.hits += int(((logits_BV[:, 0] > 0) == (targets_B > 0)).sum())
        progress.seconds += time.perf_counter() - started
        rate = progress.images / progress.seconds
        job.reporter.step(Step(epoch, progress.steps, job.n_steps, progress.mean_loss, rate))
        job.reporter.pause()
