"""Scores of weighted images: scikit-learn's and scipy's numbers, at the pace of a bootstrap.

An interval takes a thousand of each, and theirs check what they are given for longer than they
compute: an evaluation would last half a minute more. A weight is how often an image is there, and
values are finite.

Shapes: N images, V distinct values among them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float1D = NDArray[np.float64]


def auroc(truth_N: NDArray[np.bool_], said_N: Float1D, weights_N: Float1D) -> float:
    """Share of pairs of both classes that `said_N` puts in order, ties half (Mann-Whitney's U).

    Both classes must have weight.
    """
    sick_V, well_V = _by_value(truth_N, said_N, weights_N)
    below_V = well_V.cumsum() - well_V / 2
    return float(sick_V @ below_V / (sick_V.sum() * well_V.sum()))


def average_precision(truth_N: NDArray[np.bool_], said_N: Float1D, weights_N: Float1D) -> float:
    """Mean precision over the recall that each distinct value of `said_N` adds, from the top.

    A pneumonia must have weight.
    """
    sick_V, well_V = _by_value(truth_N, -said_N, weights_N)
    found_V = sick_V.cumsum()
    called_V = found_V + well_V.cumsum()
    precision_V = found_V / np.where(called_V > 0, called_V, 1)
    return float(sick_V @ precision_V / sick_V.sum())


def brier(truth_N: NDArray[np.bool_], probabilities_N: Float1D, weights_N: Float1D) -> float:
    """Mean squared distance of the probability from 1 for a pneumonia, 0 for none."""
    return float(np.average((probabilities_N - truth_N) ** 2, weights=weights_N))


def spearman(a_N: Float1D, b_N: Float1D, weights_N: Float1D) -> float:
    """Rank correlation, of ties the mean rank; NaN where either side is constant."""
    ranks_2N = np.stack([_ranks(side_N, weights_N) for side_N in (a_N, b_N)])
    apart_2N = ranks_2N - np.average(ranks_2N, axis=1, weights=weights_N)[:, None]
    cross_22 = (apart_2N * weights_N) @ apart_2N.T
    scale = np.sqrt(cross_22[0, 0] * cross_22[1, 1])
    return float(cross_22[0, 1] / scale) if scale else float("nan")


def _by_value(
    truth_N: NDArray[np.bool_], said_N: Float1D, weights_N: Float1D
) -> tuple[Float1D, Float1D]:
    """Weights of the pneumonias and of the normal images at each distinct value, ascending."""
    _, value_N = np.unique(said_N, return_inverse=True)
    return _sums(value_N, weights_N * truth_N), _sums(value_N, weights_N * ~truth_N)


def _ranks(side_N: Float1D, weights_N: Float1D) -> Float1D:
    _, value_N = np.unique(side_N, return_inverse=True)
    weight_V = _sums(value_N, weights_N)
    ranks_N: Float1D = (weight_V.cumsum() - weight_V / 2)[value_N]  # but for a half, which cancels
    return ranks_N


def _sums(value_N: NDArray[np.int64], weights_N: Float1D) -> Float1D:
    return np.asarray(np.bincount(value_N, weights_N), np.float64)
