"""What computes the answers: ONNX Runtime, which starts soon, or torch, which knows GPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from cxrdiag.errors import ModelError, UsageError, is_out_of_memory
from cxrdiag.model.answers import Answers
from cxrdiag.model.info import ModelInfo
from cxrdiag.model.weights import WEIGHTS

BACKENDS = ("auto", "onnx", "torch")
_ON_THE_PROCESSOR = ("auto", "cpu")
_LARGE = 2**28
"""Bytes of weights from which `auto` is torch: a graph of them takes several times as much."""


class Backend(Protocol):
    """A loaded model: `Classifier` or `OnnxClassifier`."""

    @property
    def info(self) -> ModelInfo:
        """What its model.json says."""

    def at(self, operating_point: str) -> Self:
        """The same at another threshold of its own."""

    def answer(self, images_BSS: NDArray[np.uint8], *, with_maps: bool = False) -> Answers:
        """All that is to be said of decoded squares, uint8 (B, S, S)."""


def load_backend(model: Path, device: str = "auto", backend: str = "auto") -> Backend:
    """Load a model folder to compute with `backend`: `onnx`, `torch` or `auto`.

    `auto` is onnx, but for large models and for a `device` other than the processor. Raises
    ModelError where the model cannot be used, UsageError for an unknown backend or device, or an
    onnx that is to use a GPU.
    """
    if backend not in BACKENDS:
        raise UsageError(
            f"unknown backend {backend!r}",
            hint=f"one of {', '.join(BACKENDS)}",
            code="unknown_backend",
        )
    if backend == "onnx" and device not in _ON_THE_PROCESSOR:
        raise UsageError(
            f"the backend onnx does not compute on {device!r}",
            hint="use --backend torch, or --device cpu",
            code="no_device",
        )
    weights = model / WEIGHTS
    is_large = backend == "auto" and weights.is_file() and weights.stat().st_size > _LARGE
    if backend == "torch" or is_large or device not in _ON_THE_PROCESSOR:
        # Inside, so that nobody waits for torch who does not need it.
        from cxrdiag.model.checkpoint import load_model
        from cxrdiag.model.device import choose_device

        return load_model(model, choose_device(device))
    try:
        from cxrdiag.model.onnx import load_onnx
    except ImportError as error:
        if is_out_of_memory(error):
            raise MemoryError from error
        raise ModelError(
            f"ONNX Runtime is not usable here: {error}",
            hint="pip install onnx onnxruntime, or use --backend torch",
            code="no_onnx",
        ) from error
    return load_onnx(model)
