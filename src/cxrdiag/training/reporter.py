"""What a caller may hear of a training, and how it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cxrdiag.training.history import Epoch


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


class Stop(Exception):
    """What a Reporter raises to end a training; `fit` saves what it trained, and passes it on."""


@dataclass(frozen=True)
class Reporter:
    """What a caller may want to hear while training."""

    step: Callable[[Step], None] = lambda step: None
    epoch: Callable[[Epoch], None] = lambda epoch: None
    pause: Callable[[], None] = lambda: None
    """While weights are fetched, and after each batch of training and of shifted validation, whose
    copies are made first of all: the place to raise Stop."""
    note: Callable[[str], None] = lambda text: None
    """One line that the user should read."""
