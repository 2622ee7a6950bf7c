"""What the validation split says of a network, its films as they are and under acquisition shifts.

Shapes: N films of the split, C shifted copies of M of them, K kinds of shift, B batch, S side of a
stored square, R side of the network's input.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor

from cxrdiag.data.batches import Split
from cxrdiag.data.resample import resize
from cxrdiag.data.shifts import draw_ways, shift_films, view
from cxrdiag.errors import TrainingError
from cxrdiag.evaluation.calibration import fit_temperature
from cxrdiag.evaluation.threshold import choose_operating_points
from cxrdiag.model.classifier import Classifier
from cxrdiag.model.info import ModelInfo
from cxrdiag.training.optimisation import class_weights, loss_function

_N_COPIES = 3
"""Shifted ones, of each film."""
_MOST = 2000
"""Films of either class that are shifted, at most: their copies are held in memory. CoronaHack has
522 of both."""
_BATCH = 128


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Of films as they are, but for the last."""

    loss: float
    """Class-balanced cross-entropy, without smoothing."""
    accuracy: float
    """At 0.5."""
    auroc: float
    shifted_auroc: float
    """Of all shifted copies together."""


class Validation:
    """The films of the split, and three shifted copies of each; always the same.

    Of a class that has very many films in it every k-th is shifted.

    Films of one validation split come from where the training films come from: as they are, nearly
    every epoch separates them, and the best threshold hugs the normal ones. So the epoch and the
    threshold are chosen by the copies. They are ranked together: a normal film framed or exposed in
    one way is set against a pneumonia in another. Where the recipe cuts normal films in training,
    because the classes are framed differently, normal copies lose as much of their height as it
    takes at most: else they would reward a network for telling films by what the cut takes away.
    So networks of recipes that cut differently are not scored alike.
    """

    def __init__(
        self,
        val: Split,
        resolution: int,
        normal_cut: float = 0.0,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        """`normal_cut` is the recipe's. `pause` is called after each batch; it may raise."""
        self._val = val
        self._pause = pause
        self._targets_N = val.targets_N.cpu().numpy().astype(np.int64)
        per_class = [np.flatnonzero(self._targets_N == label) for label in (0, 1)]
        thinned = [rows[:: max(1, -(-len(rows) // _MOST))] for rows in per_class]
        chosen_M = np.sort(np.concatenate(thinned))
        self._targets_M = self._targets_N[chosen_M]
        ways_MCK = draw_ways(len(chosen_M), _N_COPIES)
        # Kept as uint8 on the host, a quarter of what float pixels take: C * M * R * R bytes.
        shape = (_N_COPIES, len(chosen_M), resolution, resolution)
        self._shifted_CMRR = torch.empty(shape, dtype=torch.uint8)
        cut, is_normal_M = view(1.0, 1 - normal_cut), torch.from_numpy(self._targets_M == 0)
        for part in torch.arange(len(chosen_M)).split(_BATCH):
            images_BSS = val.images(torch.from_numpy(chosen_M)[part]).cpu()
            if normal_cut and (rows := is_normal_M[part].nonzero()[:, 0]).numel():
                images_BSS[rows] = cut(images_BSS[rows, None])[:, 0]
            for copy, shifted_MRR in enumerate(self._shifted_CMRR):
                moved_BSS = shift_films(images_BSS, ways_MCK[part.numpy(), copy])
                x_B1RR = resize(moved_BSS, resolution)
                shifted_MRR[part] = (x_B1RR[:, 0] * 255).round().to(torch.uint8)
                self._pause()

    def scores(self, classifier: Classifier) -> Scores:
        """Raises TrainingError on a logit that is not finite."""
        plain_N = classifier.split_logits(self._val)
        shifted_CM, targets_CM = self.shifted_logits(classifier)
        if not (np.isfinite(plain_N).all() and np.isfinite(shifted_CM).all()):
            raise non_finite("a validation logit is not finite")
        targets_N, logits_N = torch.from_numpy(self._targets_N), torch.from_numpy(plain_N)
        weights_2 = class_weights(targets_N, balance=True)
        return Scores(
            loss=float(loss_function(logits_N, targets_N.float(), weights_2)),
            accuracy=float(((plain_N > 0) == (self._targets_N > 0)).mean()),
            auroc=float(roc_auc_score(self._targets_N, plain_N)),
            shifted_auroc=float(roc_auc_score(targets_CM.ravel(), shifted_CM.ravel())),
        )

    def calibrate(self, classifier: Classifier) -> ModelInfo:
        """The classifier's info with the temperature, operating points and threshold that fit.

        All are chosen on the shifted copies.

        Raises TrainingError as `scores` does.
        """
        shifted_CM, targets_CM = self.shifted_logits(classifier)
        if not np.isfinite(shifted_CM).all():
            raise non_finite("a logit of the weights in half precision is not finite")
        info, truth = classifier.info, targets_CM.ravel() > 0
        temperature = fit_temperature(shifted_CM.ravel(), truth, info.prevalence)
        points = choose_operating_points(shifted_CM, self._targets_M, temperature)
        return dataclasses.replace(
            info,
            temperature=temperature,
            operating_points=points,
            threshold=points["balanced"].threshold,
        )

    def film_scores(self, classifier: Classifier) -> NDArray[np.float32]:
        """Of `Classifier.detect`, of the shifted copies, (C, M)."""
        size = classifier.batch
        return self._of_shifted(lambda images: classifier.detect(images).film_scores_B, size)

    def distances(self, classifier: Classifier) -> NDArray[np.float32]:
        """Of `Classifier.detect`, of the films as they are, (N,)."""
        batches = self._val.in_order(classifier.batch)
        return np.concatenate([classifier.detect(images).distances_B for images, _ in batches])

    def shifted_logits(
        self, classifier: Classifier
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Of the shifted copies, and their targets, both (C, M)."""
        logits_CM = self._of_shifted(classifier.logits, classifier.batch)
        return logits_CM, np.broadcast_to(self._targets_M, logits_CM.shape)

    def _of_shifted(
        self, answer: Callable[[Tensor], NDArray[np.float32]], size: int
    ) -> NDArray[np.float32]:
        """What is answered (B,) to batches of at most `size` shifted copies, (C, M)."""
        return np.stack(
            [self._of_film_copies(answer, copies, size) for copies in self._shifted_CMRR]
        )

    def _of_film_copies(
        self, answer: Callable[[Tensor], NDArray[np.float32]], images_MRR: Tensor, size: int
    ) -> NDArray[np.float32]:
        answers = []
        for part in images_MRR.split(size):
            answers.append(answer(part))
            self._pause()
        return np.concatenate(answers)


def non_finite(message: str) -> TrainingError:
    """The error of a training that has left the finite numbers."""
    hint = "lower training.lr, or set training.precision=fp32"
    return TrainingError(message, hint=hint, code="non_finite_loss")
