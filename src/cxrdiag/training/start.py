"""Where a training starts from, other than at random: the shipped model, or ImageNet."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from http.client import HTTPException
from pickle import UnpicklingError

import torch
from torch import Tensor
from torch.hub import get_dir, load_state_dict_from_url
from torchvision.models import get_model_weights

from cxrdiag import runs
from cxrdiag.errors import ModelError, UsageError
from cxrdiag.model.checkpoint import load_model
from cxrdiag.training.config import ModelConfig, Recipe

_IMAGENET_WIDTH = 64
_IMAGENET_MEAN, _IMAGENET_STD = 0.449, 0.226
"""Means over the three channels of what torchvision normalises by."""


@dataclass(frozen=True)
class Start:
    """Weights, perhaps not all of a network's, and the normalisation they were trained with."""

    weights: dict[str, Tensor]
    mean: float
    std: float


def load_start(recipe: Recipe) -> Start | None:
    """What the recipe's `training.init` asks for; None for random weights."""
    if recipe.training.init == "shipped":
        return _shipped(recipe.model)
    if recipe.training.init == "imagenet":
        return _imagenet(recipe.model)
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


def _imagenet(model: ModelConfig) -> Start:
    """ImageNet weights from torchvision, the first convolution summed to one channel.

    The summed kernel answers a gray image as the three answer three equal channels. The last layer
    is left out. Downloaded once into torch's cache (`TORCH_HOME`). Raises ModelError where they
    cannot be had, UsageError where there are none of that width.
    """
    if model.width != _IMAGENET_WIDTH:
        raise UsageError(
            f"ImageNet weights are of width {_IMAGENET_WIDTH}, the recipe wants {model.width}",
            hint=f"--set model.width={_IMAGENET_WIDTH}",
            code="other_network",
        )
    url = get_model_weights(model.arch).DEFAULT.url
    try:
        # It says on standard output what it downloads, where there may be a JSON document.
        with contextlib.redirect_stdout(sys.stderr):
            # The one file in pickle's format that is ever read; weights_only runs nothing in it.
            weights = load_state_dict_from_url(url, check_hash=True, weights_only=True)
    except (OSError, HTTPException, RuntimeError, EOFError, UnpicklingError) as error:
        raise ModelError(
            f"ImageNet weights cannot be fetched or read: {error}",
            path=url,
            hint=f"remove or put that file in {get_dir()}/checkpoints, or start without --init",
            code="no_imagenet_weights",
        ) from error
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("fc.")}
    kept["conv1.weight"] = kept["conv1.weight"].sum(dim=1, keepdim=True)
    return Start(kept, _IMAGENET_MEAN, _IMAGENET_STD)
