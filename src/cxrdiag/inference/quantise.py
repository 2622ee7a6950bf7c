"""A graph whose convolutions compute in 8 bits, and what that changes in its answers.

Shapes: N films, S side of a decoded square.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

import cxrdiag.model.onnx  # noqa: F401  first: it keeps the runtime from reporting to its makers

# isort: split
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from sklearn.metrics import roc_auc_score

from cxrdiag.data.store import Store, check_image_size
from cxrdiag.errors import CxrdiagError, ModelError
from cxrdiag.model.answers import check_finite
from cxrdiag.model.info import ModelInfo, in_one_line
from cxrdiag.model.probability import probability

_MOST_LOST = 0.003
"""Of accuracy and AUROC on validation; more is worth a warning."""
_N_RANGES = 256
"""Films whose ranges are taken: more change them by little, and take long."""
_AT_ONCE, _MOST = 32, 2**24
"""Films at once, and width of the network times their pixels, for the memory's sake."""


@dataclass(frozen=True)
class Answered:
    """How a graph did on the validation films of a store."""

    accuracy: float
    auroc: float | None
    """None where they are of one class."""
    refused: int
    warned_of: int


@dataclass(frozen=True)
class Change:
    """What 8 bits change on `n` validation films."""

    n: int
    in_32_bits: Answered
    in_8_bits: Answered
    changed: int
    """Films that are called otherwise."""
    largest_difference: float
    """Of the probability of one film."""

    @property
    def loses(self) -> bool:
        """Whether accuracy or AUROC are lower, or refusals more, by over 0.3 points."""
        before, after = self.in_32_bits, self.in_8_bits
        lost = [before.accuracy - after.accuracy, (after.refused - before.refused) / self.n]
        if before.auroc is not None and after.auroc is not None:
            lost.append(before.auroc - after.auroc)
        return max(lost) > _MOST_LOST


class _Films(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
    def __init__(self, batches: Iterator[NDArray[np.uint8]]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        return next(({"images": images} for images in self._batches), None)


def quantise(graph: onnx.ModelProto, store: Store, info: ModelInfo) -> onnx.ModelProto:
    """A graph without maps with its convolutions in 8 bits, its batch norms folded into them.

    The range of what goes between them is that of 256 training films of `store`, drawn by a fixed
    seed. Weights are scaled by output channel and keep 7 bits: older processors add two products in
    16, which overflow with more. Raises DataError where the store is not of the model's size, and
    ModelError where the graph cannot be brought to 8 bits.
    """
    check_image_size(store, info.image_size)
    rows = store.rows("train")
    if len(rows) > _N_RANGES:
        rows = np.sort(np.random.default_rng(0).choice(rows, _N_RANGES, replace=False))
    _ask(graph, store, rows[:1], info)  # that it answers at all
    with tempfile.TemporaryDirectory() as folder, _told("it cannot be brought to 8 bits"):
        whole, folded, small = (Path(folder) / name for name in ("whole", "folded", "small"))
        onnx.save(graph, whole)
        with _unlogged():
            quant_pre_process(whole, folded, skip_symbolic_shape=True)
            quantize_static(
                folded,
                small,
                _Films(_batches(store, rows, info)),
                op_types_to_quantize=["Conv"],
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        made = onnx.load(small)
    _refuse_half_done(made)
    # What it is of, and no operators but those of ONNX itself: the runtime lists all that it knows.
    for field in ("opset_import", "metadata_props"):
        del getattr(made, field)[:]
        getattr(made, field).extend(getattr(graph, field))
    made.producer_name, made.producer_version = graph.producer_name, graph.producer_version
    made.doc_string = graph.doc_string
    return made


@contextmanager
def _unlogged() -> Iterator[None]:
    """Without warnings, and without the trace that the library logs of what it goes on after."""
    was = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable()
        try:
            yield
        finally:
            logging.disable(was)


def _refuse_half_done(made: onnx.ModelProto) -> None:
    # The library goes on where it could not fold, and says so in its log alone.
    kernels = [weight for weight in made.graph.initializer if len(weight.dims) == 4]
    is_done = all(kernel.data_type == onnx.TensorProto.INT8 for kernel in kernels)
    if not is_done or any(node.op_type == "BatchNormalization" for node in made.graph.node):
        raise _no_onnx("its batch norms could not be folded")


def compare(
    graph: onnx.ModelProto, small: onnx.ModelProto, store: Store, info: ModelInfo
) -> Change:
    """Ask both graphs about the validation films. Raises DataError where the store has none."""
    rows = store.rows("val")
    truth_N = store.targets(rows)
    asked = [_ask(model, store, rows, info) for model in (graph, small)]
    said = [probability(logits_N, info.temperature) for logits_N, _, _ in asked]
    called = [p >= info.threshold for p in said]
    before, after = (
        Answered(
            accuracy=float((is_called_N == truth_N).mean()),
            auroc=float(roc_auc_score(truth_N, p)) if len(set(truth_N)) == 2 else None,
            refused=int((scores_N < 0).sum()),
            warned_of=int(((scores_N >= 0) & (distances_N > 1)).sum()),
        )
        for p, is_called_N, (_, scores_N, distances_N) in zip(said, called, asked, strict=True)
    )
    return Change(
        n=len(rows),
        in_32_bits=before,
        in_8_bits=after,
        changed=int((called[0] != called[1]).sum()),
        largest_difference=float(np.abs(said[0] - said[1]).max()),
    )


def _ask(
    model: onnx.ModelProto, store: Store, rows: NDArray[np.int64], info: ModelInfo
) -> list[NDArray[np.float32]]:
    """Logits, film scores and distances of some films."""
    with _told("ONNX Runtime does not run it"):
        session = onnxruntime.InferenceSession(model.SerializeToString())
        parts = [session.run(None, {"images": some}) for some in _batches(store, rows, info)]
    answers = [np.concatenate(part) for part in zip(*parts, strict=True)]
    check_finite(*answers)
    return answers


def _batches(store: Store, rows: NDArray[np.int64], info: ModelInfo) -> Iterator[NDArray[np.uint8]]:
    step = info.at_once(_AT_ONCE, _MOST)
    for start in range(0, len(rows), step):
        yield store.images_NSS[rows[start : start + step]]


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Have an error of the libraries, whose kinds derive from no common one, be a ModelError."""
    try:
        yield
    except (CxrdiagError, OSError):
        raise
    except Exception as error:
        raise _no_onnx(f"{what}: {in_one_line(error)}") from error


def _no_onnx(what: str) -> ModelError:
    return ModelError(what, hint="export it without --int8", code="no_onnx")
