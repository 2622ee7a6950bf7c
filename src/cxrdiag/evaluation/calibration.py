"""Calibration: of films given a probability of 0.8, do eight in ten show a pneumonia?

That depends on how many films show one at all. A model's probability holds for one prevalence
(`ModelInfo.prevalence`): 0.5 where training weighed both classes alike. So films are reweighted to
it wherever a probability is held against a frequency.

Shapes: N images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from cxrdiag.evaluation.scores import Float1D

BINS = 15
_WIDEST = 4.0
"""Temperatures are sought from exp(-4) to exp(4)."""


def weights_at(
    truth_N: NDArray[np.bool_], prevalence: float, drawn_N: Float1D | None = None
) -> Float1D:
    """A weight for each image, so that pneumonias have the share `prevalence`; their mean is 1.

    `drawn_N` is how often each image is there, once if not given. Both classes must be there.
    """
    share = np.average(truth_N, weights=drawn_N)
    shares_N = np.where(truth_N, prevalence / share, (1 - prevalence) / (1 - share))
    return np.asarray(shares_N, dtype=np.float64)


def fit_temperature(
    logits_N: NDArray[np.floating], truth_N: NDArray[np.bool_], prevalence: float
) -> float:
    """The temperature of lowest cross-entropy (Guo et al. 2017, arXiv 1706.04599), 0.018 to 55.

    The order of films, and so every metric of ranking, stays as it is.
    """
    signed_N = np.where(truth_N, logits_N, -logits_N).astype(np.float64)
    weights_N = weights_at(truth_N, prevalence)

    def cross_entropy(log_temperature: float) -> float:
        scaled_N = signed_N / np.exp(log_temperature)
        return float((weights_N * np.logaddexp(0.0, -scaled_N)).mean())

    found = minimize_scalar(cross_entropy, bounds=(-_WIDEST, _WIDEST), method="bounded")
    return float(np.exp(found.x))


def expected_calibration_error(
    truth_N: NDArray[np.bool_], probabilities_N: Float1D, weights_N: Float1D | None = None
) -> float:
    """Mean gap between probability and frequency over 15 equal bins of the probability.

    Naeini et al. 2015, weighted by the images in each bin; 0 is calibrated, 1 the worst.
    """
    weights_N = np.ones(len(truth_N)) if weights_N is None else weights_N
    gaps = np.bincount(_bins(probabilities_N), weights_N * (truth_N - probabilities_N), BINS)
    return float(np.abs(gaps).sum() / weights_N.sum())


def reliability(
    truth_N: NDArray[np.bool_], probabilities_N: Float1D, weights_N: Float1D
) -> tuple[Float1D, Float1D, NDArray[np.int64]]:
    """Mean probability, weighted frequency of pneumonia and count of each of 15 equal bins.

    Of an empty bin the first two are NaN.
    """
    bins = _bins(probabilities_N)
    total = np.bincount(bins, weights_N, BINS)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(bins, weights_N * probabilities_N, BINS) / total
        frequency = np.bincount(bins, weights_N * truth_N, BINS) / total
    return mean, frequency, np.bincount(bins, minlength=BINS)


def _bins(probabilities_N: Float1D) -> NDArray[np.int64]:
    return np.minimum((probabilities_N * BINS).astype(np.int64), BINS - 1)
