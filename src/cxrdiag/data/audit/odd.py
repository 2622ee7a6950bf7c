"""Images that may be no frontal chest film at all: candidates, for a person to look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLANK_BELOW = 4.0
"""Standard deviation in gray levels of a thumbnail: a film's is 18 or more."""
INVERTED_BELOW, UNLIKE_BELOW = -0.3, 0.2
"""Correlation with the mean of the data set. Nearly all films are above 0.4; inverted, they are as
far below 0."""


def find_odd(thumbnails_NTT: NDArray[np.uint8]) -> dict[str, list[int]]:
    """Rows of images that are `blank`, `inverted` (bone dark) or otherwise `unlike` the others.

    Unlike are lateral films, other anatomy, photographs; and some films that are only badly
    exposed. The most unlike come first.
    """
    n, side = len(thumbnails_NTT), thumbnails_NTT.shape[1] // 2
    coarse = thumbnails_NTT.reshape(n, side, 2, side, 2).mean((2, 4), dtype=np.float32)
    flat_NP = coarse.reshape(n, -1)
    deviation_N = flat_NP.std(axis=1)
    blank_N = deviation_N < BLANK_BELOW
    centred_NP = flat_NP - flat_NP.mean(axis=1, keepdims=True)
    mean_P = centred_NP[~blank_N].mean(axis=0) if not blank_N.all() else np.zeros_like(flat_NP[0])
    scale_N = deviation_N * mean_P.std() * len(mean_P)
    correlation_N = np.divide(
        centred_NP @ mean_P, scale_N, out=np.zeros_like(scale_N), where=scale_N > 0
    )
    inverted_N = ~blank_N & (correlation_N < INVERTED_BELOW)
    unlike_N = ~blank_N & ~inverted_N & (correlation_N < UNLIKE_BELOW)
    order = np.argsort(correlation_N, kind="stable")
    kinds = {"blank": blank_N, "inverted": inverted_N, "unlike": unlike_N}
    return {kind: [int(row) for row in order if which[row]] for kind, which in kinds.items()}
