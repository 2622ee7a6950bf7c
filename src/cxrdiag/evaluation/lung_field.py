"""Where the lungs lie in the average film, and how much of an activation map lies there.

Shapes: N films, S side of a decoded square, B maps of h x w cells.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cxrdiag.model.overlay import enlarge

_SMOOTH, _WIDE = 1 / 85, 1 / 6.4
"""Deviations of the two blurs, in sides: what is darker than its surroundings, ribs left out."""
_SMALLEST, _LARGEST = 0.02, 0.25
"""Of a picture, one lung."""
_DARKEST = 0.2
"""How much darker lungs are at the least, in deviations of a film's gray."""
_LEVELS = 40


def lung_field(films: Iterable[NDArray[np.uint8]]) -> NDArray[np.bool_] | None:
    """The lungs of the mean of decoded squares (S, S), and of their mirror images: (S, S).

    One field for all films: frontal films of a data set are framed alike, more or less, and the
    lungs of a film with pneumonia are hard to find in itself. None where the mean shows no lungs.
    """
    total, n = np.zeros(()), 0
    for film_SS in films:
        deviation = max(float(film_SS.std()), 1.0)
        total = total + (film_SS - film_SS.mean()) / deviation
        n += 1
    if n == 0:
        return None
    mean_SS = (total + total[:, ::-1]) / (2 * n)
    side = len(mean_SS)
    smooth_SS = ndimage.gaussian_filter(mean_SS, _SMOOTH * side)
    darkness_SS = ndimage.gaussian_filter(mean_SS, _WIDE * side) - smooth_SS
    if darkness_SS.max() < _DARKEST:
        return None
    # As much as is darker than its surroundings, or, where that runs into the dark beside the
    # body, as much as can be told from it.
    for level in np.linspace(0, float(darkness_SS.max()), _LEVELS, endpoint=False):
        parts_SS, _ = ndimage.label(darkness_SS > level)
        areas = np.bincount(parts_SS.ravel()) / parts_SS.size
        edge = {0, *parts_SS[0], *parts_SS[-1], *parts_SS[:, 0], *parts_SS[:, -1]}
        inside = [p for p in range(len(areas)) if p not in edge]
        lungs = [part for part in inside if _SMALLEST < areas[part] < _LARGEST]
        middles = sorted(np.nonzero(parts_SS == part)[1].mean() / side for part in lungs)
        if len(lungs) == 2 and middles[0] < 0.45 and middles[1] > 0.55:
            return np.asarray(np.isin(parts_SS, lungs))
    return None


def centred_share(field_SS: NDArray[np.bool_]) -> float:
    """The share in the field of a blob in the middle, of a deviation of a fifth of the side.

    A map that shows only that the middle of a film matters has about so much there.
    """
    middle = (np.arange(len(field_SS)) + 0.5) / len(field_SS) - 0.5
    along_S = np.exp(-((middle / 0.2) ** 2) / 2)
    blob_SS = along_S[:, None] * along_S
    return float(blob_SS[field_SS].sum() / blob_SS.sum())


def shares_inside(
    maps_Bhw: NDArray[np.float32], field_SS: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """For each map what share of its positive mass lies in the field (B,); NaN where none is."""
    mass_BSS = np.maximum(enlarge(maps_Bhw, len(field_SS)), 0).astype(np.float64)
    inside_B, all_B = mass_BSS[:, field_SS].sum(axis=1), mass_BSS.sum(axis=(1, 2))
    shares_B: NDArray[np.float64] = np.full(len(all_B), np.nan)
    np.divide(inside_B, all_B, out=shares_B, where=all_B > 0)
    return shares_B
