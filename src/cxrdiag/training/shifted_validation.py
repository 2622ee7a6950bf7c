"""Validation films under acquisition shifts: what the epoch and the threshold are chosen by.

Shapes: N films of the split, K kinds of shift, S side of a stored square, R side of the network's
input.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cxrdiag.data.batches import Split
from cxrdiag.data.resample import resize
from cxrdiag.data.shifts import SHIFTS
from cxrdiag.evaluation.threshold import choose_threshold
from cxrdiag.model.classifier import Classifier
from cxrdiag.model.probability import probability

_BATCH = 128


class ShiftedValidation:
    """Each film as it is and under one shift of each kind, the shifts of a kind in turn by class.

    Films of one validation split come from where the training films come from: as they are, nearly
    every epoch separates them, and the best threshold hugs the normal ones. What is chosen here is
    chosen for films exposed, handled and framed in other ways, and pooling the shifts means that a
    normal film under one shift is ranked against a pneumonia under another.
    """

    def __init__(self, val: Split, resolution: int) -> None:
        targets_N = val.targets_N.cpu().numpy().astype(np.int64)
        turn_N = np.where(targets_N == 1, targets_N.cumsum(), (1 - targets_N).cumsum())
        shape = (len(SHIFTS), len(val), resolution, resolution)
        # A quarter of the memory of float pixels, and what they are rounded by is no finding.
        self._shifted_KNRR = torch.empty(shape, dtype=torch.uint8, device=val.device)
        for shifted_NRR, shifts in zip(self._shifted_KNRR, SHIFTS.values(), strict=True):
            for place, shift in enumerate(shifts.values()):
                rows = torch.from_numpy(np.flatnonzero(turn_N % len(shifts) == place))
                for start in range(0, len(rows), _BATCH):
                    chosen = rows[start : start + _BATCH]
                    images_B1SS = shift(val.images(chosen).cpu()[:, None])
                    x_B1RR = resize(images_B1SS[:, 0], resolution)
                    small = (x_B1RR[:, 0] * 255).round().to(torch.uint8)
                    shifted_NRR[chosen.to(val.device)] = small.to(val.device)
        self._targets = np.tile(targets_N, 1 + len(SHIFTS))

    def auroc(self, classifier: Classifier, plain_N: NDArray[np.float32]) -> float:
        """AUROC of all films and shifts together; `plain_N` are the logits of films as they are."""
        return float(roc_auc_score(self._targets, self._logits(classifier, plain_N)))

    def threshold(self, classifier: Classifier, plain_N: NDArray[np.float32]) -> float:
        """The probability that serves all films and shifts together best (`choose_threshold`)."""
        return choose_threshold(probability(self._logits(classifier, plain_N)), self._targets)

    def _logits(self, classifier: Classifier, plain_N: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = [plain_N]
        for shifted_NRR in self._shifted_KNRR:
            parts += [classifier.logits(images) for images in shifted_NRR.split(_BATCH)]
        return np.concatenate(parts)
