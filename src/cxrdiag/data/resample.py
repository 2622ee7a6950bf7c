"""Stored squares to float pixels of the network's size, and means over parts of a picture.

Shapes: B batch, S side of a stored square, C channels, H and W sides, N parts of a side.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def resize(images_BSS: Tensor, size: int) -> Tensor:
    """uint8 (B, S, S) to float (B, 1, size, size) in 0 to 1, antialiased."""
    x = images_BSS[:, None].float().div_(255.0)
    if x.shape[-1] != size:
        x = F.interpolate(x, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return x


def mean_parts(x_BCHW: Tensor, n: int) -> Tensor:
    """Means over N x N parts, (B, C, N, N); where N does not divide a side, parts overlap."""
    if x_BCHW.device.type == "mps" and any(side % n for side in x_BCHW.shape[-2:]):
        # Metal divides no such sides.
        return F.adaptive_avg_pool2d(x_BCHW.cpu(), n).to(x_BCHW.device)
    return F.adaptive_avg_pool2d(x_BCHW, n)
