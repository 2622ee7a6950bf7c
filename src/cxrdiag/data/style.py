"""The exposure of one film on another: gray levels, and how brightness is spread at large.

Shapes: B batch, R side of an image, P its pixels, L gray levels, C side of the coarse image. Images
are float32, 0 to 1.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cxrdiag.data.resample import mean_parts

_LEVELS = 256
_COARSE = 32
"""Side on which the lowest frequencies are read; any that resolves `_CYCLES` will do."""
_CYCLES = 2
"""Highest frequency taken on, in cycles across the image along either axis."""


def match_tones(x_B1RR: Tensor, reference_B1RR: Tensor, share_B: Tensor) -> Tensor:
    """Each image with its gray levels moved towards those of its reference, (B, 1, R, R).

    Histogram matching in part: share 0 leaves an image as it is, 1 gives it its reference's
    histogram as far as pixels of one level stay of one level.
    """
    at_BP, below_BL = _levels(x_B1RR)
    _, reference_BL = _levels(reference_B1RR)
    # The reference's level below which lies the same share of its pixels, between two levels.
    above_BL = torch.searchsorted(reference_BL, below_BL).clamp(1, _LEVELS - 1)
    low_BL, high_BL = reference_BL.gather(1, above_BL - 1), reference_BL.gather(1, above_BL)
    part_BL = ((below_BL - low_BL) / (high_BL - low_BL).clamp(min=1e-6)).clamp(0, 1)
    matched_BL = (above_BL - 1 + part_BL) / (_LEVELS - 1)
    own_L = torch.linspace(0, 1, _LEVELS, device=x_B1RR.device)
    moved_BL = share_B[:, None] * (matched_BL - own_L)
    return (x_B1RR + moved_BL.gather(1, at_BP).view_as(x_B1RR)).clamp(0, 1)


def _levels(x_B1RR: Tensor) -> tuple[Tensor, Tensor]:
    """Each pixel's level (B, P); the share of pixels below each level, half its own in (B, L)."""
    at_BP = (x_B1RR.flatten(1) * (_LEVELS - 1)).round().long()
    counts_BL = torch.zeros(len(at_BP), _LEVELS, device=at_BP.device)
    counts_BL.scatter_add_(1, at_BP, torch.ones_like(at_BP, dtype=counts_BL.dtype))
    return at_BP, (counts_BL.cumsum(1) - counts_BL / 2) / at_BP.shape[1]


def match_illumination(x_B1RR: Tensor, reference_B1RR: Tensor, share_B: Tensor) -> Tensor:
    """Each image with its lowest amplitudes moved towards those of its reference, (B, 1, R, R).

    The phases stay, and so does where things are (Yang and Soatto 2020, arXiv 2004.05498). Share 0
    leaves an image as it is, 1 takes all of the reference's amplitudes.
    """
    spectrum_BCC = torch.fft.fft2(mean_parts(x_B1RR, _COARSE)[:, 0])
    wanted_BCC = torch.fft.fft2(mean_parts(reference_B1RR, _COARSE)[:, 0]).abs()
    cycles_C = torch.fft.fftfreq(_COARSE, 1 / _COARSE, device=x_B1RR.device).abs()
    low_CC = (cycles_C[:, None] <= _CYCLES) & (cycles_C[None, :] <= _CYCLES)
    change_BCC = share_B[:, None, None] * low_CC * (wanted_BCC - spectrum_BCC.abs())
    delta_BCC = torch.fft.ifft2(torch.polar(change_BCC, spectrum_BCC.angle())).real
    size = x_B1RR.shape[-1]
    delta = F.interpolate(delta_BCC[:, None], (size, size), mode="bilinear", align_corners=False)
    return (x_B1RR + delta).clamp(0, 1)
