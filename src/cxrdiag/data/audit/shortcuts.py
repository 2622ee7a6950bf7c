"""How well the class can be told without seeing what the lungs look like.

A network learns whatever tells the classes apart: the make of the film as readily as the disease
(Zech et al. 2018, doi 10.1371/journal.pmed.1002683; DeGrave et al. 2021,
doi 10.1038/s42256-021-00338-7). What a linear model tells from such a thing alone, a network can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from cxrdiag.data.audit.thumbnails import SIDE
from cxrdiag.data.findings import ENCODING
from cxrdiag.data.folds import stratified_group_folds
from cxrdiag.data.image import Encoding

WARN_FROM = 0.6
"""AUROC from which a shortcut is worth a warning."""
FOLDS = 5
SAMPLE = 10_000
"""Of more images than this a random sample is used: all would change nothing, and take long."""
FACTS = ["width", "height", "bytes"]
"""Columns of a store's records."""
_RING, _CORNER = SIDE // 16, SIDE * 3 // 16


@dataclass(frozen=True)
class Shortcut:
    """What the class was told by, and how well: mean and deviation over five folds of patients."""

    name: str
    auroc: float
    sd: float


def find_shortcuts(
    views: dict[str, NDArray[np.floating]], targets_N: NDArray[np.int64], patients: Sequence[str]
) -> list[Shortcut]:
    """Logistic regressions on each of `views`; `patients` is a name for each image's patient.

    Cross-validated, no patient on both sides. Empty where that cannot be, as with fewer than five
    patients of a class.
    """
    names = np.asarray(patients)
    if any(len(set(names[targets_N == label])) < FOLDS for label in (0, 1)):
        return []
    asked = stratified_group_folds(targets_N, names, FOLDS, seed=0)
    folds = [(np.setdiff1d(np.arange(len(names)), rows), rows) for rows in asked]
    if any(len(set(targets_N[part])) < 2 for fold in folds for part in fold):
        return []  # patients of very unequal numbers of films
    with threadpool_limits(1):  # on two threads it takes far longer: they wait for each other
        return [_measure(name, x, targets_N, folds) for name, x in views.items()]


def rows_to_fit(splits: pd.Series[str]) -> NDArray[np.int64]:
    """The rows of train and val, or a sample of them."""
    rows = np.flatnonzero((splits != "test").to_numpy())
    if len(rows) > SAMPLE:
        rows = np.sort(np.random.default_rng(0).choice(rows, SAMPLE, replace=False))
    return rows


def views_without_lungs(
    thumbnails_NTT: NDArray[np.uint8],
    grays_NG: NDArray[np.float32],
    facts_NF: NDArray[np.float64],
    encodings: Sequence[Encoding] = (),
) -> dict[str, NDArray[np.floating]]:
    """What is known of N images without knowing where in them anything lies, a row each.

    `grays_NG` are shares of gray levels of the whole film: opaque lungs count in them too, as they
    do in the bytes of a file. `facts_NF` are width, height and bytes of the files.
    """
    logs = np.log(facts_NF)
    views: dict[str, NDArray[np.floating]] = {
        "file size and shape": np.c_[logs, logs[:, 0] - logs[:, 1]],
        "borders and corners": thumbnails_NTT[:, borders_and_corners()].astype(np.float32),
        "gray levels": grays_NG,
    }
    if encodings:
        modes = np.array([encoding.mode for encoding in encodings])
        coarse = np.array([encoding.coarseness for encoding in encodings])
        views[ENCODING] = np.c_[modes[:, None] == np.unique(modes), coarse]
    return views


def linear_model() -> Pipeline:
    """The logistic regression that tries each view."""
    return make_pipeline(
        StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000)
    )


def borders_and_corners() -> NDArray[np.bool_]:
    """Where a thumbnail shows no lung, as a mask: a sixteenth of each side, and the corners."""
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[:_RING] = mask[-_RING:] = mask[:, :_RING] = mask[:, -_RING:] = True
    for rows in (slice(_CORNER), slice(-_CORNER, None)):
        for columns in (slice(_CORNER), slice(-_CORNER, None)):
            mask[rows, columns] = True
    return mask


def _measure(
    name: str,
    x_NF: NDArray[np.floating],
    targets_N: NDArray[np.int64],
    folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> Shortcut:
    aurocs = cross_val_score(linear_model(), x_NF, targets_N, cv=folds, scoring="roc_auc")
    # Sums in another order on another machine: the store is to come out alike to the byte.
    return Shortcut(name, round(float(aurocs.mean()), 3), round(float(aurocs.std()), 3))
