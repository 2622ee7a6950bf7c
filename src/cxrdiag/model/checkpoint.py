"""The only writer and reader of weights: model.safetensors + model.json.

Everything is safetensors and JSON: reading a file from a stranger executes nothing.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from cxrdiag.errors import ModelError
from cxrdiag.files import DAMAGED, write_file, write_json
from cxrdiag.model.classifier import (
    DEFAULT_POINT,
    UNCERTAIN,
    Classifier,
    ModelInfo,
    OperatingPoint,
)
from cxrdiag.model.detector import Detector
from cxrdiag.model.device import to_device
from cxrdiag.model.resnet import ARCHITECTURES, ResNet
from cxrdiag.runs import INFO

VERSION = 2
"""1 had neither operating points nor a detector."""
WEIGHTS = "model.safetensors"
_FAR = 1e4
"""No sound mean, deviation of pixels or temperature is as far from 1."""
_LONGEST_INFO = 2**20
_LONGEST_HEADER = 2**23
"""Bytes. A model.json takes 2 KB, the header of a ResNet-152 100; that of a training to be resumed,
whose history is in it, comes to 8 MB after some 25,000 epochs."""
_LINE = 300
_FLOATS = ("F16", "BF16", "F32", "F64")
_LARGEST_MAPS = 64 * 1024**2
"""Width times pixels of the input. Its feature maps take 0.5 GB a film, with a heatmap 1 GB."""
_DETECTOR = "detector."
"""Before the names of the detector's tensors, among the network's."""


def is_too_large(width: int, resolution: int) -> bool:
    """Whether one film would take more memory than most machines have to spare."""
    return width * resolution**2 > _LARGEST_MAPS


def save_model(
    folder: Path, weights: dict[str, Tensor], detector: Detector, info: ModelInfo
) -> None:
    """Write model.safetensors, then model.json with its SHA-256: the pair is whole or refused.

    `weights` are written as they are; `halved` ones take half the room.
    """
    told = {f"{_DETECTOR}{name}": tensor for name, tensor in vars(detector).items()}
    # Not save_file: its files are the owner's alone to read.
    write_file(folder / WEIGHTS, lambda path: path.write_bytes(save(plain({**weights, **told}))))
    document = {"format": "cxrdiag model", "version": VERSION, **dataclasses.asdict(info)}
    document["weights_sha256"] = _sha256(folder / WEIGHTS)
    write_json(folder / INFO, document)


def halved(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights with their matrices and kernels in half precision.

    Norms and biases stay as they are: they are few, and a variance may be too small for it.
    """
    return {name: tensor.half() if tensor.ndim > 1 else tensor for name, tensor in weights.items()}


def load_model(folder: Path, device: torch.device) -> Classifier:
    """Rebuild the classifier of a model folder. Raises ModelError where it cannot be trusted."""
    info, sha256 = _read_info(folder / INFO)
    path = folder / WEIGHTS
    with torch.device("meta"):  # takes no memory: what model.json says may be far from the weights
        network = ResNet(info.arch, width=info.width).eval()
    try:
        with open_weights(path) as file:
            if not _fit(file, network):
                raise _mismatch(path, f"the weights do not fit {info.arch} of width {info.width}")
            if _sha256(path) != sha256:
                raise _mismatch(path, f"the weights are not those that {INFO} describes")
            names = file.keys()
            weights = {name: _sound(name, file.get_tensor(name), path) for name in names}
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"weights not readable: {in_one_line(error)}", path=path, code="unreadable_weights"
        ) from error
    parts = [field.name for field in dataclasses.fields(Detector)]
    detector = Detector(**{name: weights.pop(_DETECTOR + name) for name in parts})
    network.load_state_dict(weights, assign=True)
    return Classifier(to_device(network, device), info, device, detector.to(device))


def open_weights(path: Path) -> safe_open:
    """Open a safetensors file; only its header is read. Raises OSError or SafetensorError."""
    if not path.is_file():  # a pipe would be waited for
        raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    # The library reads up to 100 MB of names of empty tensors: 3 GB in memory, a minute's work.
    if length > _LONGEST_HEADER:
        raise SafetensorError(f"no safetensors file, or a header of {length} bytes")
    return safe_open(path, framework="pt")


def _read_info(path: Path) -> tuple[ModelInfo, str]:
    if not path.is_file():
        raise ModelError(
            f"no model is there, {INFO} is missing",
            path=path.parent,
            hint="train one first: cxrdiag train",
            code="no_model",
        )
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_INFO + 1)
        if len(text) > _LONGEST_INFO:
            raise ValueError(f"more than {_LONGEST_INFO} bytes")
        document = json.loads(text.decode("utf-8"))
        if document.get("version") != VERSION or document.get("arch") not in ARCHITECTURES:
            version, arch = (in_one_line(repr(document.get(n))) for n in ("version", "arch"))
            raise ModelError(
                f"version {version} of architecture {arch} is unknown; "
                f"this cxrdiag reads version {VERSION} of {', '.join(ARCHITECTURES)}",
                path=path,
                hint="made by an older cxrdiag? train again; by a newer one? update this one",
                code="model_version",
            )
        names = [field.name for field in dataclasses.fields(ModelInfo)]
        unknown = set(document) - {*names, "format", "version", "weights_sha256"}
        if unknown:  # it may change the answer
            raise ModelError(
                f"unknown: {in_one_line(', '.join(map(repr, sorted(unknown))))}",
                path=path,
                hint="made by a newer cxrdiag? update this one",
                code="model_version",
            )
        points = document["operating_points"].items()
        document["operating_points"] = {key: OperatingPoint(**point) for key, point in points}
        info = ModelInfo(**{name: document[name] for name in names})
        _check(info)
        return info, str(document["weights_sha256"])
    except (OSError, *DAMAGED) as error:
        raise ModelError(
            f"damaged: {in_one_line(repr(error))}", path=path, code="damaged_model"
        ) from error


