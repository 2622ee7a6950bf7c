"""Random crop and the rest: per sample, the whole batch in one call, seeded.

Shapes: B batch, R side of the network's input. What is drawn for a sample is drawn on the CPU, so a
seed gives the same augmentation on every device.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from cxrdiag.data.marks import N_OVERLAYS, frame, letters
from cxrdiag.data.style import match_illumination, match_tones


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Ranges to draw from, per image and epoch; the defaults leave an image as it is."""

    crop: tuple[float, float] = (1.0, 1.0)
    """Side of the random crop in sides of the image; what lies outside is its mirror image."""
    normal_cut: float = 0.0
    """Largest share of its height that the crop of a Normal film loses besides.

    For data in which the two classes are framed differently; where they are not, leave it 0. The
    normal films of shifted validation lose all of it.
    """
    aspect: float = 0.0
    """Largest stretch of width against height, as a fraction: 0.1 is 1.1 : 1 either way."""
    shift: float = 0.0
    """How far the crop may leave the image, as a fraction of its side, before it is turned."""
    rotation: float = 0.0
    """Largest turn, in degrees."""
    flip: float = 0.0
    """Probability of a left-right flip."""
    gamma: float = 0.0
    """Largest |ln gamma| of a random exposure curve."""
    contrast: float = 0.0
    """Largest relative change of contrast about the image's mean."""
    brightness: float = 0.0
    """Largest shift of brightness; 1 is the whole range."""
    tones: float = 0.0
    """Largest share of another film's gray levels (histogram matching) that is taken on."""
    illumination: float = 0.0
    """Largest share of another film's broad brightness (lowest frequencies) that is taken on."""
    sharpness: float = 0.0
    """Largest share of fine detail added or, down to a blur at 1, taken away."""
    noise: float = 0.0
    """Largest standard deviation of Gaussian noise; 1 is the whole range."""
    frame: float = 0.0
    """Probability of a frame about the image, mostly black, as a collimator leaves it."""
    letters: float = 0.0
    """Probability of burnt-in letters."""
    erase: float = 0.0
    """Largest side of one erased rectangle, as a fraction of the image's side."""


def augment(
    x_B1RR: Tensor,
    config: AugmentConfig,
    generator: torch.Generator,
    targets_B: Tensor | None = None,
) -> Tensor:
    """Pixels in 0 to 1, (B, 1, R, R), to the same.

    In this order: another film's style, geometry, exposure, frame and letters, texture, erasing.
    Style comes from an image of the batch, drawn at random; a batch of one keeps its own. Which
    films are Normal `targets_B` says, 0 or 1; only `normal_cut` wants to know.
    """
    draw = _Draw(len(x_B1RR), generator, x_B1RR.device)
    x = _style(x_B1RR, config, draw) if config.tones or config.illumination else x_B1RR
    x = _expose(_warp(x, config, draw, targets_B), config, draw)
    x = _mark(x, config, draw) if config.frame or config.letters else x
    x = _texture(x, config, draw) if config.sharpness or config.noise else x
    return _erase(x, config, draw) if config.erase else x


@dataclass(frozen=True)
class _Draw:
    """Uniform draws, one a sample, on the batch's device."""

    n: int
    generator: torch.Generator
    device: torch.device

    def uniform(self, low: float, high: float) -> Tensor:
        drawn_B = torch.rand(self.n, generator=self.generator) * (high - low) + low
        return drawn_B.to(self.device)


def _style(x_B1RR: Tensor, config: AugmentConfig, draw: _Draw) -> Tensor:
    """Exposure of another film of the batch, in part.

    The classes' films differ in exposure in ways that no gamma or contrast undoes; with another
    film's gray levels an image says less about where it was taken.
    """
    partner_B = torch.randperm(draw.n, generator=draw.generator).to(draw.device)
    x = match_illumination(x_B1RR, x_B1RR[partner_B], draw.uniform(0, config.illumination))
    return match_tones(x, x[partner_B], draw.uniform(0, config.tones))


