"""Pairs of nearly identical pictures, by a perceptual hash: candidates, for a person to look at.

Shapes: N images, T side of a picture that was made small, at least 16.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

BITS = 255
MAX_DISTANCE = 32
"""Of 17 million pairs of CoronaHack's films that are no copies none is within 38 bits, and half are
beyond 118 (chance: 127). A film that was made smaller and saved again, or got another gamma or
contrast, or lost a hundredth of its sides, stays within 32 in 99 of 100 cases. `tests/real`
measures both."""
_SIDE = 16
_PAIRS_AT_ONCE = 4_000_000


@dataclass(frozen=True, order=True)
class Pair:
    """Two rows of the store, and in how many of 255 bits their hashes differ."""

    distance: int
    first: int
    second: int


@dataclass(frozen=True)
class NearDuplicates:
    """Pairs within MAX_DISTANCE, the nearest first; byte-identical files are not counted."""

    pairs: list[Pair]
    strangers: int
    """Pairs of different, known patients."""
    strangers_near: int
    """Of these, within MAX_DISTANCE: each a false alarm, or a film under two names."""
    strangers_median: int | None
    """Median distance of strangers; None where there are none."""
    own_median: int | None
    """Median distance of two films of one known patient; None where there are none."""


def perceptual_hash(pictures_NTT: NDArray[np.float32]) -> NDArray[np.uint64]:
    """255 bits of each picture, (N, 4): which of its lowest 16 x 16 frequencies exceed the median.

    The discrete cosine transform's, but for the mean: a change of brightness or contrast changes no
    bit but by clipping (Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash
    Functions").
    """
    frequencies = dctn(pictures_NTT, axes=(1, 2), norm="ortho")[:, :_SIDE, :_SIDE]
    lowest = frequencies.reshape(len(pictures_NTT), -1)[:, 1:]
    above = lowest > np.median(lowest, axis=1, keepdims=True)
    packed: NDArray[np.uint64] = np.packbits(above, axis=1).view(np.uint64)
    return packed


def find_near_duplicates(
    hashes: NDArray[np.uint64], patients_N: NDArray[np.int64], files_N: NDArray[np.int64]
) -> NearDuplicates:
    """Compare all pairs. `patients_N` numbers the patients, -1 unknown; `files_N` the contents."""
    pairs: list[Pair] = []
    strangers, own = np.zeros(BITS + 1, np.int64), np.zeros(BITS + 1, np.int64)
    for rows, columns, distances in _compare(hashes):
        different_file = files_N[rows] != files_N[columns]
        known = (patients_N[rows] >= 0) & (patients_N[columns] >= 0) & different_file
        same = patients_N[rows] == patients_N[columns]
        strangers += np.bincount(distances[known & ~same], minlength=BITS + 1)
        own += np.bincount(distances[known & same], minlength=BITS + 1)
        near = np.flatnonzero(different_file & (distances <= MAX_DISTANCE))
        pairs += [Pair(int(distances[i]), int(rows[i]), int(columns[i])) for i in near]
    return NearDuplicates(
        pairs=sorted(pairs),
        strangers=int(strangers.sum()),
        strangers_near=int(strangers[: MAX_DISTANCE + 1].sum()),
        strangers_median=_median(strangers),
        own_median=_median(own),
    )


def _compare(
    hashes: NDArray[np.uint64],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Each pair of rows once, some millions at a time: first, second, distance."""
    n = len(hashes)
    step = max(1, _PAIRS_AT_ONCE // max(n, 1))
    for start in range(0, n, step):
        block, rest = hashes[start : start + step], hashes[start:]
        distances = sum(
            np.bitwise_count(block[:, None, word] ^ rest[None, :, word]).astype(np.int64)
            for word in range(hashes.shape[1])
        )
        rows, columns = np.triu_indices(len(block), 1, len(rest))
        yield start + rows, start + columns, np.asarray(distances)[rows, columns]


def _median(counts: NDArray[np.int64]) -> int | None:
    """Of the numbers 0, 1, 2, ... that were counted."""
    if not counts.any():
        return None
    return int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
