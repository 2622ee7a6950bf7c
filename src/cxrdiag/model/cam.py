"""Class activation maps (Zhou et al. 2016, arXiv 1512.04150).

Exact for a network that ends in average pooling and one linear layer: the logit is the map's mean
plus a bias.

Shapes: B batch, F features, h and w cells, R pixels of the input.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cxrdiag.model.resnet import ResNet


def class_activation_map(network: ResNet, features_BFhw: Tensor) -> Tensor:
    """The logit that each cell alone would give, less the bias: float (B, h, w).

    Negative speaks for Normal. The mean over the cells plus the bias is the image's logit.
    """
    return torch.einsum("bfhw,f->bhw", features_BFhw.float(), network.fc.weight[0].float())


def enlarge(map_Bhw: Tensor, size: int) -> Tensor:
    """A map brought to the input's size, (B, size, size), bicubic so that cells do not show."""
    large = F.interpolate(map_Bhw[:, None], size=(size, size), mode="bicubic", align_corners=False)
    return large[:, 0]