def _warp(x_B1RR: Tensor, config: AugmentConfig, draw: _Draw, targets_B: Tensor | None) -> Tensor:
    """Crop, cut, stretch, turn, shift and flip as one affine map, sampled once."""
    side = draw.uniform(*config.crop)
    stretch = torch.exp(draw.uniform(-1, 1) * math.log1p(config.aspect) / 2)
    width, height = side * stretch, side / stretch
    if config.normal_cut:
        if targets_B is None:
            raise ValueError("normal_cut wants to know which films are Normal")
        kept = 1 - draw.uniform(0, config.normal_cut)
        height = torch.where(targets_B > 0, height, height * kept)
    angle = torch.deg2rad(draw.uniform(-config.rotation, config.rotation))
    mirror = torch.where(draw.uniform(0, 1) < config.flip, -1.0, 1.0)
    # In grid units the image spans -1 to 1: a crop of side s stays inside within 1 - s.
    x_room, y_room = ((1 - s).clamp(min=0) + 2 * config.shift for s in (width, height))
    x_shift, y_shift = draw.uniform(-1, 1) * x_room, draw.uniform(-1, 1) * y_room
    width = width * mirror
    cos, sin = torch.cos(angle), torch.sin(angle)
    rows = [width * cos, -height * sin, x_shift, width * sin, height * cos, y_shift]
    theta_B23 = torch.stack(rows, dim=1).view(-1, 2, 3)
    grid = F.affine_grid(theta_B23, list(x_B1RR.shape), align_corners=False)
    # Mirrored outside, not black: with black corners in nearly all training images the network
    # counts on them, and reads films without them as more normal than they are.
    return F.grid_sample(x_B1RR, grid, padding_mode="reflection", align_corners=False)


def _expose(x_B1RR: Tensor, config: AugmentConfig, draw: _Draw) -> Tensor:
    gamma = torch.exp(draw.uniform(-config.gamma, config.gamma))
    contrast = 1 + draw.uniform(-config.contrast, config.contrast)
    shift = draw.uniform(-config.brightness, config.brightness)
    gamma, contrast, shift = (v.view(-1, 1, 1, 1) for v in (gamma, contrast, shift))
    x = x_B1RR.clamp(min=0) ** gamma
    mean = x.mean(dim=(2, 3), keepdim=True)
    return ((x - mean) * contrast + mean + shift).clamp(0, 1)


def _mark(x_B1RR: Tensor, config: AugmentConfig, draw: _Draw) -> Tensor:
    """A frame, and letters.

    Both are there in some hospitals and not in others. Where a frame is, each side has it seven
    times in ten, up to a seventh of the image wide, and it is black three times in four.
    """
    x = x_B1RR
    if config.frame:
        framed_B = draw.uniform(0, 1) < config.frame
        edges = [draw.uniform(0, 1 / 7) * (draw.uniform(0, 1) < 0.7) * framed_B for _ in range(4)]
        gray_B = draw.uniform(0, 1) * (draw.uniform(0, 1) < 0.25)
        x = frame(x, torch.stack(edges, dim=1), gray_B)
    if config.letters:
        lettered_B = draw.uniform(0, 1) < config.letters
        chosen_B = torch.randint(N_OVERLAYS, (draw.n,), generator=draw.generator)
        overlays_B1RR = letters(x.shape[-1], x.device)[chosen_B.to(x.device)].float() / 255
        x = torch.maximum(x, overlays_B1RR * lettered_B.view(-1, 1, 1, 1))
    return x


def _texture(x_B1RR: Tensor, config: AugmentConfig, draw: _Draw) -> Tensor:
    """Sharper or softer, and noisier.

    Detector, compression and rescaling set the fineness of a film; a network that reads the
    diagnosis off it has learned where the film was made.
    """
    amount = draw.uniform(-config.sharpness, config.sharpness).view(-1, 1, 1, 1)
    sigma = draw.uniform(0, config.noise).view(-1, 1, 1, 1)
    soft = F.avg_pool2d(F.pad(x_B1RR, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    n = x_B1RR[0].numel()
    first_B = torch.randint(3 * n, (draw.n,), generator=draw.generator).tolist()
    store = _grain(4 * n, draw.device)
    grain = torch.stack([store[first : first + n] for first in first_B]).view_as(x_B1RR)
    return (x_B1RR + amount * (x_B1RR - soft) + sigma * grain).clamp(0, 1)


@functools.lru_cache(maxsize=2)  # a training has two sizes at most
def _grain(n: int, device: torch.device) -> Tensor:
    """Standard normal numbers, always the same ones: none are drawn, or copied to a device."""
    return torch.randn(n, generator=torch.Generator().manual_seed(0)).to(device)


def _erase(x_B1RR: Tensor, config: AugmentConfig, draw: _Draw) -> Tensor:
    """One rectangle of one gray over each image (Zhong et al. 2017, arXiv 1708.04896)."""
    r = x_B1RR.shape[-1]
    place = torch.arange(r, device=x_B1RR.device)
    inside = []
    for _ in ("rows", "columns"):
        length = draw.uniform(0, config.erase) * r
        start = draw.uniform(0, 1) * (r - length)
        inside.append((place >= start[:, None]) & (place < (start + length)[:, None]))
    covered = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    gray = draw.uniform(0, 1).view(-1, 1, 1, 1)
    return torch.where(covered, gray, x_B1RR)
