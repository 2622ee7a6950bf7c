"""ResNet-18 to ResNet-152 (He et al. 2015, arXiv 1512.03385): one channel in, one logit out.

Shapes: B batch, C channels, H and W pixels, F features, h and w cells of the last feature map.

Departures from the paper, both as in torchvision, whose parameter names are kept so that its
weights load: the bottleneck strides in its 3x3 convolution (ResNet v1.5), and the last norm of
each block starts at zero (Goyal et al. 2017, arXiv 1706.02677), so that a block starts as identity.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from cxrdiag.model.convolution import Conv3x3, Stem
from cxrdiag.model.info import ARCHITECTURES


def _conv1x1(n_in: int, n_out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, 1, stride, bias=False)


def _shortcut(n_in: int, n_out: int, stride: int) -> nn.Module | None:
    """Identity where the shapes agree, else a strided projection (option B of the paper)."""
    if stride == 1 and n_in == n_out:
        return None
    return nn.Sequential(_conv1x1(n_in, n_out, stride), nn.BatchNorm2d(n_out))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (figure 5, left)."""

    expansion = 1

    def __init__(self, n_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = Conv3x3(n_in, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = Conv3x3(width, width, 1)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(n_in, width, stride)
        nn.init.zeros_(self.bn2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, H, W) to (B, width * expansion, H / stride, W / stride)."""
        y = torch.relu_(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return torch.relu_(y.add_(x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions and a shortcut (figure 5, right); four times as wide outside."""

    expansion = 4

    def __init__(self, n_in: int, width: int, stride: int) -> None:
        super().__init__()
        n_out = width * self.expansion
        self.conv1 = _conv1x1(n_in, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = Conv3x3(width, width, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _conv1x1(width, n_out)
        self.bn3 = nn.BatchNorm2d(n_out)
        self.downsample = _shortcut(n_in, n_out, stride)
        nn.init.zeros_(self.bn3.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, H, W) to (B, width * expansion, H / stride, W / stride)."""
        y = torch.relu_(self.bn1(self.conv1(x)))
        y = torch.relu_(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu_(y.add_(x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """A network of table 1 of the paper, `arch` one of ARCHITECTURES.

    Input: float (B, n_channels, H, W), normalised. Output: logits, float (B, n_outputs).
    The last feature map is H/32 x W/32. `width` is the channels of the first stage, 64 in the
    paper; each stage has twice those of the one before.
    """

    def __init__(
        self, arch: str = "resnet18", n_channels: int = 1, n_outputs: int = 1, width: int = 64
    ) -> None:
        super().__init__()
        is_bottleneck, depths = ARCHITECTURES[arch]
        block = Bottleneck if is_bottleneck else BasicBlock
        widths = [width, 2 * width, 4 * width, 8 * width]
        n_out = [w * block.expansion for w in widths]
        self.conv1 = Stem(n_channels, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(block, width, widths[0], depths[0], stride=1)
        self.layer2 = _stage(block, n_out[0], widths[1], depths[1], stride=2)
        self.layer3 = _stage(block, n_out[1], widths[2], depths[2], stride=2)
        self.layer4 = _stage(block, n_out[2], widths[3], depths[3], stride=2)
        self.fc = nn.Linear(n_out[3], n_outputs)
        for module in self.modules():
            # On the meta device there is nothing to draw, and to try takes torch two seconds.
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                # He et al. 2015, arXiv 1502.01852
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, x_BCHW: Tensor) -> Tensor:
        """The last feature map, float (B, F, h, w), not negative."""
        *_, last = self.stages(x_BCHW)
        return last

    def stages(self, x_BCHW: Tensor) -> Iterator[Tensor]:
        """The feature maps of the four stages in turn; what is not asked for is not computed."""
        x = self.maxpool(torch.relu_(self.bn1(self.conv1(x_BCHW))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            yield x

    def classify(self, features_BFhw: Tensor) -> Tensor:
        """Logits (B, n_outputs) of a feature map: global average pooling and one linear layer."""
        logits = self.fc(features_BFhw.mean(dim=(2, 3)))
        assert isinstance(logits, Tensor)
        return logits

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Logits (B, n_outputs) of images."""
        return self.classify(self.features(x_BCHW))


def _stage(
    block: type[BasicBlock | Bottleneck], n_in: int, width: int, depth: int, stride: int
) -> nn.Sequential:
    first = block(n_in, width, stride)
    rest = [block(width * block.expansion, width, 1) for _ in range(depth - 1)]
    return nn.Sequential(first, *rest)
