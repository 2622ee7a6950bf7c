"""The one reader of a model folder, in NumPy: model.json and the weights that it describes.

To read a file from a stranger executes nothing, and takes memory by what it holds alone.
"""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from cxrdiag.errors import ModelError
from cxrdiag.model.info import ARCHITECTURES, ModelInfo, in_one_line, read_info
from cxrdiag.runs import INFO

WEIGHTS = "model.safetensors"
DETECTOR = "detector."
"""Before the names of the detector's tensors, among the network's."""
GRID = 4
"""Parts of a picture along each side, of each of which the detector sees a mean."""
_LONGEST_HEADER = 2**23
"""Bytes. The header of a ResNet-152 takes 100 KB; that of a training to be resumed, whose history
is in it, comes to 8 MB after some 25,000 epochs."""
_FLOATS = ("F16", "F32", "F64")

Shapes = dict[str, tuple[int, ...]]


def read_weights(folder: Path) -> tuple[ModelInfo, dict[str, NDArray[Any]]]:
    """What model.json says, and the weights by name, in single precision.

    Raises ModelError where they cannot be trusted: not readable, not those that model.json
    describes, of other shapes, or no numbers to compute with.
    """
    info, sha256 = read_info(folder / INFO)
    path = folder / WEIGHTS
    try:
        with open_weights(path, "numpy") as file:
            if not _fit(file, info):
                what = f"{info.arch} of width {info.width}, in F16, F32 or F64"
                raise _mismatch(path, f"the weights do not fit {what}")
            if file_sha256(path) != sha256:
                raise _mismatch(path, f"the weights are not those that {INFO} describes")
            names = file.keys()
            return info, {name: _sound(name, file.get_tensor(name), path) for name in names}
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"weights not readable: {in_one_line(error)}", path=path, code="unreadable_weights"
        ) from error


def open_weights(path: Path, framework: str = "pt") -> safe_open:
    """Open a safetensors file; only its header is read. Raises OSError or SafetensorError."""
    if not path.is_file():  # a pipe would be waited for
        raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    # The library reads up to 100 MB of names of empty tensors: 3 GB in memory, a minute's work.
    if length > _LONGEST_HEADER:
        raise SafetensorError(f"no safetensors file, or a header of {length} bytes")
    return safe_open(path, framework=framework)


def parameter_shapes(arch: str, width: int) -> Shapes:
    """The tensors of a network of one channel and one output (`cxrdiag.model.resnet.ResNet`)."""
    is_bottleneck, depths = ARCHITECTURES[arch]
    shapes: Shapes = {"conv1.weight": (width, 1, 7, 7), **_norm("bn1", width)}
    n_in = width
    for stage, (inside, depth) in enumerate(zip(_widths(width), depths, strict=True), start=1):
        n_out = 4 * inside if is_bottleneck else inside
        for i in range(depth):
            block = f"layer{stage}.{i}"
            # Output channels and side of the kernel of each convolution.
            convs = [(inside, 1), (inside, 3), (n_out, 1)] if is_bottleneck else [(inside, 3)] * 2
            channels = n_in
            for k, (out, side) in enumerate(convs, start=1):
                shapes[f"{block}.conv{k}.weight"] = (out, channels, side, side)
                shapes |= _norm(f"{block}.bn{k}", out)
                channels = out
            if i == 0 and (stage > 1 or n_in != n_out):
                shapes[f"{block}.downsample.0.weight"] = (n_out, n_in, 1, 1)
                shapes |= _norm(f"{block}.downsample.1", n_out)
            n_in = n_out
    return {**shapes, "fc.weight": (1, n_in), "fc.bias": (1,)}


def detector_shapes(arch: str, width: int, directions: int) -> Shapes:
    """The tensors of a detector on that network (`cxrdiag.model.detector.Detector`)."""
    scale = 4 if ARCHITECTURES[arch][0] else 1
    _, second, third, last = (scale * inside for inside in _widths(width))
    return {
        "weight_F": (GRID**2 * (second + third),),
        "bias": (),
        "mean_G": (last,),
        "directions_KG": (directions, last),
        "noise": (),
    }


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _widths(width: int) -> tuple[int, int, int, int]:
    return width, 2 * width, 4 * width, 8 * width


def _norm(name: str, channels: int) -> Shapes:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {
        **{f"{name}.{part}": (channels,) for part in parts},
        f"{name}.num_batches_tracked": (),
    }


def _mismatch(path: Path, why: str) -> ModelError:
    hint = "the two files must come from one training: copy both, or train again"
    return ModelError(why, path=path, hint=hint, code="weights_mismatch")


def _fit(file: Any, info: ModelInfo) -> bool:
    """Whether an open file holds the network, a detector of it and nothing else, by its header."""
    views = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
    shapes = {name: tuple(view.get_shape()) for name, view in views.items()}
    for name, view in views.items():
        is_counter = name.endswith("num_batches_tracked")
        if view.get_dtype() not in (("I64",) if is_counter else _FLOATS):
            return False
    directions = shapes.get(f"{DETECTOR}directions_KG") or (0,)
    told = detector_shapes(info.arch, info.width, directions[0])
    own = parameter_shapes(info.arch, info.width)
    return shapes == own | {f"{DETECTOR}{name}": shape for name, shape in told.items()}


def _sound(name: str, values: NDArray[Any], path: Path) -> NDArray[Any]:
    """A copy in single precision; ModelError where a number in it is none to compute with."""
    # A copy: who writes over the file would change the weights, who cuts it short would end us.
    if values.dtype == np.int64:  # a counter that only training reads
        return values.copy()
    with np.errstate(over="ignore"):  # a double may be infinite then
        values = np.array(values, dtype=np.float32)
    problem = None
    if not np.isfinite(values).all():
        problem = "holds what is no number"
    elif name.endswith("running_var") and (values < 0).any():
        problem = "holds a variance below zero"
    if problem is not None:
        raise ModelError(
            f"{name} {problem}", path=path, hint="train again", code="non_finite_weights"
        )
    return values
