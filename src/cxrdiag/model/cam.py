"""Class activation maps (Zhou et al. 2016, arXiv 1512.04150).

Exact for a network that ends in average pooling and one linear layer: the logit is the mean of the
cells that it averages, plus a bias. Those are 32 pixels apart; `densify` gives cells between them.

Shapes: B batch, F features, h and w cells, R pixels of the input.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from cxrdiag.model.resnet import ResNet


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
