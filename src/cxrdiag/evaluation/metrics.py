"""Metrics of a binary classifier with their 95 % intervals, overall and by subtype.

AUROC, AUPRC, Brier and ECE carry a bootstrap over patients, since two films of one patient are not
two independent observations. Proportions carry Wilson intervals, which count each film as
independent: a little too narrow where patients have several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from cxrdiag.data.kaggle import NORMAL, PNEUMONIA
from cxrdiag.evaluation.calibration import Float1D, expected_calibration_error

NAMES = {
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier score",
    "ece": "ECE",
}
"""The metrics of a whole split, and how to show their names."""
PREVALENCES = (0.01, 0.05, 0.20)
"""Of pneumonia, where films are taken: nearly everywhere it is rarer than in a test set."""
RESAMPLES = 1000

_Score = Callable[[NDArray[np.bool_], Float1D, Float1D], float]
"""Of truths, probabilities and weights, one an image."""


def compute_metrics(predictions: pd.DataFrame, threshold: float, seed: int = 0) -> dict[str, Any]:
    """All metrics of a split, flat, under the names of metrics.json.

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
        **proportion("accuracy", tp + tn, len(truth)),
        **rates(truth, called),
        **_predictive_values(tp, fn, tn, fp),
    }
    patients = clusters(predictions)
    for name, score in _SCORES.items():
        metrics |= _bootstrapped(name, score, truth, probabilities, patients, seed)
    for subtype in sorted(set(predictions.loc[truth, "subtype"]) - {""}):
        metrics |= _subtype_metrics(predictions, subtype, called, seed)
    return metrics


def _predictive_values(tp: int, fn: int, tn: int, fp: int) -> dict[str, Any]:
    """PPV and NPV, which hold for the prevalence of these images, and what they would be at others.

    `ppv_at_0.05` is by Bayes' theorem from sensitivity and specificity: of 100 films of which five
    show pneumonia, how many of those called Pneumonia do.
    """
    values = {
        "prevalence": (tp + fn) / (tp + fn + tn + fp),
        **proportion("ppv", tp, tp + fp),
        **proportion("npv", tn, tn + fn),
    }
    for prevalence in PREVALENCES:
        ppv = npv = None
        if tp + fn and tn + fp:
            sensitivity, specificity = tp / (tp + fn), tn / (tn + fp)
            sick, well = prevalence, 1 - prevalence
            ppv = _share(sensitivity * sick, (1 - specificity) * well)
            npv = _share(specificity * well, (1 - sensitivity) * sick)
        values |= {f"ppv_at_{prevalence:.2f}": ppv, f"npv_at_{prevalence:.2f}": npv}
    return values


def _share(right: float, wrong: float) -> float | None:
    return right / (right + wrong) if right + wrong else None


def _subtype_metrics(
    predictions: pd.DataFrame, subtype: str, called: NDArray[np.bool_], seed: int
) -> dict[str, Any]:
    """Sensitivity for one subtype, and its AUROC against all normal images."""
    mine = (predictions["subtype"] == subtype).to_numpy()
    part = predictions[mine | (predictions["label"] == NORMAL).to_numpy()]
    truth = (part["subtype"] == subtype).to_numpy()
    probabilities = part["probability"].to_numpy(dtype=np.float64)
    return {
        f"{subtype}_n": int(mine.sum()),
        **proportion(f"{subtype}_sensitivity", int((mine & called).sum()), int(mine.sum())),
        **_bootstrapped(f"{subtype}_auroc", _auroc, truth, probabilities, clusters(part), seed),
    }


def _auroc(truth: NDArray[np.bool_], probabilities: Float1D, weights: Float1D) -> float:
    return float(roc_auc_score(truth, probabilities, sample_weight=weights))


def _auprc(truth: NDArray[np.bool_], probabilities: Float1D, weights: Float1D) -> float:
    return float(average_precision_score(truth, probabilities, sample_weight=weights))


def _brier(truth: NDArray[np.bool_], probabilities: Float1D, weights: Float1D) -> float:
    return float(brier_score_loss(truth, probabilities, sample_weight=weights))


_SCORES: dict[str, _Score] = {
    "auroc": _auroc,
    "auprc": _auprc,
    "brier": _brier,
    "ece": expected_calibration_error,
}


def rates(truth: NDArray[np.bool_], called: NDArray[np.bool_]) -> dict[str, Any]:
    """Sensitivity and specificity of what was called Pneumonia, with their intervals."""
    return {
        **proportion("sensitivity", int((truth & called).sum()), int(truth.sum())),
        **proportion("specificity", int((~truth & ~called).sum()), int((~truth).sum())),
    }


def proportion(name: str, k: int, n: int) -> dict[str, Any]:
    """`name` is k of n, with its Wilson interval; both are None where n is 0."""
    if n == 0:
        return {name: None, f"{name}_ci95": None}
    interval = binomtest(k, n).proportion_ci(0.95, method="wilson")
    return {name: k / n, f"{name}_ci95": [float(interval.low), float(interval.high)]}


def clusters(predictions: pd.DataFrame) -> NDArray[np.int64]:
    """A number for each image's patient; an image of unknown patient is its own."""
    patient = predictions["patient"].where(predictions["patient"] != "", predictions["name"])
    return np.asarray(pd.factorize(patient)[0], dtype=np.int64)


def resamples(
    truth: NDArray[np.bool_], patients: NDArray[np.int64], seed: int
) -> Iterator[Float1D]:
    """Weights of the images in each bootstrap over patients that draws both classes."""
    rng = np.random.default_rng(seed)
    n = int(patients.max()) + 1
    for _ in range(RESAMPLES):
        # How often each patient was drawn is the weight of all of their images.
        drawn = np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64)
        weights = drawn[patients]
        if weights[truth].any() and weights[~truth].any():
            yield weights


def _bootstrapped(
    name: str,
    score: _Score,
    truth: NDArray[np.bool_],
    probabilities: Float1D,
    patients: NDArray[np.int64],
    seed: int,
) -> dict[str, Any]:
    """The score and its interval over resampled patients.

    The 2.5th and 97.5th percentile; for ECE, a sum of absolute values which every resampling
    inflates, these mirrored about the score (the basic bootstrap), and at least 0.
    """
    if truth.all() or not truth.any():
        return {name: None, f"{name}_ci95": None}
    scores = [score(truth, probabilities, weights) for weights in resamples(truth, patients, seed)]
    low, high = np.percentile(scores, [2.5, 97.5])
    value = score(truth, probabilities, np.ones(len(truth)))
    if score is expected_calibration_error:
        low, high = max(0.0, 2 * value - high), max(0.0, 2 * value - low)
    return {name: value, f"{name}_ci95": [float(low), float(high)]}
