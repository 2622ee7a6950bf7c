"""The operating point: from which logit an image is called Pneumonia."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

_FARTHEST = 36.0
"""The logit beyond which a probability in double precision hardly differs from 0 or 1."""


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
    ends = np.clip(thresholds.astype(np.float64), -_FARTHEST, _FARTHEST)
    ends = np.append(ends, ends[-1])
    highest, lowest = ends[first : first + 2].mean(), ends[last : last + 2].mean()
    return float(np.clip(0.0, lowest, highest))
