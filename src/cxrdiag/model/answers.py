"""What a classifier says of pictures, whichever program runs it.

Shapes: B batch, h and w map cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrdiag.errors import ModelError


@dataclass(frozen=True)
class Detected:
    """What a detector says of B pictures."""

    film_scores_B: NDArray[np.float32]
    """From 0 on it looks like an upright frontal chest X-ray."""
    distances_B: NDArray[np.float32]
    """Beyond 1 it is unlike nearly all films of training."""


@dataclass(frozen=True)
class Answers:
    """What a classifier says of B pictures."""

    logits_B: NDArray[np.float32]
    """Positive speaks for pneumonia."""
    detected: Detected
    maps_Bhw: NDArray[np.float32] | None = None
    """Dense activation maps in logits, where they were asked for."""


def joined(parts: Sequence[Answers]) -> Answers:
    """Answers, without maps, one after the other."""
    return Answers(
        np.concatenate([part.logits_B for part in parts]),
        Detected(
            np.concatenate([part.detected.film_scores_B for part in parts]),
            np.concatenate([part.detected.distances_B for part in parts]),
        ),
    )


def check_finite(*arrays: NDArray[np.floating[Any]]) -> None:
    """Raise ModelError where weights, all of them numbers, make of a picture what is none."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise ModelError(
            "the answer to a picture is no number", hint="train again", code="non_finite_weights"
        )
