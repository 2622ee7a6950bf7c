"""The nodes of an ONNX graph as they are added, with the weights that they ask for.

Shapes: B batch, S side of a decoded square.
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

from cxrdiag.model.info import METADATA, ModelInfo

OPSET, IR_VERSION = 17, 8
"""Of 2022, so that older runtimes read it too."""
PRODUCER = "cxrdiag"
"""Who made a graph: among the first bytes of its file."""


class Nodes:
    """Nodes as they are added; a name stands for the tensor that a node gives."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self.weights = weights
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, TensorProto] = {}
        self._cast: dict[str, str] = {}
        self._inputs: list[Any] = []
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
        """A tensor that is the same for every picture."""
        name = f"constant_{next(self._numbers)}"
        self._constants[name] = numpy_helper.from_array(np.asarray(values, dtype), name)
        return name

    def ints(self, values: Sequence[int]) -> str:
        """Sizes, places or axes."""
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
        """A batch norm in evaluation."""
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

    def input(self, name: str, dtype: int, shape: list[str | int]) -> str:
        """What whoever runs the graph gives."""
        self._inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, name: str, x: str, shape: list[str]) -> None:
        """Give `x` to whoever runs the graph, under this name."""
        self._nodes.append(helper.make_node("Identity", [x], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def model(self, info: ModelInfo) -> ModelProto:
        """All of it as a model, with what model.json says in its metadata."""
        constants = list(self._constants.values())
        graph = helper.make_graph(self._nodes, "cxrdiag", self._inputs, self._outputs, constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name=PRODUCER,
            producer_version=info.cxrdiag_version,
            doc_string=info.notice,
        )
        helper.set_model_props(model, {METADATA: json.dumps(dataclasses.asdict(info))})
        return model
