"""Convolutions with the sums of nn.Conv2d, in an order that keeps matrix units busy.

Shapes: B batch, C and N channels in and out, H and W pixels, h and w those of the output.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input

_SMALL = 64
"""Output pixels of an image up to which the weight's gradient is taken as one matrix product."""


class Stem(nn.Conv2d):
    """The 7x7 convolution of stride 2 that a ResNet begins with.

    Computed as a 4x4 one of stride 1 on the image's 2x2 blocks: its channels are four times as
    many, and a matrix unit that takes 16 at a time is idle less where an image has only one.
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(n_in, n_out, 7, stride=2, padding=3, bias=False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) to (B, N, ceil(H / 2), ceil(W / 2))."""
        height, width = x_BCHW.shape[-2:]
        padded = F.pad(x_BCHW, (3, 3 + width % 2, 3, 3 + height % 2))
        blocks = F.pixel_unshuffle(padded, 2)
        if x_BCHW.device.type != "mps":  # as in cxrdiag.model.device
            blocks = blocks.contiguous(memory_format=torch.channels_last)
        kernel = F.pixel_unshuffle(F.pad(self.weight, (0, 1, 0, 1)), 2)  # the eighths are zero
        return F.conv2d(blocks, kernel)


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution whose gradient is fast for small feature maps too.

    In bfloat16 oneDNN takes the gradient of a weight slowly where images are a few pixels wide: one
    matrix product over all of them is quicker (benchmarks/speed/parts.py).
    """

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__(n_in, n_out, 3, stride, padding=1, bias=False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) to (B, N, H / stride, W / stride), rounded up."""
        height, width = x_BCHW.shape[-2:]
        stride = self.stride[0]
        small = -(-height // stride) * -(-width // stride) <= _SMALL
        if self.training and small and x_BCHW.is_cpu and _is_bf16():
            y: Tensor = _SmallMap.apply(x_BCHW.bfloat16(), self.weight.bfloat16(), stride)
            return y
        return super().forward(x_BCHW)


def _is_bf16() -> bool:
    is_bf16 = torch.get_autocast_dtype("cpu") is torch.bfloat16
    return torch.is_autocast_enabled("cpu") and is_bf16


class _SmallMap(torch.autograd.Function):
    """conv2d of a 3x3 kernel, with the gradient of its weight by a matrix product."""

    @staticmethod
    def forward(ctx: Any, x_BCHW: Tensor, weight_NC33: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x_BCHW, weight_NC33)
        ctx.stride = stride
        return F.conv2d(x_BCHW, weight_NC33, None, stride, padding=1)

    @staticmethod
    def backward(ctx: Any, grad_BNhw: Tensor) -> tuple[Tensor, Tensor, None]:
        x_BCHW, weight_NC33 = ctx.saved_tensors
        grad_x = conv2d_input(x_BCHW.shape, weight_NC33, grad_BNhw, ctx.stride, padding=1)
        return grad_x, _weight_gradient(x_BCHW, grad_BNhw, ctx.stride), None


def _weight_gradient(x_BCHW: Tensor, grad_BNhw: Tensor, stride: int) -> Tensor:
    """Each output pixel's gradient times the 3x3 pixels that it was made of, (N, C, 3, 3)."""
    h, w = grad_BNhw.shape[-2:]
    padded = F.pad(x_BCHW.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    ends = stride * (h - 1) + 1, stride * (w - 1) + 1
    seen = [
        padded[:, i : i + ends[0] : stride, j : j + ends[1] : stride]
        for i in range(3)
        for j in range(3)
    ]
    seen_P9C = torch.cat(seen, dim=-1).flatten(0, 2)  # P: pixels of all images
    grad_PN = grad_BNhw.permute(0, 2, 3, 1).flatten(0, 2)
    gradient_N9C = grad_PN.t() @ seen_P9C
    return gradient_N9C.view(len(gradient_N9C), 3, 3, -1).permute(0, 3, 1, 2)
