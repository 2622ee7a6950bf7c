"""A classifier into a model folder, and back: model.safetensors + model.json.

The only writer of models; they are read by cxrdiag.model.weights.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from cxrdiag.files import write_file, write_json
from cxrdiag.model.classifier import Classifier
from cxrdiag.model.detector import Detector
from cxrdiag.model.device import to_device
from cxrdiag.model.info import VERSION, ModelInfo
from cxrdiag.model.resnet import ResNet
from cxrdiag.model.weights import DETECTOR, WEIGHTS, file_sha256, read_weights
from cxrdiag.runs import INFO


def save_model(
    folder: Path, weights: dict[str, Tensor], detector: Detector, info: ModelInfo
) -> None:
    """Write model.safetensors, then model.json with its SHA-256: the pair is whole or refused.

    `weights` are written as they are; `halved` ones take half the room.
    """
    told = {f"{DETECTOR}{name}": tensor for name, tensor in vars(detector).items()}
    # Not save_file: its files are the owner's alone to read.
    write_file(folder / WEIGHTS, lambda path: path.write_bytes(save(plain({**weights, **told}))))
    document = {"format": "cxrdiag model", "version": VERSION, **dataclasses.asdict(info)}
    document["weights_sha256"] = file_sha256(folder / WEIGHTS)
    write_json(folder / INFO, document)


def halved(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights with their matrices and kernels in half precision.

    Norms and biases stay as they are: they are few, and a variance may be too small for it.
    """
    return {name: tensor.half() if tensor.ndim > 1 else tensor for name, tensor in weights.items()}


def load_model(folder: Path, device: torch.device) -> Classifier:
    """Rebuild the classifier of a model folder. Raises ModelError where it cannot be trusted."""
    info, arrays = read_weights(folder)
    weights = {name: torch.from_numpy(values) for name, values in arrays.items()}
    with torch.device("meta"):  # to draw weights that are replaced would take long
        network = ResNet(info.arch, width=info.width).eval()
    parts = [field.name for field in dataclasses.fields(Detector)]
    detector = Detector(**{name: weights.pop(DETECTOR + name) for name in parts})
    network.load_state_dict(weights, assign=True)
    return Classifier(to_device(network, device), info, device, detector.to(device))


def plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """As safetensors stores them: row-major, on the host; memory formats are set on loading."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
