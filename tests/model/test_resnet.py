"""The five networks are torchvision's, weight for weight, with one channel in and one logit out."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn

from cxrdiag.model.info import ARCHITECTURES
from cxrdiag.model.resnet import BasicBlock, Bottleneck, ResNet

PUBLISHED_PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
}


def _torchvision(arch: str) -> nn.Module:
    """torchvision's network, its norms' weights and statistics drawn so that each one matters."""
    torch.manual_seed(1)
    network: nn.Module = torchvision.models.get_model(arch)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.3, 0.7)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    return network.eval()


def _input(n_channels: int) -> Tensor:
    # Neither square nor a multiple of 32: padding and strides must agree too.
    return torch.randn(2, n_channels, 41, 70, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_copied_weights_give_torchvisions_logits(arch: str) -> None:
    theirs = _torchvision(arch)
    weights = theirs.state_dict()
    with torch.device("meta"):  # no first weights: they are replaced anyway
        ours, gray = ResNet(arch, n_channels=3, n_outputs=1000).eval(), ResNet(arch).eval()
    assert list(ours.state_dict()) == list(weights)
    ours.load_state_dict(weights, strict=True, assign=True)
    assert sum(p.numel() for p in ours.parameters()) == PUBLISHED_PARAMETERS[arch]

    # One channel seen three times is one channel through the sum of the three filters.
    weights["conv1.weight"] = weights["conv1.weight"].sum(dim=1, keepdim=True)
    weights["fc.weight"], weights["fc.bias"] = weights["fc.weight"][7:8], weights["fc.bias"][7:8]
    gray.load_state_dict(weights, strict=True, assign=True)

    x_B3HW, x_B1HW = _input(3), _input(1)
    with torch.inference_mode():
        expected, expected_gray = theirs(x_B3HW), theirs(x_B1HW.expand(-1, 3, -1, -1))[:, 7:8]
        logits, logits_gray = ours(x_B3HW), gray(x_B1HW)
    assert expected.std() > 0.01  # the comparison says something
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    assert logits_gray.shape == (2, 1)
    torch.testing.assert_close(logits_gray, expected_gray, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("arch", ["resnet18", "resnet50"])
def test_half_the_width_halves_every_channel_but_input_and_output(arch: str) -> None:
    with torch.device("meta"):
        full, half = ResNet(arch, 3, 5).state_dict(), ResNet(arch, 3, 5, width=32).state_dict()
    assert list(half) == list(full)
    for name, weight in full.items():
        fixed = {"conv1.weight": (1,), "fc.weight": (0,), "fc.bias": (0,)}.get(name, ())
        expected = [
            n // 2 if axis < 2 and axis not in fixed else n for axis, n in enumerate(weight.shape)
        ]
        assert list(half[name].shape) == expected, name


def test_training_mode_gives_torchvisions_gradients() -> None:
    theirs = _torchvision("resnet18").train()
    ours = ResNet("resnet18", n_channels=3, n_outputs=1000).train()
    ours.load_state_dict(theirs.state_dict())
    for network in (ours, theirs):
        network(_input(3)).square().mean().backward()
    gradient, expected = ours.conv1.weight.grad, theirs.get_parameter("conv1.weight").grad
    assert gradient is not None
    assert expected is not None
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-3 * float(expected.std()))
    statistics = theirs.get_buffer("layer4.1.bn2.running_mean")
    torch.testing.assert_close(ours.get_buffer("layer4.1.bn2.running_mean"), statistics)


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_a_block_without_projection_starts_as_identity(
    block: type[BasicBlock | Bottleneck],
) -> None:
    x = torch.rand(2, 16 * block.expansion, 5, 5)
    assert torch.equal(block(16 * block.expansion, 16, stride=1)(x), x)


def test_first_weights_have_the_deviation_of_he_2015() -> None:
    torch.manual_seed(0)
    for module in ResNet("resnet18").modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
            deviation = float(module.weight.detach().std())
            assert deviation == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)


@pytest.mark.parametrize(("side", "cells"), [(32, 1), (112, 4), (224, 7)])
def test_the_last_feature_map_is_a_32nd_of_the_input_and_not_negative(
    side: int, cells: int
) -> None:
    with torch.inference_mode():
        features = ResNet("resnet18").eval().features(torch.randn(1, 1, side, side))
    assert features.shape == (1, 512, cells, cells)
    assert features.min() >= 0
