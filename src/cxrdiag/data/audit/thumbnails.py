"""Small copies of the stored squares, which is all that the audit looks at, and sheets of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cxrdiag.data.audit.near_duplicates import perceptual_hash
from cxrdiag.files import write_file

SIDE, GRAYS = 32, 32
_HASHED_SIDE = 64
_CHUNK = 512
_TILE, _CAPTION = 160, 34


@dataclass(frozen=True)
class Looks:
    """What the audit keeps of N images: some 1.2 kB each, so that a large store stays small."""

    thumbnails_NTT: NDArray[np.uint8]
    """Means of gray over equal areas, (N, 32, 32)."""
    grays_NG: NDArray[np.float32]
    """Shares of 32 equal ranges of gray, (N, 32)."""
    hashes_N4: NDArray[np.uint64]
    """`perceptual_hash`."""


def look_at(images_NSS: NDArray[np.uint8], rows_N: NDArray[np.int64] | None = None) -> Looks:
    """Look once at each stored square, uint8 (N, S, S), or at those in `rows_N`."""
    rows_N = np.arange(len(images_NSS)) if rows_N is None else rows_N
    n = len(rows_N)
    looks = Looks(
        np.empty((n, SIDE, SIDE), np.uint8),
        np.empty((n, GRAYS), np.float32),
        np.empty((n, 4), np.uint64),
    )
    for start in range(0, n, _CHUNK):
        part = slice(start, start + _CHUNK)
        images = [Image.fromarray(np.asarray(images_NSS[row])) for row in rows_N[part]]
        shrunk = [np.asarray(_shrink(image, _HASHED_SIDE), np.float32) for image in images]
        looks.hashes_N4[part] = perceptual_hash(np.stack(shrunk))
        looks.thumbnails_NTT[part] = [np.asarray(_shrink(image, SIDE)) for image in images]
        counts = np.array([image.histogram() for image in images])
        grays_BG = counts.reshape(len(images), GRAYS, -1).sum(axis=2)
        looks.grays_NG[part] = grays_BG / counts.sum(axis=1, keepdims=True)
    return looks


def _shrink(image: Image.Image, side: int) -> Image.Image:
    return image.resize((side, side), Image.Resampling.BOX)


def write_sheet(
    path: Path,
    images: Sequence[NDArray[np.uint8]],
    captions: Sequence[str],
) -> None:
    """Write a PNG of gray squares in rows of eight, each with its caption below it."""
    columns = min(8, len(images))
    rows = -(-len(images) // columns)
    sheet = Image.new("L", (columns * (_TILE + 8), rows * (_TILE + _CAPTION)), 255)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for number, (image_SS, caption) in enumerate(zip(images, captions, strict=True)):
        x, y = number % columns * (_TILE + 8), number // columns * (_TILE + _CAPTION)
        sheet.paste(Image.fromarray(np.asarray(image_SS)).resize((_TILE, _TILE)), (x, y))
        draw.text((x, y + _TILE + 2), caption, 0, font)
    write_file(path, sheet.save)
