"""Validation films under acquisition shifts: what the epoch and the threshold are chosen by.

Shapes: N films of the split, C shifted copies of each, R side of the network's input.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cxrdiag.data.batches import Split
from cxrdiag.data.resample import resize
from cxrdiag.data.shifts import shift_films
from cxrdiag.evaluation.threshold import choose_threshold
from cxrdiag.model.classifier import Classifier
from cxrdiag.model.probability import probability

_COPIES = 3
_BATCH = 128


class ShiftedValidation:
    """Three copies of each film, each framed, exposed and handled in another way; always the same.

    Films of one validation split come from where the training films come from: as they are, nearly
    every epoch separates them, and the best threshold hugs the normal ones. What is chosen here is
    chosen for films from elsewhere. All copies are ranked together, so that a normal film under one
    shift is set against a pneumonia under another.
    """

    def __init__(self, val: Split, resolution: int) -> None:
        targets_N = val.targets_N.cpu().numpy().astype(np.int64)
        self._targets = np.tile(targets_N, _COPIES)
        rng = np.random.default_rng(0)
        parts = [
            _small(shift_films(images_BSS.cpu(), rng), resolution)
            for _ in range(_COPIES)
            for images_BSS, _ in val.in_order(_BATCH)
        ]
        self._images = torch.cat(parts).to(val.device)

    def auroc(self, classifier: Classifier) -> float:
        """AUROC of all copies together."""
        return float(roc_auc_score(self._targets, self._logits(classifier)))

    def threshold(self, classifier: Classifier) -> float:
        """The probability that serves all copies together best (`choose_threshold`)."""
        return choose_threshold(probability(self._logits(classifier)), self._targets)

    def _logits(self, classifier: Classifier) -> NDArray[np.float32]:
        """(C * N,), copy after copy."""
        return np.concatenate([classifier.logits(part) for part in self._images.split(_BATCH)])


def _small(images_BSS: torch.Tensor, resolution: int) -> torch.Tensor:
    """At the network's size, as uint8: a quarter of the memory of float pixels."""
    return (resize(images_BSS, resolution)[:, 0] * 255).round().to(torch.uint8)
