"""What hospitals leave on a film: a frame about it, and burnt-in letters.

Shapes: B batch, R side of an image, L overlays. Images are float32, 0 to 1.
"""

from __future__ import annotations

import functools
import string

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

N_OVERLAYS = 128


@functools.lru_cache(maxsize=2)  # a training has two sizes at most
def letters(size: int, device: torch.device) -> Tensor:
    """Letters and digits on black, near the top or the bottom edge: uint8 (L, 1, R, R).

    One to three words of up to ten characters in a font of a 25th to an 8th of the side, gray to
    white; some run off the film. Always the same ones, with one version of Pillow.
    """
    rng = np.random.default_rng(0)
    characters = list(string.ascii_uppercase + string.digits + " ")
    overlays = []
    for _ in range(N_OVERLAYS):
        overlay = Image.new("L", (size, size))
        draw = ImageDraw.Draw(overlay)
        for _ in range(rng.integers(1, 4)):
            word = "".join(rng.choice(characters, rng.integers(1, 11)))
            left = rng.uniform(-0.05, 0.9)
            top = rng.uniform(0, 0.2) if rng.random() < 0.5 else rng.uniform(0.75, 0.97)
            font = ImageFont.load_default(size=rng.uniform(0.04, 0.12) * size)
            at = (left * size, top * size)
            draw.text(at, word, fill=int(rng.integers(120, 256)), font=font)
        overlays.append(np.asarray(overlay))
    return torch.from_numpy(np.stack(overlays)[:, None]).to(device)


def frame(x_B1RR: Tensor, edges_B4: Tensor, gray_B: Tensor) -> Tensor:
    """Each image with its margins in one gray; `edges_B4` are their widths in sides of the image.

    Left, right, top, bottom. An edge of 0 leaves that side as it is.
    """
    r = x_B1RR.shape[-1]
    place = torch.arange(r, device=x_B1RR.device) + 0.5
    left, right, top, bottom = (edge_B[:, None] * r for edge_B in edges_B4.unbind(dim=1))
    columns_BR = (place >= left) & (place < r - right)
    rows_BR = (place >= top) & (place < r - bottom)
    inside_B1RR = rows_BR[:, None, :, None] & columns_BR[:, None, None, :]
    return torch.where(inside_B1RR, x_B1RR, gray_B.view(-1, 1, 1, 1))
