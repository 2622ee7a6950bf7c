"""Folds of whole groups with alike strata: those of scikit-learn's StratifiedGroupKFold, sooner.

For thousands of patients its loop takes as long as all their films take to decode, and to import it
takes a second more. Each row is in the same fold as there.

Shapes: N rows, G groups, K strata, F folds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_RELATIVE, _ABSOLUTE = 1e-5, 1e-8
"""Within these two spreads are alike: numpy.isclose's tolerances."""


def stratified_group_folds(
    strata: Sequence[str] | NDArray[np.int64],
    groups: Sequence[str] | NDArray[np.str_],
    n_folds: int,
    seed: int,
) -> list[NDArray[np.int64]]:
    """The rows of each of `n_folds` folds, drawn by `seed`.

    `strata` and `groups` hold a name for each of N rows. Groups are shuffled, those of the most
    uneven strata come first, and each goes to the fold that leaves the strata's shares of the folds
    most alike; of folds as good, to the one of fewest rows (Wasikowski 2019, as adopted by
    scikit-learn). Where there are fewer groups than folds, some folds are empty.
    """
    _, stratum_N, n_K = np.unique(strata, return_inverse=True, return_counts=True)
    names, group_N = np.unique(groups, return_inverse=True)
    order_G = np.arange(len(names))
    np.random.RandomState(seed).shuffle(order_G)  # scikit-learn's generator
    counts_GK = np.zeros((len(names), len(n_K)))
    np.add.at(counts_GK, (group_N, stratum_N), 1)
    counts_GK = counts_GK[order_G]
    fold_G = np.empty(len(names), np.int64)
    held_FK = np.zeros((n_folds, len(n_K)))
    for group in np.argsort(-counts_GK.std(axis=1), kind="stable"):
        fold = _best_fold(held_FK, counts_GK[group], n_K)
        held_FK[fold] += counts_GK[group]
        fold_G[order_G[group]] = fold
    return [np.flatnonzero(fold_G[group_N] == fold) for fold in range(n_folds)]


def _best_fold(
    held_FK: NDArray[np.float64], added_K: NDArray[np.float64], n_K: NDArray[np.int64]
) -> int:
    n_folds = len(held_FK)
    each = np.arange(n_folds)
    # What the folds hold if the first takes the group in, if the second does, ...
    tried_FFK = np.repeat(held_FK[None], n_folds, axis=0)
    tried_FFK[each, each] += added_K
    spreads = (tried_FFK / n_K).std(axis=1).mean(axis=1).tolist()
    rows = held_FK.sum(axis=1).tolist()
    best = 0
    for fold in range(1, n_folds):
        close = abs(spreads[fold] - spreads[best]) <= _ABSOLUTE + _RELATIVE * spreads[best]
        if spreads[fold] < spreads[best] or (close and rows[fold] < rows[best]):
            best = fold
    return best
