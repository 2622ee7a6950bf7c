"""A dense activation map drawn over its film.

Shapes: H and W pixels of a picture, h and w map cells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FULL_COLOUR = 10.0
"""Logits at which a cell has its full colour: one scale, so that pictures compare."""
_FOR, _AGAINST = (255, 64, 32), (32, 128, 255)


def enlarge(map_hw: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Dense maps (..., h, w) brought to the input's size, (..., size, size), bicubic.

    A cell looks from the first of its eight pixels, the middle of all kernels before it, and is
    drawn there.
    """
    down, across = (_bicubic(cells, size) for cells in map_hw.shape[-2:])
    return (down @ map_hw @ across.T).astype(np.float32)


def _bicubic(cells: int, size: int) -> NDArray[np.float64]:
    """The weights of the cells in each of `size` pixels along a side, (size, cells).

    Keys 1981 with a = -0.75, as torch has it; beyond the edge the outermost cell goes on.
    """
    at_S = (np.arange(size) + 0.5) * cells / size - 1 / 16  # a cell is at its whole number
    first_S = np.floor(at_S).astype(int) - 1
    weights_SC = np.zeros((size, cells))
    for tap in range(4):
        t = np.abs(at_S - first_S - tap)
        near = 1.25 * t**3 - 2.25 * t**2 + 1
        far = -0.75 * (t**3 - 5 * t**2 + 8 * t - 4)
        cell_S = np.clip(first_S + tap, 0, cells - 1)
        np.add.at(weights_SC, (np.arange(size), cell_S), np.where(t <= 1, near, far))
    return weights_SC


def overlay(gray_HW: NDArray[np.uint8], map_hw: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Blend a map in logits over a gray picture: uint8 (H, W, 3)."""
    height, width = gray_HW.shape
    square = enlarge(map_hw, max(height, width))
    fitted = Image.fromarray(square).resize((width, height), Image.Resampling.BILINEAR)
    strength_HW = np.clip(np.asarray(fitted) / FULL_COLOUR, -1, 1)
    # Not linear: a tint over the whole film would hide it and say nothing of where.
    alpha_HW1 = 0.55 * np.abs(strength_HW)[..., None] ** 1.5
    colour_HW3 = np.where(strength_HW[..., None] > 0, np.array(_FOR), np.array(_AGAINST))
    blended = gray_HW[..., None] * (1 - alpha_HW1) + colour_HW3 * alpha_HW1
    return np.rint(blended).astype(np.uint8)
