"""A class activation map drawn over its X-ray."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from cxrdiag.data.find import MAP_MARK
from cxrdiag.data.image import Picture
from cxrdiag.files import write_file
from cxrdiag.model.info import NOTICE
from cxrdiag.model.overlay import overlay

SIDE = 512
"""The longer side of the picture in pixels."""
_STRIP = 60


def write_heatmap(path: Path, film: Picture, map_hw: NDArray[np.float32], caption: str) -> None:
    """Write a PNG: the X-ray in its own aspect ratio, the map over it, the caption below.

    `film` is a square of SIDE; `map_hw` is in logits (`class_activation_map`): red speaks for
    pneumonia, blue against.
    """
    scale = SIDE / max(film.width, film.height)
    shape = (max(1, round(film.width * scale)), max(1, round(film.height * scale)))
    gray = Image.fromarray(film.pixels_SS).resize(shape, Image.Resampling.BILINEAR)
    overlaid = Image.fromarray(overlay(np.asarray(gray), map_hw))
    picture = Image.new("RGB", (max(SIDE, shape[0]), shape[1] + _STRIP), "black")
    picture.paste(overlaid, ((picture.width - shape[0]) // 2, 0))
    draw = ImageDraw.Draw(picture)
    font, small = ImageFont.load_default(14), ImageFont.load_default(11)
    draw.text((8, shape[1] + 6), caption, "white", font)
    for line, text in enumerate(
        ("red speaks for pneumonia, blue against: coarse, a region and not a finding", NOTICE)
    ):
        draw.text((8, shape[1] + 26 + 16 * line), text, "#bbbbbb", small)
    marked = PngInfo()
    marked.add_text(*MAP_MARK)
    write_file(path, lambda temporary: picture.save(temporary, format="PNG", pnginfo=marked))
