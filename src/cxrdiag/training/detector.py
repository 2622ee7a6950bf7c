"""Fits a trained classifier's detector: films against what was made of them and of nothing.

It sees no other pictures. Its limits let nearly all validation films pass.

Shapes: N pictures, F and G features, as in model/detector.py.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from cxrdiag.data.batches import Split
from cxrdiag.data.negatives import DRAWN, SPOILT, negatives
from cxrdiag.data.shifts import draw_ways, shift_films
from cxrdiag.model.classifier import Classifier
from cxrdiag.model.detector import Detector
from cxrdiag.training.validation import Validation

_MOST = 2000
"""Films that it is fitted to, and as many other pictures."""
_FEWEST = 2 * (len(SPOILT) + len(DRAWN))
"""Other pictures, however few films there are: two of every kind."""
_REFUSED, _UNLIKE = 0.005, 0.02
"""Share of the shifted copies of validation films that are refused; of the films themselves that
count as unlike those of training."""
_DIRECTIONS = 32
_BATCH = 128
_TINY = 1e-9
"""Less than what a variance or a distance can be told from 0 by."""


def fit_detector(classifier: Classifier, train: Split, validation: Validation) -> Detector:
    """Logistic regression on what the middle stages see, probabilistic PCA on the last one's."""
    grids, other_grids, pooled = [], [], []  # features alone: of large films pictures are too many
    chosen = torch.arange(0, len(train), -(-len(train) // _MOST))
    # A film framed or exposed otherwise is a film all the same.
    ways_NK = draw_ways(len(chosen), 1)[:, 0]
    for rows in torch.arange(len(chosen)).split(_BATCH):
        films_BSS = train.images(chosen[rows]).cpu()
        n = max(len(rows), _FEWEST)
        others_BSS, _ = negatives(films_BSS.numpy(), n, seed=int(rows[0]))
        shifted_BSS = shift_films(films_BSS, ways_NK[rows.numpy()])
        grids.append(classifier.detector_features(shifted_BSS)[0])
        other_grids.append(classifier.detector_features(others_BSS)[0])
        pooled.append(classifier.detector_features(films_BSS)[1])
    layer = _fit_layer(_together(grids), _together(other_grids))
    detector = Detector(**layer, **_fit_distance(_together(pooled)))
    with_it = dataclasses.replace(classifier, detector=detector.to(classifier.device))
    lowest = np.quantile(validation.film_scores(with_it), _REFUSED)
    farthest = max(float(np.quantile(validation.distances(with_it), 1 - _UNLIKE)), _TINY)
    return dataclasses.replace(
        detector,
        bias=detector.bias - float(lowest),
        noise=detector.noise * farthest,
        directions_KG=detector.directions_KG / farthest**0.5,
    )


def _together(parts: list[Tensor]) -> NDArray[np.float64]:
    return np.asarray(torch.cat(parts).cpu().double())


def _fit_layer(films_NF: NDArray[np.float64], others_NF: NDArray[np.float64]) -> dict[str, Tensor]:
    scaler = StandardScaler()
    scaled_NF = scaler.fit_transform(np.concatenate([films_NF, others_NF]))
    is_film_N = np.arange(len(scaled_NF)) < len(films_NF)
    fitted = LogisticRegression(C=0.01, max_iter=1000).fit(scaled_NF, is_film_N)
    weight_F = fitted.coef_[0] / scaler.scale_
    bias = fitted.intercept_[0] - scaler.mean_ @ weight_F
    return {"weight_F": torch.tensor(weight_F).float(), "bias": torch.tensor(bias).float()}


def _fit_distance(films_NG: NDArray[np.float64]) -> dict[str, Tensor]:
    k = max(1, min(_DIRECTIONS, min(films_NG.shape) // 2))
    # Ascending: the last directions are those in which films differ most.
    variances_G, vectors_GG = np.linalg.eigh(np.cov(films_NG.T))
    wide_K, narrow = variances_G[-k:], variances_G[:-k]
    # Few films, or films all alike, leave none to be seen.
    noise = max(float(narrow.mean()), 1e-6 * float(wide_K.sum()), _TINY)
    less_K = np.sqrt(1 / noise - 1 / np.maximum(wide_K, noise))
    return {
        "mean_G": torch.tensor(films_NG.mean(axis=0)).float(),
        "directions_KG": torch.tensor(vectors_GG[:, -k:].T * less_K[:, None]).float(),
        "noise": torch.tensor(noise).float(),
    }
