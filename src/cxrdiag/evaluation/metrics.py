"""Metrics of a binary classifier with their 95 % intervals, overall and by subtype.

Shapes: N images.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxrdiag.data.kaggle import NORMAL, PNEUMONIA, series
from cxrdiag.evaluation import intervals
from cxrdiag.evaluation.calibration import expected_calibration_error, weights_at
from cxrdiag.evaluation.intervals import bootstrapped, clusters, predictive_value, proportion
from cxrdiag.evaluation.scores import Float1D, auroc, average_precision, brier
from cxrdiag.model.info import ModelInfo
from cxrdiag.model.probability import at_prevalence, probability

PREVALENCES = (0.01, 0.05, 0.20)
"""Of pneumonia, where films are taken: nearly everywhere it is rarer than in a test set."""


def compute_metrics(
    predictions: pd.DataFrame, threshold: float, subtypes: Collection[str] = ()
) -> dict[str, Any]:
    """All metrics of a split, under the names of metrics.json.

    `predictions` has the columns label, patient, name, subtype and probability (0 to 1); an image
    is called Pneumonia from `threshold` on. `x_ci95` is the 95 % interval of `x`, [low, high].
    Where there is one class only, AUROC, AUPRC, Brier and ECE are None: they depend on the mix of
    both. Of `subtypes` that no image has `n` is 0 and all else None.
    """
    truth = predictions["label"].to_numpy() == PNEUMONIA
    probabilities = predictions["probability"].to_numpy(dtype=np.float64)
    called = probabilities >= threshold
    tp, fn = int((truth & called).sum()), int((truth & ~called).sum())
    tn, fp = int((~truth & ~called).sum()), int((~truth & called).sum())
    patients = clusters(predictions)
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
        "prevalence": (tp + fn) / len(truth),
        **proportion("ppv", tp, tp + fp),
        **proportion("npv", tn, tn + fn),
        **_predictive_values(tp, fn, tn, fp),
        **bootstrapped("auroc", auroc, truth, probabilities, patients),
        **bootstrapped("auprc", average_precision, truth, probabilities, patients),
        **bootstrapped("brier", brier, truth, probabilities, patients),
        **_calibration_error("ece", truth, probabilities, patients),
    }
    metrics["specificity_by_series"] = _by_series(predictions, truth, called)
    there = set(predictions.loc[truth, "subtype"]) | set(subtypes)
    metrics["subtypes"] = {
        subtype: _subtype_metrics(predictions, subtype, called) for subtype in sorted(there - {""})
    }
    return metrics


def auroc_metrics(films: pd.DataFrame, said_N: Float1D) -> dict[str, Any]:
    """AUROC of what was said of films, and its interval: films have label, patient and name."""
    truth_N = (films["label"] == PNEUMONIA).to_numpy()
    return bootstrapped("auroc", auroc, truth_N, said_N, clusters(films))


def calibration_metrics(
    predictions: pd.DataFrame, temperature: float, prevalence: float
) -> dict[str, Any]:
    """ECE of films reweighted to the prevalence for which the probability holds.

    With the temperature and without: `predictions` has the column logit too. `x_if_calibrated` is
    what probabilities like these would show on as many films if they were true: the mean, and what
    19 of 20 such draws stay below.
    """
    truth_N = (predictions["label"] == PNEUMONIA).to_numpy()
    patients_N = clusters(predictions)
    found: dict[str, Any] = {"temperature": temperature, "probability_prevalence": prevalence}
    for name, divisor in (("", temperature), ("_without_temperature", 1.0)):
        said_N = probability(predictions["logit"].to_numpy(), divisor)
        key = f"ece_reweighted{name}"
        found |= _calibration_error(key, truth_N, said_N, patients_N, prevalence)
    return found


def _calibration_error(
    name: str,
    truth_N: NDArray[np.bool_],
    said_N: Float1D,
    patients_N: NDArray[np.int64],
    prevalence: float | None = None,
) -> dict[str, Any]:
    """The ECE, reweighted to `prevalence` if given, and what it would be if calibrated.

    Its interval is approximate: the basic bootstrap, brought down to 0 where the error is no larger
    than of one calibrated draw in 20.
    """

    def error(truth: NDArray[np.bool_], said: Float1D, weights: Float1D) -> float:
        if prevalence is not None:
            weights = weights * weights_at(truth, prevalence, weights)
        return expected_calibration_error(truth, said, weights)

    found = bootstrapped(name, error, truth_N, said_N, patients_N, mirrored=True)
    found |= {f"{name}_if_calibrated": None, f"{name}_if_calibrated_below": None}
    if found[name] is None:
        return found
    true_N = said_N
    if prevalence is not None:
        true_N = at_prevalence(said_N, prevalence, float(truth_N.mean()))
    rng, once_N = np.random.default_rng(0), np.ones(len(truth_N))
    draws = (rng.random(len(true_N)) < true_N for _ in range(intervals.RESAMPLES))
    errors = [error(draw, said_N, once_N) for draw in draws if draw.any() and not draw.all()]
    if errors:
        mean, below = float(np.mean(errors)), float(np.quantile(errors, 0.95))
        found |= {f"{name}_if_calibrated": mean, f"{name}_if_calibrated_below": below}
        if found[name] <= below and found[f"{name}_ci95"] is not None:
            found[f"{name}_ci95"][0] = 0.0
    return found


def certainty_metrics(predictions: pd.DataFrame, info: ModelInfo) -> dict[str, Any]:
    """How many answers are uncertain, and how often those and the others are right."""
    p_N = predictions["probability"].to_numpy()
    low, high = info.uncertain_range()
    uncertain_N = (low <= p_N) & (p_N < high)
    right_N = (p_N >= info.threshold) == (predictions["label"] == PNEUMONIA).to_numpy()
    found: dict[str, Any] = {"uncertain_n": int(uncertain_N.sum())}
    for name, chosen_N in (("certain", ~uncertain_N), ("uncertain", uncertain_N)):
        k, n = int((right_N & chosen_N).sum()), int(chosen_N.sum())
        found |= proportion(f"accuracy_if_{name}", k, n)
    return found


def rates(truth_N: NDArray[np.bool_], called_N: NDArray[np.bool_]) -> dict[str, Any]:
    """Sensitivity and specificity of what was called Pneumonia, with their intervals."""
    return {
        **proportion("sensitivity", int((truth_N & called_N).sum()), int(truth_N.sum())),
        **proportion("specificity", int((~truth_N & ~called_N).sum()), int((~truth_N).sum())),
    }


def _predictive_values(tp: int, fn: int, tn: int, fp: int) -> dict[str, Any]:
    """What PPV and NPV would be at other prevalences than that of these images."""
    sick, well = tp + fn, tn + fp
    values: dict[str, Any] = {}
    for prevalence in PREVALENCES:
        ppv, npv = f"ppv_at_{prevalence:.2f}", f"npv_at_{prevalence:.2f}"
        values |= predictive_value(ppv, prevalence, (tp, sick), (fp, well))
        values |= predictive_value(npv, 1 - prevalence, (tn, well), (fn, sick))
    return values


def _by_series(
    predictions: pd.DataFrame, truth: NDArray[np.bool_], called: NDArray[np.bool_]
) -> dict[str, Any]:
    """Specificity for each series of normal films, where names tell of two or more."""
    series_N = predictions["patient"].map(series).to_numpy()
    names = sorted(set(series_N[~truth]) - {""})
    found = {}
    for name in names if len(names) > 1 else []:
        mine = ~truth & (series_N == name)
        k, n = int((mine & ~called).sum()), int(mine.sum())
        found[name] = {"n": n, **proportion("specificity", k, n)}
    return found


def _subtype_metrics(
    predictions: pd.DataFrame, subtype: str, called: NDArray[np.bool_]
) -> dict[str, Any]:
    """Sensitivity for one subtype, and its AUROC against all normal images."""
    mine = (predictions["subtype"] == subtype).to_numpy()
    part = predictions[mine | (predictions["label"] == NORMAL).to_numpy()]
    truth = (part["subtype"] == subtype).to_numpy()
    probabilities = part["probability"].to_numpy(dtype=np.float64)
    return {
        "n": int(mine.sum()),
        **proportion("sensitivity", int((mine & called).sum()), int(mine.sum())),
        **bootstrapped("auroc", auroc, truth, probabilities, clusters(part)),
    }
