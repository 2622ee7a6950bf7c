"""Weights as one ONNX graph: decoded squares in; logits, detector and activation maps out.

The graph holds all that a picture goes through once it is decoded, as `Classifier` does it: what
runs it needs neither torch nor this package. Maps take longer than all the rest: they are computed
where the input `with_maps` asks for them, and have no cells otherwise.

Shapes: B batch, C channels, S side of a decoded square, R side of the network's input, h and w
cells, F and G features, K directions.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from cxrdiag.errors import ModelError
from cxrdiag.model.info import ModelInfo
from cxrdiag.model.weights import GRID

OPSET, IR_VERSION = 17, 8
"""Of 2022, so that older runtimes read it too."""
METADATA = "cxrdiag"
"""Under which key of the metadata the graph says what model.json says, as JSON."""
_LARGEST = 2**31 - 2**26
"""Bytes, by the format that a graph is written in."""
_END = -(2**31)
"""The end of a slice that goes backwards to the first."""


def build_graph(weights: Mapping[str, NDArray[Any]], info: ModelInfo) -> ModelProto:
    """The ONNX model of `weights`, named as in model.safetensors, and what model.json says.

    Inputs: `images`, uint8 (B, S, S), and `with_maps`, one bool. Outputs, all float32: `logits`
    (B,), `film_scores` and `distances` (B,) as in `Detected`, `maps` (B, h, w) as of
    `Classifier.maps`, or (B, 0, 0) where they are not asked for. Raises ModelError where they are
    more than ONNX can hold.
    """
    if sum(values.nbytes for values in weights.values()) > _LARGEST:
        raise ModelError(
            "more than 2 GB of weights, which ONNX cannot hold",
            hint="predict --backend torch computes without it",
            code="too_large_for_onnx",
        )
    g = _Graph(weights)
    x = _pixels(g, info)
    if info.mirror:  # the mirror images are the second half of one batch
        x = g.add("Concat", x, _mirrored(g, x), axis=0)
    x = g.add("Relu", g.norm("bn1", g.conv("conv1", x, stride=2)))
    x = g.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    second = _stage(g, "layer2", _stage(g, "layer1", x, stride=1), stride=2)
    third = _stage(g, "layer3", second, stride=2)
    last = _stage(g, "layer4", third, stride=2)
    pooled = g.add("ReduceMean", last, axes=[2, 3], keepdims=0)
    logits = g.add("Gemm", pooled, g.weight("fc.weight"), g.weight("fc.bias"), transB=1)
    logits = g.add("Squeeze", logits, g.ints([1]))
    g.output("logits", _mean(g, *g.halves(logits)) if info.mirror else logits, ["batch"])
    features = [second, third, pooled]
    if info.mirror:  # the detector looks at the film alone
        features = [g.halves(x)[0] for x in features]
    _detect(g, features, info.resolution)
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
    g.output("maps", g.add("If", "with_maps", **branches), ["batch", "cells", "cells"])
    return g.model(info)


class _Graph:
    """Nodes as they are added; a name stands for the tensor that a node gives."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self.weights = weights
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, TensorProto] = {}
        self._cast: dict[str, str] = {}
        self._outputs: list[Any] = []
        self._numbers = itertools.count()

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one output, and return its name."""
        output = f"{op.lower()}_{next(self._numbers)}"
        self._nodes.append(helper.make_node(op, list(inputs), [output], output, **attributes))
        return output

    def halves(self, x: str) -> tuple[str, str]:
        """The first and the second half of a batch."""
        outputs = [f"half_{next(self._numbers)}" for _ in range(2)]
        self._nodes.append(helper.make_node("Split", [x], outputs, outputs[0], axis=0))
        return outputs[0], outputs[1]

    def constant(self, values: ArrayLike, dtype: type = np.float32) -> str:
        name = f"constant_{next(self._numbers)}"
        self._constants[name] = numpy_helper.from_array(np.asarray(values, dtype), name)
        return name

    def ints(self, values: Sequence[int]) -> str:
        return self.constant(values, np.int64)

    def weight(self, name: str) -> str:
        """A weight in single precision; in the file in half, where that holds all of it."""
        if name in self._cast:
            return self._cast[name]
        values = np.asarray(self.weights[name], np.float32)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if values.ndim > 1 and np.array_equal(half.astype(np.float32), values):
            self._constants[name] = numpy_helper.from_array(half, name)
            cast = helper.make_node("Cast", [name], [f"{name}.single"], to=TensorProto.FLOAT)
            self._nodes.append(cast)
            self._cast[name] = f"{name}.single"
        else:
            self._constants[name] = numpy_helper.from_array(values, name)
            self._cast[name] = name
        return self._cast[name]

    def conv(self, name: str, x: str, stride: int = 1, spread: int = 1) -> str:
        """A convolution of an odd kernel, padded so that without a stride the size stays."""
        kernel = self.weights[f"{name}.weight"].shape[2:]
        return self.add(
            "Conv",
            x,
            self.weight(f"{name}.weight"),
            strides=[stride] * 2,
            dilations=[spread] * 2,
            pads=[spread * (side // 2) for side in kernel] * 2,
        )

    def norm(self, name: str, x: str) -> str:
        parts = ("weight", "bias", "running_mean", "running_var")
        named = [self.weight(f"{name}.{part}") for part in parts]
        return self.add("BatchNormalization", x, *named, epsilon=1e-5)

    @contextlib.contextmanager
    def branch(self) -> Iterator[list[NodeProto]]:
        """What is added within goes into a list of its own, for a node that may skip it."""
        outer, self._nodes = self._nodes, []
        try:
            yield self._nodes
        finally:
            self._nodes = outer

    def output(self, name: str, x: str, shape: list[str]) -> None:
        self._nodes.append(helper.make_node("Identity", [x], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def model(self, info: ModelInfo) -> ModelProto:
        side = info.image_size
        inputs = [
            helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", side, side]),
            helper.make_tensor_value_info("with_maps", TensorProto.BOOL, []),
        ]
        constants = list(self._constants.values())
        graph = helper.make_graph(self._nodes, "cxrdiag", inputs, self._outputs, constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="cxrdiag",
            producer_version=info.cxrdiag_version,
            doc_string=info.notice,
        )
        helper.set_model_props(model, {METADATA: json.dumps(dataclasses.asdict(info))})
        return model


def _pixels(g: _Graph, info: ModelInfo) -> str:
    """Stored squares to what the network takes, (B, 1, R, R)."""
    x = g.add("Div", g.add("Cast", "images", to=TensorProto.FLOAT), g.constant(255))
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
    g: _Graph, name: str, x: str, stride: int, spread: int = 1, spread_after: int = 1
) -> str:
    """The blocks of one stage, the first of which strides.

    `spread` is between the pixels that the striding convolution sees, `spread_after` between those
    that the ones after it see.
    """
    for i in itertools.count():
        block = f"{name}.{i}"
        if f"{block}.conv1.weight" not in g.weights:
            return x
        n = 3 if f"{block}.conv3.weight" in g.weights else 2
        y = x
        for k in range(1, n + 1):
            # As in cxrdiag.model.resnet, a bottleneck strides in its 3 x 3 convolution.
            strides = i == 0 and k == n - 1
            how = (stride, spread) if strides else (1, spread_after)
            y = g.norm(f"{block}.bn{k}", g.conv(f"{block}.conv{k}", y, *how))
            y = y if k == n else g.add("Relu", y)
        if f"{block}.downsample.0.weight" in g.weights:
            x = g.norm(f"{block}.downsample.1", g.conv(f"{block}.downsample.0", x, stride))
        x = g.add("Relu", g.add("Add", y, x))
    raise AssertionError("there is always a last block")


def _detect(g: _Graph, features: Sequence[str], resolution: int) -> None:
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


def _maps(g: _Graph, second: str, info: ModelInfo) -> str:
    """Maps (B, h, w) of the features of the second stage, as `densify` and `unmirror` do it."""
    x = _stage(g, "layer3", second, stride=1, spread=1, spread_after=2)
    x = _stage(g, "layer4", x, stride=1, spread=2, spread_after=4)
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


def _mirrored(g: _Graph, x: str) -> str:
    """Turned about, left to right."""
    return g.add("Slice", x, g.ints([-1]), g.ints([_END]), g.ints([-1]), g.ints([-1]))


def _mean(g: _Graph, a: str, b: str) -> str:
    return g.add("Div", g.add("Add", a, b), g.constant(2))
