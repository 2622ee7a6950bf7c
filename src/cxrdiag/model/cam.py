"""Class activation maps (Zhou et al. 2016, arXiv 1512.04150).

Exact for a network that ends in average pooling and one linear layer: the logit is the mean of the
cells that it averages, plus a bias. Those are 32 pixels apart; `densify` gives cells between them.

Shapes: B batch, F features, h and w cells, R pixels of the input.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from cxrdiag.model.resnet import ResNet

FULL_COLOUR = 10.0
"""Logits at which a cell has its full colour: one scale, so that pictures compare."""
_FOR, _AGAINST = (255, 64, 32), (32, 128, 255)


def class_activation_map(network: ResNet, features_BFhw: Tensor) -> Tensor:
    """The logit that each cell alone would give, less the bias: float (B, h, w).

    Negative speaks for Normal.
    """
    return torch.einsum("bfhw,f->bhw", features_BFhw.float(), network.fc.weight[0].float())


def densify(network: ResNet) -> ResNet:
    """The same weights, not copied, in a network with a cell every 8 pixels instead of every 32.

    For evaluation. The last two stages do not stride and their kernels are spread out instead
    (Chen et al. 2015, arXiv 1412.7062): every fourth cell along each side is the network's own.
    """
    shared = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    dense = copy.deepcopy(network, shared)
    for stage, before in ((dense.layer3, 1), (dense.layer4, 2)):
        for conv in (m for m in stage.modules() if isinstance(m, nn.Conv2d)):
            # The convolution that strides still sees its input as dense as the stage before made
            # it; those after it see one twice as dense as it was.
            spread = before if conv.stride == (2, 2) else 2 * before
            conv.stride, conv.dilation = (1, 1), (spread, spread)
            reach = spread * (conv.kernel_size[0] // 2)
            conv.padding = (reach, reach)
    return dense


def unmirror(map_Bhw: Tensor, size: int) -> Tensor:
    """The dense map of a mirrored input of `size` pixels, turned back, its cells in their places.

    Turned back, a cell looks from the last of its eight pixels, not the first (where `size` is a
    multiple of eight): each is taken between its neighbour on the left and itself.
    """
    turned_Bhw = map_Bhw.flip(-1)
    left_Bhw = torch.cat([turned_Bhw[..., :1], turned_Bhw[..., :-1]], dim=-1)
    return torch.lerp(turned_Bhw, left_Bhw, (size - 1) % 8 / 8)


def enlarge(map_Bhw: Tensor, size: int) -> Tensor:
    """A dense map brought to the input's size, (B, size, size), bicubic so that cells do not show.

    A cell looks from the first of its eight pixels, the middle of all kernels before it, and is
    drawn there.
    """
    h, w = map_Bhw.shape[1:]
    theta_23 = torch.tensor([[1, 0, 0.875 / w], [0, 1, 0.875 / h]], device=map_Bhw.device)
    theta_B23 = theta_23.expand(len(map_Bhw), 2, 3)
    grid = F.affine_grid(theta_B23, [len(map_Bhw), 1, size, size], align_corners=False)
    large = F.grid_sample(
        map_Bhw[:, None], grid, mode="bicubic", padding_mode="border", align_corners=False
    )
    return large[:, 0]


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
