"""The threshold that goes into a model: chosen on validation, as it is and as augmented."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logit

from cxrdiag.data.augment import AugmentConfig, augment
from cxrdiag.data.batches import Split
from cxrdiag.data.resample import resize
from cxrdiag.evaluation.threshold import choose_threshold
from cxrdiag.model.classifier import Classifier
from cxrdiag.model.probability import probability

_DRAWS = 4
_BATCH = 128


def threshold_on_validation(
    classifier: Classifier, val: Split, config: AugmentConfig, seed: int
) -> float:
    """Midway, in logits, between what suits validation images as they are and as augmented.

    The films a model meets later are exposed and framed differently from its validation films.
    These alone leave hardly an error to choose by, and their best threshold hugs the normal ones.
    Returns a probability. Both classes must be in `val`.
    """
    targets_N = val.targets_N.cpu().numpy().astype(np.int64)
    as_they_are = _best(classifier.split_logits(val), targets_N)
    generator = torch.Generator().manual_seed(seed)
    # A draw at a time: copies of one film are not independent, and are not counted as if they were.
    draws = [_best(*_augmented(classifier, val, config, generator)) for _ in range(_DRAWS)]
    as_augmented = np.mean(draws)
    return float(probability((as_they_are + as_augmented) / 2))


def _best(logits_N: NDArray[np.float32], targets_N: NDArray[np.int64]) -> float:
    return float(logit(choose_threshold(probability(logits_N), targets_N)))


def _augmented(
    classifier: Classifier, val: Split, config: AugmentConfig, generator: torch.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits and targets of one draw, shuffled: a batch of one class would share its style."""
    logits, targets = [], []
    for images_BSS, targets_B in val.shuffled(_BATCH, generator):
        x_B1RR = resize(images_BSS, classifier.info.resolution)
        logits.append(classifier.pixel_logits(augment(x_B1RR, config, generator)))
        targets.append(targets_B.cpu().numpy().astype(np.int64))
    return np.concatenate(logits), np.concatenate(targets)
