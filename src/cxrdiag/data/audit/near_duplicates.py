"""Pairs of nearly identical pictures, by a perceptual hash: candidates, for a person to look at.

Shapes: N images, T side of a picture that was made small, at least 16, R rows and C columns of
a tile of all pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

BITS, _STORED = 255, 256
MAX_DISTANCE = 32
"""Of 17 million pairs of CoronaHack's films that are no copies none is within 38 bits, and half are
beyond 118 (chance: 127). A film that was made smaller and saved again, or got another gamma or
contrast, or lost a hundredth of its sides, stays within 32 in 99 of 100 cases. `tests/real`
measures both."""
_SIDE = 16
_TILE = 1024
"""Rows that are compared with as many others at once."""
_SAMPLED = 6000
"""Films, at least, whose pairs tell how far strangers are apart: all of CoronaHack's."""
_MOST = 100_000
"""Pairs from which there is nothing more to be looked at: a data set of blank films has more."""


@dataclass(frozen=True, order=True)
class Pair:
    """Two rows of the store, and in how many of 255 bits their hashes differ."""

    distance: int
    first: int
    second: int


@dataclass(frozen=True)
class NearDuplicates:
    """Pairs within MAX_DISTANCE, sorted by it; byte-identical files are not counted.

    The search ends where there are very many: then these are some.
    """

    pairs: list[Pair]
    is_complete: bool
    """Whether these are all."""
    strangers: int
    """Pairs of different, known patients among the films sampled."""
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
    hashes_N4: NDArray[np.uint64], patients_N: NDArray[np.int64], files_N: NDArray[np.int64]
) -> NearDuplicates:
    """Compare all pairs of hashes (N, 4).

    `patients_N` numbers the patients, -1 unknown; `files_N` the contents. How far films of
    different patients are apart is told by the pairs among some thousand films, of whole patients.
    """
    found: list[Pair] = []
    for rows, columns, distances_RC in _compare(hashes_N4):
        a, b = np.nonzero(distances_RC <= MAX_DISTANCE)
        first, second = rows[a], columns[b]
        wanted = (first < second) & (files_N[first] != files_N[second])
        near = distances_RC[a, b][wanted].astype(np.int64)
        found += map(Pair, near.tolist(), first[wanted].tolist(), second[wanted].tolist())
        if len(found) > _MOST:
            break
    strangers, own = np.zeros(BITS + 1, np.int64), np.zeros(BITS + 1, np.int64)
    sample = _of_whole_patients(patients_N)
    patients, files = patients_N[sample], files_N[sample]
    for rows, columns, distances_RC in _compare(hashes_N4[sample]):
        same = patients[rows, None] == patients[columns]
        wanted = (rows[:, None] < columns) & (files[rows, None] != files[columns])
        strangers += _count(distances_RC[wanted & ~same])
        own += _count(distances_RC[wanted & same])
    return NearDuplicates(
        pairs=sorted(found)[:_MOST],
        is_complete=len(found) <= _MOST,
        strangers=int(strangers.sum()),
        strangers_near=int(strangers[: MAX_DISTANCE + 1].sum()),
        strangers_median=_median(strangers),
        own_median=_median(own),
    )


def _of_whole_patients(patients_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of known patients drawn at random, until there are _SAMPLED of them or all."""
    counts = np.bincount(patients_N[patients_N >= 0])
    order = np.random.default_rng(0).permutation(len(counts))
    drawn = order[: int(np.searchsorted(np.cumsum(counts[order]), _SAMPLED)) + 1]
    rows = np.flatnonzero(np.isin(patients_N, drawn))
    return rows[: 2 * _SAMPLED]  # the last one drawn may have any number of films


def _compare(
    hashes: NDArray[np.uint64],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
    """Tiles of all pairs: rows (R,), rows to compare them with (C,), and distances in bits (R, C).

    Each pair comes up once with the smaller row first; a tile on the diagonal also holds it
    reversed, and each row with itself. As a product of matrices, which is
    the fastest that a processor does: of bits that are 1 and -1 it is the number of equal ones less
    that of others, a whole number that float32 holds.
    """
    rows = np.arange(len(hashes))
    for start in range(0, len(hashes), _TILE):
        some = _signs(hashes[start : start + _TILE])
        for across in range(start, len(hashes), _TILE):
            distances_RC = some @ _signs(hashes[across : across + _TILE]).T
            np.subtract(_STORED, distances_RC, out=distances_RC)
            distances_RC /= 2
            yield rows[start : start + _TILE], rows[across : across + _TILE], distances_RC


def _signs(hashes: NDArray[np.uint64]) -> NDArray[np.float32]:
    """1 for each bit that is set and -1 for the others, (N, 256)."""
    bits = np.unpackbits(hashes.view(np.uint8), axis=1)
    return bits.astype(np.float32) * 2 - 1


def _count(distances: NDArray[np.float32]) -> NDArray[np.int64]:
    """How many there are of each number of bits."""
    return np.bincount(distances.astype(np.int64), minlength=BITS + 1)


def _median(counts: NDArray[np.int64]) -> int | None:
    """Of the numbers 0, 1, 2, ... that were counted."""
    if not counts.any():
        return None
    return int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