def _check(info: ModelInfo) -> None:
    """Raise ValueError on a field of the wrong type, or a number nothing can be computed with."""
    kinds: dict[str, tuple[type, ...]] = {
        "dict[str, OperatingPoint]": (dict,),
        "str": (str,),
        "int": (int,),
        "float": (int, float),
        "bool": (bool,),
    }
    for field in dataclasses.fields(info):
        value, kind = getattr(info, field.name), str(field.type)  # text: annotations are postponed
        if isinstance(value, bool) != (kind == "bool") or not isinstance(value, kinds[kind]):
            raise ValueError(f"{field.name} is {value!r}, not {field.type}")
        if isinstance(value, str) and not value.isprintable():
            raise ValueError(f"{field.name} is {value!r}, which is no line of text")
    numbers = {
        "width": 1 <= info.width <= 1024,
        "image_size": 16 <= info.image_size <= 2048,
        "resolution": 16 <= info.resolution <= 1024,
        "mean": abs(info.mean) <= _FAR,
        "std": 1 / _FAR <= info.std <= _FAR,
        "threshold": 0 <= info.threshold <= 1,
        "temperature": 1 / _FAR <= info.temperature <= _FAR,
        "prevalence": 1e-6 <= info.prevalence <= 1 - 1e-6,
    }
    for name, is_sound in numbers.items():
        if not is_sound:
            raise ValueError(f"{name} is {getattr(info, name)}")
    if is_too_large(info.width, info.resolution):
        raise ValueError(f"width {info.width} at {info.resolution} pixels takes too much memory")
    needed = (DEFAULT_POINT, *UNCERTAIN)
    if not set(needed) <= set(info.operating_points):
        raise ValueError(f"not all of the operating points {', '.join(needed)}")
    if info.threshold != info.operating_points[DEFAULT_POINT].threshold:
        raise ValueError(f"threshold is not that of the operating point {DEFAULT_POINT}")
    for name, point in info.operating_points.items():
        rates = dataclasses.astuple(point)
        if not name.isprintable() or not all(
            not isinstance(rate, bool) and 0 <= rate <= 1 for rate in rates
        ):
            raise ValueError(f"the operating point {name!r} is {point}")


def _mismatch(path: Path, why: str) -> ModelError:
    hint = "the two files must come from one training: copy both, or train again"
    return ModelError(why, path=path, hint=hint, code="weights_mismatch")


def _fit(file: Any, network: ResNet) -> bool:
    """Whether an open file holds the network, a detector of it and nothing else, by its header."""
    views = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
    shapes = {name: tuple(view.get_shape()) for name, view in views.items()}
    for name, view in views.items():
        is_counter = name.endswith("num_batches_tracked")
        if view.get_dtype() not in (("I64",) if is_counter else _FLOATS):
            return False
    names = [field.name for field in dataclasses.fields(Detector)]
    try:
        told = {name: shapes.pop(_DETECTOR + name) for name in names}
        detector = Detector(**{name: torch.empty(told[name], device="meta") for name in names})
    except (KeyError, TypeError, RuntimeError):  # not there, or a side of 2**63
        return False
    own = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    return shapes == own and detector.fits(network)


def _sound(name: str, tensor: Tensor, path: Path) -> Tensor:
    """A copy in single precision; ModelError where a number in it is none to compute with."""
    # A copy: who writes over the file would change the weights, who cuts it short would end us.
    if not tensor.is_floating_point():  # a counter that only training reads
        return tensor.clone()
    tensor = tensor.to(torch.float32, copy=True)  # where a double may be infinite
    problem = None
    if not torch.isfinite(tensor).all():
        problem = "holds what is no number"
    elif name.endswith("running_var") and (tensor < 0).any():
        problem = "holds a variance below zero"
    if problem is not None:
        raise ModelError(
            f"{name} {problem}", path=path, hint="train again", code="non_finite_weights"
        )
    return tensor


def in_one_line(text: object) -> str:
    """What a stranger may have had a hand in, as one short line that a terminal shows as it is."""
    line = "".join(c if c.isprintable() else " " for c in str(text))
    return line if len(line) <= _LINE else line[:_LINE] + " ..."


def plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """As safetensors stores them: row-major, on the host; memory formats are set on loading."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
