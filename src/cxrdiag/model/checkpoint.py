"""The only writer and reader of weights: model.safetensors + model.json, and resume.safetensors.

Everything is safetensors and JSON: reading a file from a stranger executes nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
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
from cxrdiag.runs import INFO, RESUME

VERSION = 2
"""1 had neither operating points nor a detector."""
WEIGHTS = "model.safetensors"
_FAR = 1e4
"""No sound mean, deviation of pixels or temperature is as far from 1."""
_DETECTOR = "detector."
"""Before the names of the detector's tensors, among the network's."""


def save_model(
    folder: Path, weights: dict[str, Tensor], detector: Detector, info: ModelInfo
) -> None:
    """Write model.safetensors, then model.json with its SHA-256: the pair is whole or refused.

    `weights` are written as they are; `halved` ones take half the room.
    """
    told = {f"{_DETECTOR}{name}": tensor for name, tensor in vars(detector).items()}
    # Not save_file: its files are the owner's alone to read.
    write_file(folder / WEIGHTS, lambda path: path.write_bytes(save(_plain({**weights, **told}))))
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
    try:
        weights = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"weights not readable: {error}", path=folder / WEIGHTS, code="unreadable_weights"
        ) from error
    if _sha256(folder / WEIGHTS) != sha256:
        raise ModelError(
            f"the weights are not those that {INFO} describes",
            path=folder / WEIGHTS,
            hint="the two files must come from one training: copy both, or train again",
            code="weights_mismatch",
        )
    for name, tensor in weights.items():
        if tensor.is_complex() or not torch.isfinite(tensor).all():
            raise ModelError(
                f"{name} holds what is no number",
                path=folder / WEIGHTS,
                hint="train again",
                code="non_finite_weights",
            )
    with torch.device("meta"):  # takes no memory: what model.json says may be far from the weights
        network = ResNet(info.arch, width=info.width).eval()
    try:
        names = [field.name for field in dataclasses.fields(Detector)]
        detector = Detector(**{name: weights.pop(_DETECTOR + name).float() for name in names})
        network.load_state_dict(weights, assign=True)
        if not detector.fits(network):
            raise RuntimeError("the detector is another network's")
    except (RuntimeError, KeyError) as error:
        raise ModelError(
            f"the weights do not fit {info.arch} of width {info.width}",
            path=folder / WEIGHTS,
            code="weights_mismatch",
        ) from error
    return Classifier(to_device(network.float(), device), info, device, detector.to(device))


def save_resume(folder: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write the state of a training: tensors, and whatever else fits JSON."""
    metadata = {"version": str(VERSION), "state": json.dumps(state)}
    write_file(folder / RESUME, lambda path: path.write_bytes(save(_plain(tensors), metadata)))


def load_resume(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `save_resume` wrote. Raises ModelError when it is absent or damaged."""
    path = folder / RESUME
    if not path.is_file():
        raise ModelError("no interrupted training is there", path=folder, code="nothing_to_resume")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("version") != str(VERSION):
                raise ModelError("saved by another version", path=path, code="resume_version")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            state = json.loads(metadata["state"])
            if not isinstance(state, dict):
                raise ValueError("its state is not a JSON object")
            return tensors, state
    except (OSError, SafetensorError, ValueError, KeyError, RecursionError) as error:
        raise ModelError(f"damaged: {error}", path=path, code="damaged_resume") from error


def _read_info(path: Path) -> tuple[ModelInfo, str]:
    if not path.is_file():
        raise ModelError(
            f"no model is there, {INFO} is missing",
            path=path.parent,
            hint="train one first: cxrdiag train",
            code="no_model",
        )
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.get("version") != VERSION or document.get("arch") not in ARCHITECTURES:
            raise ModelError(
                f"version {document.get('version')!r} of architecture {document.get('arch')!r} "
                f"is unknown; this cxrdiag reads version {VERSION} of {', '.join(ARCHITECTURES)}",
                path=path,
                hint="made by an older cxrdiag? train again; by a newer one? update this one",
                code="model_version",
            )
        names = [field.name for field in dataclasses.fields(ModelInfo)]
        unknown = set(document) - {*names, "format", "version", "weights_sha256"}
        if unknown:  # it may change the answer
            raise ModelError(
                f"unknown: {', '.join(map(repr, sorted(unknown)))}",
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
        raise ModelError(f"damaged: {error!r}", path=path, code="damaged_model") from error


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
    numbers = {
        "width": 1 <= info.width <= 1024,
        "image_size": 16 <= info.image_size <= 4096,
        "resolution": 16 <= info.resolution <= 4096,
        "mean": abs(info.mean) <= _FAR,
        "std": 1 / _FAR <= info.std <= _FAR,
        "threshold": 0 <= info.threshold <= 1,
        "temperature": 1 / _FAR <= info.temperature <= _FAR,
        "prevalence": 1e-6 <= info.prevalence <= 1 - 1e-6,
    }
    for name, is_sound in numbers.items():
        if not is_sound:
            raise ValueError(f"{name} is {getattr(info, name)}")
    needed = (DEFAULT_POINT, *UNCERTAIN)
    if not set(needed) <= set(info.operating_points):
        raise ValueError(f"not all of the operating points {', '.join(needed)}")
    if info.threshold != info.operating_points[DEFAULT_POINT].threshold:
        raise ValueError(f"threshold is not that of the operating point {DEFAULT_POINT}")
    for name, point in info.operating_points.items():
        rates = dataclasses.astuple(point)
        if not all(not isinstance(rate, bool) and 0 <= rate <= 1 for rate in rates):
            raise ValueError(f"the operating point {name} is {point}")


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    # safetensors stores plain row-major arrays; memory formats are set again on loading.
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
