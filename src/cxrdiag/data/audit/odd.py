"""Images that may be no frontal chest film at all: candidates, for a person to look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLANK_BELOW = 4.0
"""Standard deviation in gray levels of a thumbnail: a film's is 18 or more."""
INVERTED_BELOW, UNLIKE_BELOW = -0.3, 0.2
"""Correlation with the mean of the data set. Nearly all films are above 0.4; inverted, they are as
far below 0."""
TURNED_FROM = 0.02
"""By so much more such a picture looks like the mean when the mean is turned. Of CoronaHack's films
turned by a quarter or half, 96 % do or more (`tests/real`); of the 5,910 as they are, twelve."""


def find_odd(thumbnails_NTT: NDArray[np.uint8]) -> dict[str, list[int]]:
    """Rows of images that are `blank`, `inverted` (bone dark), perhaps `turned`, or `unlike`.

    One upright film in 500 is listed as turned: the measure is coarse. Unlike the others are
    lateral films, other anatomy, photographs; and some films that are only badly exposed. The most
    unlike come first.
    """
    n, side = len(thumbnails_NTT), thumbnails_NTT.shape[1] // 2
    # In place: of a large data set each copy would count.
    centred_NKK = thumbnails_NTT.reshape(n, side, 2, side, 2).mean((2, 4), dtype=np.float32)
    centred_NKK -= centred_NKK.mean(axis=(1, 2), keepdims=True)
    deviation_N = np.sqrt(np.einsum("nij,nij->n", centred_NKK, centred_NKK) / side**2)
    blank_N = deviation_N < BLANK_BELOW
    weight_N = (~blank_N).astype(np.float32) / max(int((~blank_N).sum()), 1)
    mean_KK = np.einsum("n,nij->ij", weight_N, centred_NKK)
    scale_N = deviation_N * mean_KK.std() * mean_KK.size

    def correlation(turns: int) -> NDArray[np.float64]:
        product_N = np.einsum("nij,ij->n", centred_NKK, np.rot90(mean_KK, turns))
        result_N = np.zeros(n)
        np.divide(product_N, scale_N, out=result_N, where=scale_N > 0)
        return result_N

    correlation_N = correlation(0)
    turned_N = np.max([correlation(turns) for turns in (1, 2, 3)], axis=0) - correlation_N
    inverted_N = ~blank_N & (correlation_N < INVERTED_BELOW)
    turned_N = ~blank_N & ~inverted_N & (turned_N > TURNED_FROM)
    unlike_N = ~blank_N & ~inverted_N & ~turned_N & (correlation_N < UNLIKE_BELOW)
    order = np.argsort(correlation_N, kind="stable")
    kinds = {"blank": blank_N, "inverted": inverted_N, "turned": turned_N, "unlike": unlike_N}
    return {kind: [int(row) for row in order if which[row]] for kind, which in kinds.items()}
