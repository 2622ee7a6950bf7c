"""Acquisition shifts: a film as other equipment, staff or software would have handed it over.

A validation split drawn from the training set is exposed and framed as the training films are, and
says little of how a model reads films from elsewhere. Its films under these shifts say more. They
are fixed, seeds included: what becomes of a film does not depend on which others are shifted with
it, but the ways are dealt by a film's place in the split. Framing, letters and blur are in parts of
the side; grain and JPEG's blocks are of stored pixels.

Shapes: B batch, S side of a stored square, K kinds of shift.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor
from torch.nn import functional as F

Shift = Callable[[Tensor], Tensor]
"""uint8 (B, 1, S, S) on the CPU to the same."""


def _gamma(gamma: float) -> Shift:
    curve_256 = ((torch.arange(256) / 255) ** gamma * 255.999).to(torch.uint8)
    return lambda x: curve_256[x.long()]


def _contrast(factor: float) -> Shift:
    """About middle gray, so that it is one curve for every film."""
    return lambda x: ((x.float() - 127.5) * factor + 127.5).round().clamp(0, 255).to(torch.uint8)


def _blur(x: Tensor) -> Tensor:
    """Gaussian, with a standard deviation of a 128th of the side: two pixels of 256."""
    sigma = max(x.shape[-1] / 128, 0.5)  # less would not reach the next pixel
    reach = round(2.5 * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    padded = F.pad(x.float(), [reach] * 4, mode="reflect")
    return F.conv2d(padded, torch.outer(kernel, kernel)[None, None]).round().to(torch.uint8)


def _sharpen(x: Tensor) -> Tensor:
    return (2 * x.float() - _blur(x).float()).clamp(0, 255).to(torch.uint8)


def _noise(x: Tensor) -> Tensor:
    """One grain for all films, of a standard deviation of 0.06 of the range."""
    grain_SS = torch.randn(x.shape[2:], generator=torch.Generator().manual_seed(0))
    return (x.float() + 0.06 * 255 * grain_SS).round().clamp(0, 255).to(torch.uint8)


def _jpeg(x: Tensor) -> Tensor:
    """Quality 15 of Pillow: blocks show."""

    def compressed(image: Image.Image) -> Image.Image:
        stream = io.BytesIO()
        image.save(stream, format="JPEG", quality=15)
        return Image.open(stream)

    return _by_pillow(x, compressed)


def _by_pillow(x: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    changed = [np.array(change(Image.fromarray(image))) for image in x[:, 0].numpy()]
    return torch.from_numpy(np.stack(changed))[:, None]


def view(width: float, height: float, right: float = 0, down: float = 0) -> Shift:
    """A window, its sides and its centre's offset in sides of the film, as a square; else black."""

    def shift(x: Tensor) -> Tensor:
        # In affine_grid's units an image is 2 wide.
        theta_23 = torch.tensor([[width, 0, 2 * right], [0, height, 2 * down]])
        grid = F.affine_grid(theta_23.expand(len(x), 2, 3), list(x.shape), align_corners=False)
        seen = F.grid_sample(x.float(), grid, align_corners=False)
        return seen.round().to(torch.uint8)

    return shift


def _text(x: Tensor) -> Tensor:
    """Letters along the top and the bottom, as a console burns them in."""
    side = x.shape[-1]
    overlay = Image.new("L", (side, side))
    draw = ImageDraw.Draw(overlay)
    font = ImageFont.load_default(size=side / 14)
    draw.text((0.03 * side, 0.02 * side), "PORTABLE  R", fill=255, font=font)
    draw.text((0.5 * side, 0.9 * side), "AP ERECT 12", fill=255, font=font)
    return torch.maximum(x, torch.from_numpy(np.array(overlay)))


def _border(x: Tensor) -> Tensor:
    """A collimator's black frame over the outermost twelfth."""
    framed = torch.zeros_like(x)
    edge = x.shape[-1] // 12
    inside = (..., slice(edge, -edge), slice(edge, -edge))
    framed[inside] = x[inside]
    return framed


SHIFTS: dict[str, dict[str, Shift]] = {
    "framing": {
        "nearer": view(0.85, 0.85),
        "farther": view(1.15, 1.15),
        "upper left": view(0.85, 0.85, -0.07, -0.07),
        "lower right": view(0.85, 0.85, 0.07, 0.07),
        "cut in height": view(1.0, 0.75),
        "cut in width": view(0.75, 1.0),
        "border": _border,
    },
    "exposure": {
        "brighter": _gamma(0.65),
        "darker": _gamma(1.5),
        "low contrast": _contrast(0.65),
        "high contrast": _contrast(1.4),
        "equalised": lambda x: _by_pillow(x, ImageOps.equalize),
    },
    "detail": {
        "blurred": _blur,
        "sharpened": _sharpen,
        "noise": _noise,
        "JPEG": _jpeg,
        "text": _text,
    },
}
"""By kind and name, the kinds in the order in which a film meets them.

Of a size that a reader of films would notice and not mind.
"""


def draw_ways(n_films: int, n_copies: int) -> NDArray[np.int64]:
    """For each copy of each film a way, of all different ones: (n_films, n_copies, K).

    A way is the place of one shift in each kind. A fixed seed: the same ways every time.
    """
    sizes = tuple(len(shifts) for shifts in SHIFTS.values())
    rng = np.random.default_rng(0)
    drawn = [rng.choice(math.prod(sizes), n_copies, replace=False) for _ in range(n_films)]
    return np.stack(np.unravel_index(np.stack(drawn), sizes), axis=-1)


def shift_films(images_BSS: Tensor, ways_BK: NDArray[np.int64]) -> Tensor:
    """Each film in its way, one shift of every kind: uint8 (B, S, S) on the CPU to the same."""
    shifted_B1SS = images_BSS[:, None].clone()
    for shifts, places_B in zip(SHIFTS.values(), ways_BK.T, strict=True):
        for place, shift in enumerate(shifts.values()):
            rows = torch.from_numpy(np.flatnonzero(places_B == place))
            if len(rows):
                shifted_B1SS[rows] = shift(shifted_B1SS[rows])
    return shifted_B1SS[:, 0]
