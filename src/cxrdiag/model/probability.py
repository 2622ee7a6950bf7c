"""The one sigmoid: networks and files speak in logits, people in probabilities."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray


def probability(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """Probability of pneumonia, 0 to 1, same shape as `logits`.

    `temperature` divides the logits (Guo et al. 2017, arXiv 1706.04599); 1 leaves them.
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    # exp(-log(1 + exp(-x))) does not overflow for any x.
    return np.exp(-np.logaddexp(0.0, -scaled))


_P = TypeVar("_P", float, NDArray[np.float64])


def at_prevalence(p: _P, prevalence: float, new: float) -> _P:
    """Probabilities that hold for one prevalence, for another: Bayes' theorem on the odds.

    It takes the films of either class to be alike in both places. Prevalences lie between 0 and 1.
    """
    sick, well = p / prevalence * new, (1 - p) / (1 - prevalence) * (1 - new)
    return sick / (sick + well)
