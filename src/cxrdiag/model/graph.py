"""Weights as one ONNX graph: decoded squares in; logits, detector and activation maps out.

The graph holds all that a picture goes through once it is decoded, as `Classifier` does it: what
runs it needs neither torch nor this package. Maps take longer than all the rest: they are computed
where the input `with_maps` asks for them, and have no cells otherwise.

Shapes: B batch, C channels, S side of a decoded square, R side of the network's input, h and w
cells, F and G features, K directions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from cxrdiag.errors import ModelError
from cxrdiag.model.info import ARCHITECTURES, ModelInfo
from cxrdiag.model.nodes import Nodes
from cxrdiag.model.weights import GRID

_LARGEST = 2**31 - 2**26
"""Bytes, by the format that a graph is written in."""
_END = -(2**31)
"""The end of a slice that goes backwards to the first."""


def build_graph(
    weights: Mapping[str, NDArray[Any]], info: ModelInfo, *, maps: bool = True
) -> ModelProto:
    """The ONNX model of `weights`, named as in model.safetensors, and what model.json says.

    Inputs: `images`, uint8 (B, S, S), and `with_maps`, one bool. Outputs, all float32: `logits`
    (B,), `film_scores` and `distances` (B,) as in `Detected`, `maps` (B, h, w) as of
    `Classifier.maps`, or (B, 0, 0) where they are not asked for. Without `maps` it has neither
    `with_maps` nor them. Raises ModelError where the weights are more than ONNX can hold.
    """
    if sum(values.nbytes for values in weights.values()) > _LARGEST:
        raise ModelError(
            "more than 2 GB of weights, which ONNX cannot hold",
            hint="predict --backend torch computes without it",
            code="too_large_for_onnx",
        )
    g = Nodes(weights)
    x = _pixels(g, info)
    if info.mirror:  # the mirror images are the second half of one batch
        x = g.add("Concat", x, _mirrored(g, x), axis=0)
    x = g.add("Relu", g.norm("bn1", g.conv("conv1", x, stride=2)))
    x = g.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    second = _stage(g, info, 2, _stage(g, info, 1, x, stride=1), stride=2)
    third = _stage(g, info, 3, second, stride=2)
    last = _stage(g, info, 4, third, stride=2)
    pooled = g.add("ReduceMean", last, axes=[2, 3], keepdims=0)
    logits = g.add("Gemm", pooled, g.weight("fc.weight"), g.weight("fc.bias"), transB=1)
    logits = g.add("Squeeze", logits, g.ints([1]))
    g.output("logits", _mean(g, *g.halves(logits)) if info.mirror else logits, ["batch"])
    features = [second, third, pooled]
    if info.mirror:  # the detector looks at the film alone
        features = [g.halves(x)[0] for x in features]
    _detect(g, features, info.resolution)
    if maps:
        _maps_where_asked_for(g, second, info)
    return g.model(info)


def _maps_where_asked_for(g: Nodes, second: str, info: ModelInfo) -> None:
    with g.branch() as asked_for:
        maps = _maps(g, second, info)
    with g.branch() as not_asked_for:
        batch = g.add("Slice", g.add("Shape", "images"), g.ints([0]), g.ints([1]))
        maps_none = g.add("ConstantOfShape", g.add("Concat", batch, g.ints([0, 0]), axis=0))
    branches = {
        name: helper.make_graph(
            nodes, name, [], [helper.make_tensor_value_info(out, TensorProto.FLOAT, [None] * 3)]
        )
        for name, nodes, out in (
            ("then_branch", asked_for, maps),
            ("else_branch", not_asked_for, maps_none),
        )
    }
    asked = g.input("with_maps", TensorProto.BOOL, [])
    g.output("maps", g.add("If", asked, **branches), ["batch", "cells", "cells"])


def _pixels(g: Nodes, info: ModelInfo) -> str:
    """Stored squares to what the network takes, (B, 1, R, R)."""
    images = g.input("images", TensorProto.UINT8, ["batch", info.image_size, info.image_size])
    x = g.add("Div", g.add("Cast", images, to=TensorProto.FLOAT), g.constant(255))
    x = g.add("Unsqueeze", x, g.ints([1]))
    if info.image_size != info.resolution:
        matrix_RS = resize_matrix(info.image_size, info.resolution)
        x = g.add("MatMul", g.constant(matrix_RS), x)
        x = g.add("MatMul", x, g.constant(matrix_RS.T))
    return g.add("Div", g.add("Sub", x, g.constant(info.mean)), g.constant(info.std))


def resize_matrix(old: int, new: int) -> NDArray[np.float64]:
    """What brings a side of `old` pixels to `new`, (new, old): bilinear and antialiased.

    Each pixel is a mean of those below a triangle as wide as two of the larger pixels.
    """
    scale = max(old / new, 1.0)
    centre_N = (np.arange(new) + 0.5) * (old / new)
    distance_NO = np.abs(np.arange(old) + 0.5 - centre_N[:, None]) / scale
    weights_NO = np.maximum(1 - distance_NO, 0)
    return np.asarray(weights_NO / weights_NO.sum(axis=1, keepdims=True))


def _stage(
    g: Nodes,
    info: ModelInfo,
    number: int,
    x: str,
    stride: int,
    spread: int = 1,
    spread_after: int = 1,
) -> str:
    """The blocks of one stage of four, the first of which strides.

    `spread` is between the pixels that the striding convolution sees, `spread_after` between those
    that the ones after it see.
    """
    is_bottleneck, depths = ARCHITECTURES[info.arch]
    n = 3 if is_bottleneck else 2
    for i in range(depths[number - 1]):
        block, y = f"layer{number}.{i}", x
        for k in range(1, n + 1):
            # As in cxrdiag.model.resnet, a bottleneck strides in its 3 x 3 convolution.
            strides = i == 0 and k == n - 1
            how = (stride, spread) if strides else (1, spread_after)
            y = g.norm(f"{block}.bn{k}", g.conv(f"{block}.conv{k}", y, *how))
            y = y if k == n else g.add("Relu", y)
        if f"{block}.downsample.0.weight" in g.weights:
            x = g.norm(f"{block}.downsample.1", g.conv(f"{block}.downsample.0", x, stride))
        x = g.add("Relu", g.add("Add", y, x))
    return x


def _detect(g: Nodes, features: Sequence[str], resolution: int) -> None:
    """`Detector` on the features of the second and third stage and the last one's means."""
    *maps, pooled = features
    sides = [-(-resolution // 2**n) for n in (3, 4)]
    parts = []
    for x, side in zip(maps, sides, strict=True):
        mean = g.constant(_part_means(side))
        rows = g.add("MatMul", mean, x)
        parts.append(g.add("Flatten", g.add("MatMul", rows, g.constant(_part_means(side).T))))
    score = g.add("MatMul", g.add("Concat", *parts, axis=1), g.weight("detector.weight_F"))
    g.output("film_scores", g.add("Add", score, g.weight("detector.bias")), ["batch"])
    centred = g.add("Sub", pooled, g.weight("detector.mean_G"))
    directions = g.add("Transpose", g.weight("detector.directions_KG"), perm=[1, 0])
    within = g.add("MatMul", centred, directions)
    everywhere, within = (
        g.add("ReduceSumSquare", x, axes=[1], keepdims=0) for x in (centred, within)
    )
    everywhere = g.add("Div", everywhere, g.weight("detector.noise"))
    g.output("distances", g.add("Sub", everywhere, within), ["batch"])


def _part_means(side: int) -> NDArray[np.float64]:
    """The means over four parts of a side, (4, side): parts may overlap, as in torch."""
    means = np.zeros((GRID, side))
    for i in range(GRID):
        part = slice(i * side // GRID, -(-(i + 1) * side // GRID))
        means[i, part] = 1 / (part.stop - part.start)
    return means


def _maps(g: Nodes, second: str, info: ModelInfo) -> str:
    """Maps (B, h, w) of the features of the second stage, as `densify` and `unmirror` do it."""
    x = _stage(g, info, 3, second, stride=1, spread=1, spread_after=2)
    x = _stage(g, info, 4, x, stride=1, spread=2, spread_after=4)
    kernel = g.add("Unsqueeze", g.weight("fc.weight"), g.ints([2, 3]))
    maps = g.add("Squeeze", g.add("Conv", x, kernel), g.ints([1]))
    if not info.mirror:
        return maps
    film, mirror = g.halves(maps)
    turned = _mirrored(g, mirror)
    last = g.ints([-1])
    edge, rest = (g.add("Slice", turned, g.ints([0]), g.ints([end]), last) for end in (1, -1))
    left = g.add("Concat", edge, rest, axis=-1)
    between = g.add("Mul", g.add("Sub", left, turned), g.constant((info.resolution - 1) % 8 / 8))
    return _mean(g, film, g.add("Add", turned, between))


def _mirrored(g: Nodes, x: str) -> str:
    """Turned about, left to right."""
    return g.add("Slice", x, g.ints([-1]), g.ints([_END]), g.ints([-1]), g.ints([-1]))


def _mean(g: Nodes, a: str, b: str) -> str:
    return g.add("Div", g.add("Add", a, b), g.constant(2))
