"""Metrics of a binary classifier with their 95 % intervals, overall and by subtype.

Shapes: N images.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from cxrdiag.data.kaggle import NORMAL, PNEUMONIA
from cxrdiag.evaluation.calibration import expected_calibration_error, weights_at
from cxrdiag.evaluation.intervals import Float1D, Score, bootstrapped, clusters, proportion
from cxrdiag.model.info import ModelInfo
from cxrdiag.model.probability import probability

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


def compute_metrics(
    predictions: pd.DataFrame, threshold: float, seed: int = 0, subtypes: Collection[str] = ()
) -> dict[str, Any]:
    """All metrics of a split, flat, under the names of metrics.json.

    `predictions` has the columns label, patient, name, subtype and probability (0 to 1); an image
    is called Pneumonia from `threshold` on. `x_ci95` is the 95 % interval of `x`, [low, high].
    Where there is one class only, AUROC, AUPRC, Brier and ECE are None: they depend on the mix of
    both. `seed` is the bootstrap's. Of `subtypes` that no image has `n` is 0 and all else None.
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
        **_predictive_values(truth, called, patients, seed),
        **bootstrapped("auroc", _auroc, truth, probabilities, patients, seed),
        **bootstrapped("auprc", _auprc, truth, probabilities, patients, seed),
        **bootstrapped("brier", _brier, truth, probabilities, patients, seed),
        **bootstrapped(
            "ece", expected_calibration_error, truth, probabilities, patients, seed, mirrored=True
        ),
    }
    there = set(predictions.loc[truth, "subtype"]) | set(subtypes)
    for subtype in sorted(there - {""}):
        metrics |= _subtype_metrics(predictions, subtype, called, seed)
    return metrics


def calibration_metrics(
    predictions: pd.DataFrame, temperature: float, prevalence: float, seed: int = 0
) -> dict[str, Any]:
    """ECE of films reweighted to the prevalence for which the probability holds.

    With the temperature and without: `predictions` has the column logit too.
    """
    truth_N = (predictions["label"] == PNEUMONIA).to_numpy()
    patients_N = clusters(predictions)

    def reweighted(truth: NDArray[np.bool_], said: Float1D, weights: Float1D) -> float:
        return expected_calibration_error(
            truth, said, weights * weights_at(truth, prevalence, weights)
        )

    found: dict[str, Any] = {"temperature": temperature, "probability_prevalence": prevalence}
    for name, divisor in (("", temperature), ("_without_temperature", 1.0)):
        said_N = probability(predictions["logit"].to_numpy(), divisor)
        key = f"ece_reweighted{name}"
        found |= bootstrapped(key, reweighted, truth_N, said_N, patients_N, seed, mirrored=True)
    return found


def certainty_metrics(predictions: pd.DataFrame, info: ModelInfo) -> dict[str, Any]:
    """How many answers are uncertain, and how often those and the others are right."""
    p_N = predictions["probability"].to_numpy()
    uncertain_N = np.array([info.is_uncertain(p, info.threshold) for p in p_N])
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


def _predictive_values(
    truth: NDArray[np.bool_], called: NDArray[np.bool_], patients: NDArray[np.int64], seed: int
) -> dict[str, Any]:
    """What PPV and NPV would be at other prevalences than that of these images.

    `ppv_at_0.05` is by Bayes' theorem from sensitivity and specificity: of 100 films of which five
    show pneumonia, how many of those called Pneumonia do.
    """
    values: dict[str, Any] = {}
    said = called.astype(np.float64)
    for prevalence in PREVALENCES:
        for name, score in (("ppv", _ppv_at(prevalence)), ("npv", _npv_at(prevalence))):
            values |= bootstrapped(
                f"{name}_at_{prevalence:.2f}", score, truth, said, patients, seed
            )
    return values


def _ppv_at(prevalence: float) -> Score:
    def ppv(truth: NDArray[np.bool_], called: Float1D, weights: Float1D) -> float:
        sensitivity = np.average(called[truth], weights=weights[truth])
        false_alarms = np.average(called[~truth], weights=weights[~truth])
        return _share(sensitivity * prevalence, false_alarms * (1 - prevalence))

    return ppv


def _npv_at(prevalence: float) -> Score:
    ppv = _ppv_at(1 - prevalence)
    return lambda truth, called, weights: ppv(~truth, 1 - called, weights)


def _share(right: float, wrong: float) -> float:
    return float(right / (right + wrong)) if right + wrong else np.nan


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
        **bootstrapped(f"{subtype}_auroc", _auroc, truth, probabilities, clusters(part), seed),
    }


def _auroc(truth: NDArray[np.bool_], probabilities: Float1D, weights: Float1D) -> float:
    return float(roc_auc_score(truth, probabilities, sample_weight=weights))


def _auprc(truth: NDArray[np.bool_], probabilities: Float1D, weights: Float1D) -> float:
    return float(average_precision_score(truth, probabilities, sample_weight=weights))


def _brier(truth: NDArray[np.bool_], probabilities: Float1D, weights: Float1D) -> float:
    return float(brier_score_loss(truth, probabilities, sample_weight=weights))
