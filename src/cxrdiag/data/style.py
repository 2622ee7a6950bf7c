"""Another film's exposure on this one: tones and broad brightness exchanged within a batch.

Shapes: B batch, R side of an image, L gray levels, C side of the coarse image.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_LEVELS = 256
_COARSE = 32
_CYCLES = 2


def exchange_tones(x_B1RR: Tensor, partner_B: Tensor, share_B: Tensor) -> Tensor:
    """Histogram matching, in part: each image's gray levels move towards its partner's.

    Pixels in 0 to 1; `partner_B` holds positions in the batch; `share_B` 0 leaves an image as it
    is, 1 gives it its partner's histogram (Gonzalez and Woods, histogram specification).
    """
    levels_L = torch.linspace(0, 1, _LEVELS, device=x_B1RR.device)
    at_BP = (x_B1RR.flatten(1) * (_LEVELS - 1)).round().long()
    below_BL = _cumulative(x_B1RR)
    partner_BL = below_BL[partner_B]
    # The partner's level below which lies the same share of its pixels, between two levels.
    above_BL = torch.searchsorted(partner_BL, below_BL).clamp(1, _LEVELS - 1)
    low_BL, high_BL = partner_BL.gather(1, above_BL - 1), partner_BL.gather(1, above_BL)
    part_BL = ((below_BL - low_BL) / (high_BL - low_BL).clamp(min=1e-6)).clamp(0, 1)
    matched_BL = (above_BL - 1 + part_BL) / (_LEVELS - 1)
    moved_BL = share_B[:, None] * (matched_BL - levels_L)
    return (x_B1RR + moved_BL.gather(1, at_BP).view_as(x_B1RR)).clamp(0, 1)


def _cumulative(x_B1RR: Tensor) -> Tensor:
    """Share of an image's pixels below each gray level, half of those at it counted: (B, L)."""
    step = max(1, x_B1RR.shape[-1] // 64)  # every few pixels tell the histogram well enough
    at_BP = (x_B1RR[:, 0, ::step, ::step].flatten(1) * (_LEVELS - 1)).round().long()
    counts_BL = torch.zeros(len(at_BP), _LEVELS, device=at_BP.device)
    counts_BL.scatter_add_(1, at_BP, torch.ones_like(at_BP, dtype=counts_BL.dtype))
    return (counts_BL.cumsum(1) - counts_BL / 2) / at_BP.shape[1]


def exchange_illumination(x_B1RR: Tensor, partner_B: Tensor, share_B: Tensor) -> Tensor:
    """Each image's lowest spatial frequencies take on, in part, its partner's amplitudes.

    The phases stay, and so does where things are (Yang and Soatto 2020, arXiv 2004.05498).
    """
    spectrum_BCC = torch.fft.fft2(F.adaptive_avg_pool2d(x_B1RR, _COARSE)[:, 0])
    amplitude_BCC, phase_BCC = spectrum_BCC.abs(), spectrum_BCC.angle()
    cycles_C = torch.fft.fftfreq(_COARSE, 1 / _COARSE, device=x_B1RR.device).abs()
    low_CC = (cycles_C[:, None] <= _CYCLES) & (cycles_C[None, :] <= _CYCLES)
    change_BCC = share_B[:, None, None] * low_CC * (amplitude_BCC[partner_B] - amplitude_BCC)
    delta_BCC = torch.fft.ifft2(torch.polar(change_BCC, phase_BCC)).real
    size = x_B1RR.shape[-1]
    delta = F.interpolate(delta_BCC[:, None], (size, size), mode="bilinear", align_corners=False)
    return (x_B1RR + delta).clamp(0, 1)
