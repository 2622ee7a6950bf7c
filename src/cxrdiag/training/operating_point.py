"""The threshold that goes into a model: chosen on validation, as it is and as augmented."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logit

from cxrdiag.data.augment import AugmentConfig, augment_squares
from cxrdiag.data.batches import Split
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
    draws = [_augmented_logits(classifier, val, config, generator) for _ in range(_DRAWS)]
    as_augmented = np.mean([_best(logits_N, targets_N) for logits_N in draws])
    return float(probability((as_they_are + as_augmented) / 2))


def _best(logits_N: NDArray[np.float32], targets_N: NDArray[np.int64]) -> float:
    return float(logit(choose_threshold(probability(logits_N), targets_N)))


def _augmented_logits(
    classifier: Classifier, val: Split, config: AugmentConfig, generator: torch.Generator
) -> NDArray[np.float32]:
    augmented = (
        augment_squares(images_BSS, config, generator, classifier.info.resolution)
        for images_BSS, _ in val.in_order(_BATCH)
    )
    return np.concatenate([classifier.pixel_logits(x_B1RR) for x_B1RR in augmented])
