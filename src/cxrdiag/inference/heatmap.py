"""A class activation map drawn over its X-ray."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cxrdiag.data.image import image_size, read_bytes, read_image
from cxrdiag.files import write_file
from cxrdiag.model.cam import enlarge
from cxrdiag.model.classifier import NOTICE

SIDE = 512
"""The longer side of the picture in pixels."""
FULL_COLOUR = 10.0
"""Logits at which a cell has its full colour: one scale, so that pictures compare."""
_FOR, _AGAINST = (255, 64, 32), (32, 128, 255)
_STRIP = 60


def write_heatmap(path: Path, image: Path, map_hw: NDArray[np.float32], caption: str) -> None:
    """Write a PNG: the X-ray in its own aspect ratio, the map over it, the caption below.

    `map_hw` is in logits (`class_activation_map`): red speaks for pneumonia, blue against.
    """
    width, height = image_size(read_bytes(image))
    scale = SIDE / max(width, height)
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    gray = Image.fromarray(read_image(image, SIDE)).resize(shape, Image.Resampling.BILINEAR)
    overlaid = Image.fromarray(overlay(np.asarray(gray), map_hw))
    picture = Image.new("RGB", (max(SIDE, shape[0]), shape[1] + _STRIP), "black")
    picture.paste(overlaid, ((picture.width - shape[0]) // 2, 0))
    draw = ImageDraw.Draw(picture)
    font, small = ImageFont.load_default(14), ImageFont.load_default(11)
    draw.text((8, shape[1] + 6), caption, "white", font)
    for line, text in enumerate(("red speaks for pneumonia, blue against", NOTICE)):
        draw.text((8, shape[1] + 26 + 16 * line), text, "#bbbbbb", small)
    write_file(path, picture.save)


def overlay(gray_HW: NDArray[np.uint8], map_hw: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Blend a map in logits over a gray picture: uint8 (H, W, 3)."""
    height, width = gray_HW.shape
    square = enlarge(torch.from_numpy(map_hw)[None], max(height, width))[0].numpy()
    fitted = Image.fromarray(square).resize((width, height), Image.Resampling.BILINEAR)
    strength_HW = np.clip(np.asarray(fitted) / FULL_COLOUR, -1, 1)
    # Not linear: a tint over the whole film would hide it and say nothing of where.
    alpha_HW1 = 0.55 * np.abs(strength_HW)[..., None] ** 1.5
    colour_HW3 = np.where(strength_HW[..., None] > 0, np.array(_FOR), np.array(_AGAINST))
    blended = gray_HW[..., None] * (1 - alpha_HW1) + colour_HW3 * alpha_HW1
    return np.rint(blended).astype(np.uint8)
