"""95 % intervals: Wilson's for proportions, a bootstrap over patients for everything else.

Two films of one patient are not two independent observations, so the bootstrap draws patients.
Wilson intervals count each film as independent: a little too narrow where patients have several.
So are those of a bootstrap where a class has but a few tens of patients.

Shapes: N images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

from cxrdiag.evaluation.scores import Float1D

RESAMPLES = 1000
_FEWEST = 5
"""Patients of a class for a bootstrap. Of one alone each draw would hold the same films, and an
interval would tell of the other class only; of a few more it is far too narrow still."""

Score = Callable[[NDArray[np.bool_], Float1D, Float1D], float]
"""Of truths, what a model says, and weights, one an image."""


def wilson(k: int, n: int) -> tuple[float, float]:
    """Wilson's interval of the share k of n; n is not 0."""
    interval = binomtest(k, n).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def proportion(name: str, k: int, n: int) -> dict[str, Any]:
    """`name` is k of n, with its Wilson interval; both are None where n is 0."""
    if n == 0:
        return {name: None, f"{name}_ci95": None}
    return {name: k / n, f"{name}_ci95": [*wilson(k, n)]}


def predictive_value(
    name: str, prevalence: float, right: tuple[int, int], wrong: tuple[int, int]
) -> dict[str, Any]:
    """How often a call is right at a prevalence of what is called, with its interval.

    `right` is how many of those that have it are called so, k of n, `wrong` how many of those that
    have it not: by Bayes' theorem. Its limits are those of the ratio of the two shares, by MOVER
    from their Wilson intervals (Donner and Zou 2012, doi 10.1177/0962280210383082), which does not
    collapse where one is 0. None where a class is lacking, or nothing is called.
    """
    nothing = {name: None, f"{name}_ci95": None}
    if not (right[1] and wrong[1]) or right[0] + wrong[0] == 0:
        return nothing
    (k_r, n_r), (k_w, n_w) = right, wrong
    r, w = k_r / n_r, k_w / n_w
    (r_low, r_high), (w_low, w_high) = wilson(k_r, n_r), wilson(k_w, n_w)

    def share(ratio: float) -> float:
        return prevalence / (prevalence + (1 - prevalence) * ratio)

    def limit(w_end: float, r_end: float, sign: int) -> float:
        """Of the ratio w / r; infinite where r may be 0."""
        divisor = r_end * (2 * r - r_end)
        if divisor == 0:
            return np.inf
        inner = max((w * r) ** 2 - w_end * r_end * (2 * w - w_end) * (2 * r - r_end), 0.0)
        return max(float(w * r + sign * np.sqrt(inner)) / divisor, 0.0)

    low, high = share(limit(w_high, r_low, 1)), share(limit(w_low, r_high, -1))
    value = share(w / r) if r else 0.0
    return {name: value, f"{name}_ci95": [low, high]}


def clusters(predictions: pd.DataFrame) -> NDArray[np.int64]:
    """A number for each image's patient; an image of unknown patient is its own."""
    patient = predictions["patient"].where(predictions["patient"] != "", predictions["name"])
    return np.asarray(pd.factorize(patient)[0], dtype=np.int64)


def resamples(
    patients_N: NDArray[np.int64], truth_N: NDArray[np.bool_] | None = None
) -> Iterator[Float1D]:
    """Weights of the images in each bootstrap over patients, who are numbered from 0 on.

    Of `truth_N`, if given, only those that draw both classes. None at all where there are, or a
    class is, of fewer than 5 patients, who stand for too little. The same each time, so that scores
    of the same images can be held against each other.
    """
    classes = [patients_N] if truth_N is None else [patients_N[truth_N], patients_N[~truth_N]]
    if min(len(set(mine)) for mine in classes) < _FEWEST:
        return
    rng = np.random.default_rng(0)
    n = int(patients_N.max()) + 1
    for _ in range(RESAMPLES):
        # How often each patient was drawn is the weight of all of their images.
        drawn = np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64)
        weights_N = drawn[patients_N]
        if truth_N is None or (weights_N[truth_N].any() and weights_N[~truth_N].any()):
            yield weights_N


def bootstrapped(
    name: str,
    score: Score,
    truth_N: NDArray[np.bool_],
    said_N: Float1D,
    patients_N: NDArray[np.int64],
    *,
    mirrored: bool = False,
) -> dict[str, Any]:
    """The score, from 0 to 1, and its 2.5th and 97.5th percentile over resampled patients.

    Both None where there is one class only. The interval alone is None where there are no
    `resamples`, and where all scores are alike, as with classes that are told apart without an
    error: to draw the same films again says nothing then.
    `mirrored` is for a sum of absolute values, which every resampling inflates: the percentiles are
    mirrored about the score (the basic bootstrap; Davison and Hinkley 1997, section 5.2), kept
    within 0 to 1, and stretched to the score where they do not hold it.
    """
    nothing = {name: None, f"{name}_ci95": None}
    if truth_N.all() or not truth_N.any():
        return nothing
    value = score(truth_N, said_N, np.ones(len(truth_N)))
    scores = [score(truth_N, said_N, w_N) for w_N in resamples(patients_N, truth_N)]
    ends = percentiles(scores)
    if ends is not None and mirrored:
        low, high = ends
        ends = [max(0.0, min(value, 2 * value - high)), min(1.0, max(value, 2 * value - low))]
    return {name: value, f"{name}_ci95": ends}


def percentiles(scores: Sequence[float] | Float1D) -> list[float] | None:
    """The 2.5th and the 97.5th, NaN aside; None of none, or where all are alike."""
    if len(scores) == 0:
        return None
    low, high = np.nanpercentile(scores, [2.5, 97.5])
    return None if high - low < 1e-12 else [float(low), float(high)]
