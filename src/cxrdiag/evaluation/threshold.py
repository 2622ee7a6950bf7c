"""Operating points: from which logit an image is called Pneumonia.

Shapes: C shifted copies of each of N validation films.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from cxrdiag.evaluation.intervals import proportion
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

    `balanced` is `choose_threshold` of one copy of each film at a time, and the mean of that, in
    logits: copies of one film are not independent, and are not counted as if they were. `youden`
    has the highest sum of sensitivity and specificity. `sensitivity=0.95` is the highest threshold
    with at least that sensitivity, `specificity=0.95` the lowest with at least that specificity.
    These, and the rates of all, are of the copies together; the rates' intervals are Wilson's for
    as many films, not copies. Both classes must be there.
    """
    logits, targets = logits_CN.ravel(), np.tile(targets_N, len(logits_CN))
    fpr, tpr, thresholds = roc_curve(targets, logits, drop_intermediate=False)
    ends = _clip(thresholds)

    def between(i: int) -> float:
        """Half-way from the i-th to the next: clear of the images on either side."""
        return float(ends[i : i + 2].mean())

    chosen = {
        "balanced": float(
            np.mean([choose_threshold(logits_N, targets_N) for logits_N in logits_CN])
        ),
        "youden": between(int((tpr - fpr).argmax())),
    }
    for rate in RATES:
        chosen[f"sensitivity={rate:.2f}"] = between(int(np.flatnonzero(tpr >= rate)[0]))
        chosen[f"specificity={rate:.2f}"] = between(int(np.flatnonzero(1 - fpr >= rate)[-1]))
    n_sick = int(targets_N.sum())

    def point(logit: float) -> OperatingPoint:
        sensitivity = float((logits[targets > 0] >= logit).mean())
        specificity = float((logits[targets == 0] < logit).mean())
        return OperatingPoint(
            threshold=float(probability(logit, temperature)),
            sensitivity=sensitivity,
            sensitivity_ci95=_interval(sensitivity, n_sick),
            specificity=specificity,
            specificity_ci95=_interval(specificity, len(targets_N) - n_sick),
        )

    return {name: point(logit) for name, logit in chosen.items()}


def _interval(rate: float, n: int) -> tuple[float, float]:
    low, high = proportion("rate", round(rate * n), n)["rate_ci95"]
    return low, high


def choose_threshold(logits_N: NDArray[np.floating], targets_N: NDArray[np.int64]) -> float:
    """A threshold as good as that of highest balanced accuracy on these images, within +-36.

    Where a network nearly separates them, a wide range of thresholds is as good as the best, and
    where in it the very best lies depends on single images. So: of the range of thresholds about
    the best in which balanced accuracy stays within one standard error of the highest, the logit
    nearest to 0, a probability of 0.5, where a loss that weighs both classes alike puts the
    boundary; at an end of the range not the image that ends it, but half-way to the next one.
    Both classes must be there.
    """
    fpr, tpr, thresholds = roc_curve(targets_N, logits_N, drop_intermediate=False)
    balanced = (tpr + 1 - fpr) / 2
    best = int(balanced.argmax())
    n_positive = int(targets_N.sum())
    n_negative = len(targets_N) - n_positive
    variance = tpr * (1 - tpr) / n_positive + fpr * (1 - fpr) / n_negative
    worse = np.flatnonzero(balanced < balanced[best] - np.sqrt(variance[best]) / 2)
    # Only as far as the next worse threshold: beyond it may be good ones again.
    first = max((int(i) + 1 for i in worse if i < best), default=0)
    last = min((int(i) - 1 for i in worse if i > best), default=len(thresholds) - 1)
    # roc_curve's thresholds fall, from infinity, and calls of every t from one down to the next are
    # alike: half-way between the two, an end of the range keeps clear of the images.
    ends = _clip(thresholds)
    highest, lowest = ends[first : first + 2].mean(), ends[last : last + 2].mean()
    return float(np.clip(0.0, lowest, highest))


def _clip(thresholds: NDArray[np.floating]) -> NDArray[np.float64]:
    """roc_curve's thresholds as finite numbers, the last one twice: there is none below it."""
    ends = np.clip(thresholds.astype(np.float64), -_FARTHEST, _FARTHEST)
    return np.append(ends, ends[-1])
