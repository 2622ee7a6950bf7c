"""The convolutions beside torch's own, gradients too."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cxrdiag.model.convolution import Conv3x3, Stem, _weight_gradient


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("size", [(32, 32), (33, 33), (40, 57), (7, 7), (1, 2)])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_the_stem_is_a_7x7_convolution_of_stride_2(size: tuple[int, int], n_channels: int) -> None:
    stem, x = Stem(n_channels, 8), drawn(2, n_channels, *size)
    y = stem(x)
    expected = F.conv2d(x, stem.weight, stride=2, padding=3)
    torch.testing.assert_close(y, expected)
    upstream = drawn(*y.shape)
    gradient, wanted = (torch.autograd.grad(out, stem.weight, upstream) for out in (y, expected))
    torch.testing.assert_close(gradient, wanted)


def test_the_stem_has_the_weights_and_the_start_of_conv2d() -> None:
    torch.manual_seed(0)
    stem = Stem(1, 16)
    torch.manual_seed(0)
    plain = nn.Conv2d(1, 16, 7, stride=2, padding=3, bias=False)
    assert {k: v.shape for k, v in stem.state_dict().items()} == {"weight": (16, 1, 7, 7)}
    assert torch.equal(stem.weight, plain.weight)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(8, 8), (7, 7), (3, 5), (1, 1), (2, 1)])
def test_the_matrix_product_is_the_gradient(size: tuple[int, int], stride: int) -> None:
    x, weight = drawn(3, 4, *size), drawn(6, 4, 3, 3)
    upstream = drawn(*F.conv2d(x, weight, None, stride, padding=1).shape)
    weight.requires_grad_()
    (expected,) = torch.autograd.grad(
        F.conv2d(x, weight, None, stride, padding=1), weight, upstream
    )
    torch.testing.assert_close(_weight_gradient(x, upstream, stride), expected)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [7, 8, 17])  # the last is no small map
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_gradients_in_bfloat16_are_those_of_conv2d(
    side: int, stride: int, memory_format: torch.memory_format
) -> None:
    convolution = Conv3x3(4, 6, stride).to(memory_format=memory_format)
    found = []
    for module in (convolution, super(Conv3x3, convolution).forward):
        x = drawn(3, 4, side, side).contiguous(memory_format=memory_format).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            y = module(x)
        assert y.dtype == torch.bfloat16
        is_ours = y.grad_fn is not None and "SmallMap" in y.grad_fn.name()
        assert is_ours == (module is convolution and (side < 17))
        upstream = drawn(*y.shape).bfloat16()
        found.append((y, *torch.autograd.grad(y, [x, convolution.weight], upstream)))
    for ours, theirs in zip(*found, strict=True):
        assert ours.dtype == theirs.dtype
        # Sums in another order, rounded to 8 bits.
        largest = float(theirs.detach().abs().max())
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-2 * largest)


def test_in_other_number_formats_and_in_use_it_is_conv2d() -> None:
    convolution, x = Conv3x3(4, 6, 1), drawn(2, 4, 5, 5)
    assert torch.equal(convolution(x), F.conv2d(x, convolution.weight, padding=1))
    with torch.autocast("cpu", torch.float16):
        assert convolution(x).dtype == torch.float16
    with torch.autocast("cpu", torch.bfloat16):
        y = convolution.eval()(x)
        assert y.grad_fn is not None
        assert "SmallMap" not in y.grad_fn.name()
        assert torch.equal(y, F.conv2d(x, convolution.weight, padding=1))


def test_the_stem_in_bfloat16_is_conv2d_to_its_rounding() -> None:
    stem, x = Stem(1, 8), drawn(2, 1, 40, 40)
    with torch.autocast("cpu", torch.bfloat16):
        y = stem(x)
    assert y.dtype == torch.bfloat16
    expected = F.conv2d(x, stem.weight, stride=2, padding=3)
    largest = float(expected.detach().abs().max())
    torch.testing.assert_close(y.float(), expected, rtol=0, atol=2e-2 * largest)
