"""Optimizer, learning rate, loss and weight average: what a step needs, each a few lines.

Shapes: N images of a split, B batch, V views of each of its images.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cxrdiag.training.config import TrainingConfig
from cxrdiag.training.muon import Muon

Optimizer: TypeAlias = torch.optim.Optimizer | Muon


def build_optimizer(network: nn.Module, config: TrainingConfig) -> Optimizer:
    """The recipe's optimizer; weight decay on convolutions and matrices alone."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    spared = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]
    if config.optimizer == "muon":
        return Muon(groups, lr=config.lr)
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=0.9, nesterov=True)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    # Fused: one pass over the weights.
    return kind(groups, lr=config.lr, fused=True)


def learning_rate(step: int, n_steps: int, config: TrainingConfig) -> float:
    """The rate of a step, 0 <= step < n_steps: linear warm-up, then the schedule."""
    progress = (step + 0.5) / n_steps
    if progress < config.warmup:
        return config.lr * progress / config.warmup
    if config.schedule == "constant":
        return config.lr
    return (
        config.lr * 0.5 * (1 + math.cos(math.pi * (progress - config.warmup) / (1 - config.warmup)))
    )


def class_weights(targets_N: Tensor, balance: bool) -> Tensor:
    """Weights of Normal and Pneumonia, (2,), of mean 1 over the images; equal if not balanced."""
    counts = torch.bincount(targets_N.long(), minlength=2).float()
    return counts.sum() / (2 * counts) if balance else torch.ones_like(counts)


def loss_function(
    logits: Tensor, targets: Tensor, weights_2: Tensor, smoothing: float = 0.0
) -> Tensor:
    """Mean weighted binary cross-entropy; both of one shape, (B,) or (B, V), targets 0 or 1."""
    soft = targets * (1 - smoothing) + smoothing / 2
    weight = weights_2[targets.long()]
    return F.binary_cross_entropy_with_logits(logits, soft, weight=weight)


def inconsistency(logits_BV: Tensor) -> Tensor:
    """Mean squared difference of the logits of two views of an image, V = 2.

    Cross-entropy is content with two views that lie far apart on the right side. What a film's
    framing does to its logit then moves films from elsewhere across the threshold.
    """
    first_B, second_B = logits_BV.unbind(1)
    return F.mse_loss(first_B, second_B)


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move the weight average towards the network, batch norm statistics included.

    The decay grows with `step` (from 0) so that the random start is forgotten quickly.
    """
    keep = min(decay, (1 + step) / (10 + step))
    for mean, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(new, 1 - keep)
        else:
            mean.copy_(new)
