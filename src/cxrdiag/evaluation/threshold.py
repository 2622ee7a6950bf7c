"""Operating points: from which logit an image is called Pneumonia.

Shapes: C shifted copies of each of N validation films.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_curve

from cxrdiag.evaluation.intervals import wilson
from cxrdiag.model.info import OperatingPoint
from cxrdiag.model.probability import probability

RATES = (0.90, 0.95, 0.98)
"""The sensitivities and the specificities for which there is an operating point."""
_FARTHEST = 36.0
"""The logit beyond which a probability in double precision hardly differs from 0 or 1."""


def choose_operating_points(
    logits_CN: NDArray[np.floating], targets_N: NDArray[np.int64], temperature: float
) -> dict[str, OperatingPoint]:
    """By name: balanced, youden, and sensitivity=0.90 ... specificity=0.98.

    `balanced` is `choose_threshold`. `youden` has the highest sum of sensitivity and specificity.
    `sensitivity=0.95` is the highest threshold with at least that sensitivity, `specificity=0.95`
    the lowest with at least that specificity. All, and their rates, are of the copies together; the
    rates' intervals are Wilson's for as many films, not copies: copies of one film are not
    independent. Both classes must be there.
    """
    logits, targets = logits_CN.ravel(), np.tile(targets_N, len(logits_CN))
    fpr, tpr, thresholds = roc_curve(targets, logits, drop_intermediate=False)
    ends = _clip(thresholds)

    def between(i: int) -> float:
        """Half-way from the i-th to the next: clear of the images on either side."""
        return float(ends[i : i + 2].mean())

    chosen = {
        "balanced": choose_threshold(logits, targets),
        "youden": between(int((tpr - fpr).argmax())),
    }
    for rate in RATES:
        chosen[f"sensitivity={rate:.2f}"] = between(int(np.flatnonzero(tpr >= rate)[0]))
        chosen[f"specificity={rate:.2f}"] = between(int(np.flatnonzero(1 - fpr >= rate)[-1]))
    n_sick = int(targets_N.sum())
    n_well = len(targets_N) - n_sick

    def point(logit: float) -> OperatingPoint:
        sensitivity = float((logits[targets > 0] >= logit).mean())
        specificity = float((logits[targets == 0] < logit).mean())
        return OperatingPoint(
            threshold=float(probability(logit, temperature)),
            sensitivity=sensitivity,
            sensitivity_ci95=wilson(round(sensitivity * n_sick), n_sick),
            specificity=specificity,
            specificity_ci95=wilson(round(specificity * n_well), n_well),
        )

    return {name: point(logit) for name, logit in chosen.items()}


def choose_threshold(logits_N: NDArray[np.floating], targets_N: NDArray[np.int64]) -> float:
    """The logit that speaks for neither class, within +-36 and the logits (Platt 1999).

    There a logistic regression of the targets on the logits, both classes weighed alike, is
    undecided. All films have a say in it, so that it hardly moves with single ones as the threshold
    of highest balanced accuracy does; `benchmarks/threshold_rules.py` holds it against others. Both
    classes must be there.
    """
    logits = np.clip(logits_N.astype(np.float64), -_FARTHEST, _FARTHEST)
    mean, spread = logits.mean(), logits.std() or 1.0
    # Hardly a penalty: it ends the fit where the classes are apart, half-way between them.
    regression = LogisticRegression(C=1e6, class_weight="balanced", tol=1e-6, max_iter=1000)
    regression.fit((logits[:, None] - mean) / spread, targets_N)
    slope, intercept = regression.coef_[0, 0], regression.intercept_[0]
    undecided = mean - spread * intercept / slope if slope else mean
    return float(np.clip(undecided, logits.min(), logits.max()))


def _clip(thresholds: NDArray[np.floating]) -> NDArray[np.float64]:
    """roc_curve's thresholds as finite numbers, the last one twice: there is none below it."""
    ends = np.clip(thresholds.astype(np.float64), -_FARTHEST, _FARTHEST)
    return np.append(ends, ends[-1])
