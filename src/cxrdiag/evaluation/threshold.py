"""The operating point: from which probability an image is called Pneumonia."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve


def choose_threshold(probabilities_N: NDArray[np.float64], targets_N: NDArray[np.int64]) -> float:
    """The threshold of highest balanced accuracy on these images, 0 to 1.

    Where a network nearly separates them, a wide range of thresholds is as good as the best, and
    its ends hang on single images. So: of the range of thresholds about the best in
    which balanced accuracy stays within one standard error of the highest, the middle, in logits.
    Both classes must be there.
    """
    fpr, tpr, thresholds = roc_curve(targets_N, probabilities_N, drop_intermediate=False)
    balanced = (tpr + 1 - fpr) / 2
    best = int(balanced.argmax())
    n_positive = int(targets_N.sum())
    n_negative = len(targets_N) - n_positive
    variance = tpr * (1 - tpr) / n_positive + fpr * (1 - fpr) / n_negative
    worse = np.flatnonzero(balanced < balanced[best] - np.sqrt(variance[best]) / 2)
    # Only as far as the next worse threshold: beyond it may be good ones again.
    first = max((int(i) + 1 for i in worse if i < best), default=0)
    last = min((int(i) - 1 for i in worse if i > best), default=len(thresholds) - 1)
    # roc_curve's thresholds fall, from infinity; p >= t for every t from one down to the next.
    logits = _logit(thresholds)
    low = logits[min(last + 1, len(logits) - 1)]
    high = logits[first]
    middle = (high + low) / 2
    return float(1 / (1 + np.exp(-middle)))


def _logit(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    eps = np.finfo(np.float64).eps  # a finer step below 1 float64 does not resolve
    inside = np.clip(probabilities, eps, 1 - eps)
    return np.asarray(np.log(inside) - np.log1p(-inside))
