"""Metrics of a binary classifier with their 95 % intervals, overall and by subtype.

Proportions carry Wilson intervals; AUROC, AUPRC, Brier and ECE a bootstrap over patients, since
two films of one patient are not two independent observations.

Shapes: N images, R resamples (each a weight for every image), G groups of equal probability.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

from cxrdiag.data.kaggle import NORMAL, PNEUMONIA

RESAMPLES = 1000
ECE_BINS = 15

_AT_ONCE = 100  # resamples: bounds the memory, whatever the number of images

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
_Score = Callable[[Bools, Floats, Floats], Floats]
"""Of truths (N), probabilities (N) and weights (R, N): the score (R) under each weighting."""


def compute_metrics(predictions: pd.DataFrame, threshold: float, seed: int = 0) -> dict[str, Any]:
    """All metrics of a split, flat, under the names that metrics.json documents.

    `predictions` has the columns label, patient, name, subtype and probability (0 to 1); an image
    is called Pneumonia from `threshold` on. `x_ci95` is the 95 % interval of `x`, [low, high].
    Where there is one class only, AUROC, AUPRC, Brier and ECE are None: they depend on the mix of
    both. `seed` is the bootstrap's.
    """
    truth = predictions["label"].to_numpy() == PNEUMONIA
    probabilities = predictions["probability"].to_numpy(dtype=np.float64)
    called = probabilities >= threshold
    tp, fn = int((truth & called).sum()), int((truth & ~called).sum())
    tn, fp = int((~truth & ~called).sum()), int((~truth & called).sum())
    metrics: dict[str, Any] = {
        "n": len(truth),
        "n_normal": tn + fp,
        "n_pneumonia": tp + fn,
        "threshold": threshold,
        "true_positives": tp,
        "false_negatives": fn,
        "true_negatives": tn,
        "false_positives": fp,
        **_proportion("accuracy", tp + tn, len(truth)),
        **_proportion("sensitivity", tp, tp + fn),
        **_proportion("specificity", tn, tn + fp),
    }
    patients = _clusters(predictions)
    for name, score in _SCORES.items():
        metrics |= _bootstrapped(name, score, truth, probabilities, patients, seed)
    for subtype in sorted(set(predictions.loc[truth, "subtype"]) - {""}):
        metrics |= _subtype_metrics(predictions, subtype, called, seed)
    return metrics


def _subtype_metrics(
    predictions: pd.DataFrame, subtype: str, called: Bools, seed: int
) -> dict[str, Any]:
    """Sensitivity for one subtype, and its AUROC against all normal images."""
    mine = (predictions["subtype"] == subtype).to_numpy()
    part = predictions[mine | (predictions["label"] == NORMAL).to_numpy()]
    truth = (part["subtype"] == subtype).to_numpy()
    probabilities = part["probability"].to_numpy(dtype=np.float64)
    return {
        f"{subtype}_n": int(mine.sum()),
        **_proportion(f"{subtype}_sensitivity", int((mine & called).sum()), int(mine.sum())),
        **_bootstrapped(f"{subtype}_auroc", _auroc, truth, probabilities, _clusters(part), seed),
    }


def expected_calibration_error(truth_N: Bools, p_N: Floats, weights_RN: Floats) -> Floats:
    """Mean gap between probability and frequency over 15 equal bins of the probability, (R,).

    Naeini et al. 2015, weighted by the images in each bin; 0 is calibrated, 1 the worst.
    """
    bins_N = np.minimum((p_N * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps_NK = np.eye(ECE_BINS)[bins_N] * (truth_N - p_N)[:, None]
    return np.asarray(np.abs(weights_RN @ gaps_NK).sum(axis=1) / weights_RN.sum(axis=1))


def _auroc(truth_N: Bools, p_N: Floats, weights_RN: Floats) -> Floats:
    """The share of (pneumonia, normal) pairs in the right order; a tie is half a pair."""
    positives_RG, negatives_RG = _by_falling_probability(truth_N, p_N, weights_RN)
    above_RG = positives_RG.cumsum(axis=1) - positives_RG / 2
    pairs_R = positives_RG.sum(axis=1) * negatives_RG.sum(axis=1)
    return np.asarray((above_RG * negatives_RG).sum(axis=1) / pairs_R)


def _auprc(truth_N: Bools, p_N: Floats, weights_RN: Floats) -> Floats:
    """Average precision: the precision at each threshold, weighted by the recall it adds."""
    positives_RG, negatives_RG = _by_falling_probability(truth_N, p_N, weights_RN)
    called_RG = (positives_RG + negatives_RG).cumsum(axis=1)
    called_RG[called_RG == 0] = 1  # nothing called: no recall is added either
    precision_RG = positives_RG.cumsum(axis=1) / called_RG
    return np.asarray((positives_RG * precision_RG).sum(axis=1) / positives_RG.sum(axis=1))


def _brier(truth_N: Bools, p_N: Floats, weights_RN: Floats) -> Floats:
    return np.asarray(weights_RN @ (truth_N - p_N) ** 2 / weights_RN.sum(axis=1))


def _by_falling_probability(
    truth_N: Bools, p_N: Floats, weights_RN: Floats
) -> tuple[Floats, Floats]:
    """Weight of the positives and of the negatives at each distinct probability, (R, G) both."""
    order_N = np.argsort(-p_N)
    starts_G = np.flatnonzero(np.diff(p_N[order_N], prepend=np.inf))
    sorted_RN, positive_N = weights_RN[:, order_N], truth_N[order_N]
    return (
        np.add.reduceat(sorted_RN * positive_N, starts_G, axis=1),
        np.add.reduceat(sorted_RN * ~positive_N, starts_G, axis=1),
    )


_SCORES: dict[str, _Score] = {
    "auroc": _auroc,
    "auprc": _auprc,
    "brier": _brier,
    "ece": expected_calibration_error,
}


def _proportion(name: str, k: int, n: int) -> dict[str, Any]:
    if n == 0:
        return {name: None, f"{name}_ci95": None}
    interval = binomtest(k, n).proportion_ci(0.95, method="wilson")
    return {name: k / n, f"{name}_ci95": [float(interval.low), float(interval.high)]}


def _clusters(predictions: pd.DataFrame) -> NDArray[np.int64]:
    """A number for each image's patient; an image of unknown patient is its own."""
    patient = predictions["patient"].where(predictions["patient"] != "", predictions["name"])
    return np.asarray(pd.factorize(patient)[0], dtype=np.int64)


def _bootstrapped(
    name: str,
    score: _Score,
    truth_N: Bools,
    p_N: Floats,
    patients_N: NDArray[np.int64],
    seed: int,
) -> dict[str, Any]:
    """The score and the 2.5th and 97.5th percentile over resampled patients."""
    if truth_N.all() or not truth_N.any():
        return {name: None, f"{name}_ci95": None}
    rng = np.random.default_rng(seed)
    n = int(patients_N.max()) + 1
    scores = []
    for _ in range(RESAMPLES // _AT_ONCE):
        # How often each patient was drawn is the weight of all of their images.
        draws = rng.integers(n, size=(_AT_ONCE, n))
        drawn = np.stack([np.bincount(draw, minlength=n) for draw in draws])
        weights_RN = drawn[:, patients_N].astype(np.float64)
        both_R = weights_RN[:, truth_N].any(axis=1) & weights_RN[:, ~truth_N].any(axis=1)
        scores.append(score(truth_N, p_N, weights_RN[both_R]))
    low, high = np.percentile(np.concatenate(scores), [2.5, 97.5])
    value = score(truth_N, p_N, np.ones((1, len(truth_N))))[0]
    return {name: float(value), f"{name}_ci95": [float(low), float(high)]}
