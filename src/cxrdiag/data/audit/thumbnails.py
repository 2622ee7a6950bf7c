"""Small copies of the stored squares, which is all that the audit looks at, and sheets of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cxrdiag.files import write_file

SIDE, GRAYS = 64, 32
_TILE, _CAPTION = 160, 34


def look_at(images_NSS: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Thumbnails (N, 64, 64), means of gray over equal areas, and shares of 32 grays (N, 32)."""
    small_NTT = np.empty((len(images_NSS), SIDE, SIDE), np.uint8)
    grays_NG = np.empty((len(images_NSS), GRAYS))
    for number, image_SS in enumerate(images_NSS):
        image = Image.fromarray(np.asarray(image_SS))
        small_NTT[number] = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX))
        grays_NG[number] = np.reshape(image.histogram(), (GRAYS, -1)).sum(axis=1) / image_SS.size
    return small_NTT, grays_NG


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
