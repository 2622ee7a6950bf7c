"""Where a training starts from, other than at random: the shipped model, or ImageNet."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

import torch
from safetensors import SafetensorError
from torch import Tensor

from cxrdiag import runs
from cxrdiag.errors import ModelError, UsageError
from cxrdiag.files import write_file
from cxrdiag.model.checkpoint import load_model
from cxrdiag.model.info import in_one_line
from cxrdiag.model.resnet import ResNet
from cxrdiag.model.weights import open_weights
from cxrdiag.training.config import ModelConfig, Recipe

_HUB = "https://huggingface.co/timm"
_IMAGENET = {
    "resnet18": "resnet18.tv_in1k",
    "resnet34": "resnet34.tv_in1k",
    "resnet50": "resnet50.tv2_in1k",
    "resnet101": "resnet101.tv2_in1k",
    "resnet152": "resnet152.tv2_in1k",
}
"""There torchvision's weights, its latest of each network, are kept as safetensors."""
_MOST_BYTES = 400 * 10**6
"""Those of ResNet-152 are 241 MB."""
_SILENT_S = 60
_IMAGENET_CLASSES = 1000
_IMAGENET_WIDTH = 64
_IMAGENET_MEAN, _IMAGENET_STD = 0.449, 0.226
"""Means over the three channels of what torchvision normalises by."""


@dataclass(frozen=True)
class Start:
    """Weights, perhaps not all of a network's, and the normalisation they were trained with."""

    weights: dict[str, Tensor]
    mean: float
    std: float


def load_start(recipe: Recipe, pause: Callable[[], None] = lambda: None) -> Start | None:
    """What the recipe's `training.init` asks for; None for random weights.

    `pause` is called while something is downloaded, and may raise what ends it.
    """
    if recipe.training.init == "shipped":
        return _shipped(recipe.model)
    if recipe.training.init == "imagenet":
        return _imagenet(recipe.model, pause)
    return None


def _shipped(model: ModelConfig) -> Start:
    """The model in the package.

    Raises UsageError where `model` describes another network, ModelError in a build without one.
    """
    if not runs.is_finished(runs.SHIPPED_FOLDER):
        raise ModelError(
            "no model ships with this build",
            hint="install a release, or start without --init",
            code="no_shipped_model",
        )
    classifier = load_model(runs.SHIPPED_FOLDER, torch.device("cpu"))
    info = classifier.info
    if (info.arch, info.width) != (model.arch, model.width):
        raise UsageError(
            f"the shipped model is {info.arch} of width {info.width}, "
            f"the recipe wants {model.arch} of width {model.width}",
            hint=f"--set model.arch={info.arch} --set model.width={info.width}",
            code="other_network",
        )
    return Start(dict(classifier.network.state_dict()), info.mean, info.std)


def _imagenet(model: ModelConfig, pause: Callable[[], None]) -> Start:
    """ImageNet weights of torchvision, the first convolution summed to one channel.

    The summed kernel answers a gray image as the three answer three equal channels. The last layer
    is left out. Downloaded once; a file that is in its place already is used as it is. Raises
    ModelError where they cannot be had, UsageError where there are none of that width.
    """
    if model.width != _IMAGENET_WIDTH:
        raise UsageError(
            f"ImageNet weights are of width {_IMAGENET_WIDTH}, the recipe wants {model.width}",
            hint=f"--set model.width={_IMAGENET_WIDTH}",
            code="other_network",
        )
    name = _IMAGENET[model.arch]
    url, path = f"{_HUB}/{name}/resolve/main/model.safetensors", _cache() / f"{name}.safetensors"
    try:
        if not path.exists():
            _download(url, path, pause)
        weights = _read(path, model.arch)
    except (OSError, HTTPException, SafetensorError, RuntimeError, TypeError) as error:
        raise ModelError(
            f"ImageNet weights cannot be fetched or read: {in_one_line(error)}",
            path=url,
            hint=f"remove {path} or put that file there, or start without --init",
            code="no_imagenet_weights",
        ) from error
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("fc.")}
    kept["conv1.weight"] = kept["conv1.weight"].sum(dim=1, keepdim=True)
    return Start(kept, _IMAGENET_MEAN, _IMAGENET_STD)


def _cache() -> Path:
    folder = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(folder) / "cxrdiag"


def _read(path: Path, arch: str) -> dict[str, Tensor]:
    """The weights of a whole network of ImageNet. Raises what reading them may raise."""
    with open_weights(path) as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    with torch.device("meta"):
        network = ResNet(arch, n_channels=3, n_outputs=_IMAGENET_CLASSES)
    try:
        network.load_state_dict(weights, assign=True)
    except RuntimeError as error:  # hundreds of lines
        raise SafetensorError(f"{path.name} does not hold a {arch}") from error
    return dict(network.float().state_dict())


class _SameScheme(HTTPRedirectHandler):
    """No redirect leads from https to what anybody on the way can change."""

    def redirect_request(
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> Request | None:
        """The request that follows, or HTTPError."""
        if not newurl.startswith(f"{req.type}:"):
            raise HTTPError(newurl, code, f"from {req.type} to {newurl}", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(url: str, path: Path, pause: Callable[[], None]) -> None:
    """Fetch a safetensors file, whole or not at all. Raises what that may raise."""
    # Not on standard output, where there may be a JSON document.
    sys.stderr.write(f"Downloading {url} to {path}\n")

    def write(temporary: Path) -> None:
        n = 0
        opener = build_opener(_SameScheme)
        with opener.open(url, timeout=_SILENT_S) as response, temporary.open("wb") as file:
            while part := response.read(2**20):
                n += len(part)
                if n > _MOST_BYTES:
                    raise OSError(f"more than {_MOST_BYTES // 10**6} MB")
                file.write(part)
                pause()
        with open_weights(temporary):  # refused where the connection broke off
            pass

    try:
        write_file(path, write)
    except HTTPError as error:
        error.close()  # it holds the connection
        raise
