"""Class activation maps are exact: the mean of the network's own cells and a bias: the logit."""

from __future__ import annotations

import pytest
import torch

from cxrdiag.model.cam import class_activation_map, densify, unmirror
from cxrdiag.model.resnet import ResNet


@pytest.mark.parametrize("arch", ["resnet18", "resnet50"])
def test_the_mean_of_the_map_plus_the_bias_is_the_logit(arch: str) -> None:
    torch.manual_seed(0)
    network = ResNet(arch).eval()
    with torch.inference_mode():
        network.fc.bias.fill_(0.7)
        x = torch.randn(2, 1, 64, 96)
        features = network.features(x)
        map_Bhw = class_activation_map(network, features)
        logits_B = network(x)[:, 0]
    assert map_Bhw.shape == (2, 2, 3)
    assert logits_B.std() > 1e-3
    torch.testing.assert_close(map_Bhw.mean(dim=(1, 2)) + 0.7, logits_B)


@pytest.mark.parametrize(("arch", "shape"), [("resnet18", (64, 80)), ("resnet50", (112, 96))])
def test_every_fourth_cell_of_a_dense_map_is_the_networks_own(
    arch: str, shape: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    network = ResNet(arch).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)  # the last of a block starts at zero
    x = torch.randn(2, 1, *shape)
    with torch.inference_mode():
        own, dense = network.features(x), densify(network).features(x)
        again = network.features(x)
    assert dense.shape[2:] == (shape[0] // 8, shape[1] // 8)
    assert own.std() > 1e-3
    tolerance = 1e-4 * float(own.abs().max())
    torch.testing.assert_close(dense[:, :, ::4, ::4], own, rtol=0, atol=tolerance)
    assert torch.equal(again, own)  # a copy: the network itself still strides


def test_the_map_shows_where_a_planted_feature_is_and_for_which_side_it_speaks() -> None:
    network = ResNet("resnet18")
    features = torch.zeros(2, 512, 4, 5)
    features[0, 3, 1, 4] = 2.0
    features[1, 9, 2, 0] = 1.0
    with torch.no_grad():
        network.fc.weight.zero_()
        network.fc.weight[0, 3], network.fc.weight[0, 9] = 5.0, -4.0
        map_Bhw = class_activation_map(network, features)
    expected = torch.zeros(2, 4, 5)
    expected[0, 1, 4], expected[1, 2, 0] = 10.0, -4.0
    assert torch.equal(map_Bhw, expected)


def test_a_half_precision_map_is_computed_in_float() -> None:
    network = ResNet("resnet18").bfloat16()
    assert class_activation_map(network, torch.ones(1, 512, 2, 2).bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("size", [64, 96, 100, 128])
def test_the_map_of_a_mirrored_input_is_turned_back_cell_by_cell(size: int) -> None:
    """Of a film whose map is a wave across it, and of its mirror image: the same, in its places."""
    n = -(-size // 8)
    looks_from = 8 * torch.arange(n)

    def wave(place: torch.Tensor) -> torch.Tensor:
        return torch.sin(place / 20).expand(2, n, n)

    turned = unmirror(wave(size - 1 - looks_from), size)
    # The leftmost cell has no neighbour to be taken from.
    torch.testing.assert_close(
        turned[..., 1:], wave(looks_from)[..., 1:], atol=0.02, rtol=0
    )  # 0.15 to 0.35 where cells are only put in reverse order
