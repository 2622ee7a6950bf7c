"""The table of a network's tensors is that of the network."""

from __future__ import annotations

import pytest
import torch

from cxrdiag.model.info import ARCHITECTURES
from cxrdiag.model.resnet import ResNet
from cxrdiag.model.weights import parameter_shapes


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("width", [8, 64])
def test_shapes_are_those_of_the_network(arch: str, width: int) -> None:
    with torch.device("meta"):
        tensors = ResNet(arch, width=width).state_dict()
    assert parameter_shapes(arch, width) == {n: tuple(t.shape) for n, t in tensors.items()}
