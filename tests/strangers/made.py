"""A small sound model, and a small training that was stopped: what mutations start from."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from cxrdiag.model.checkpoint import halved, save_model
from cxrdiag.model.detector import Detector
from cxrdiag.model.device import to_device
from cxrdiag.model.info import DEFAULT_POINT, UNCERTAIN, ModelInfo, OperatingPoint
from cxrdiag.model.resnet import ResNet
from cxrdiag.training.gradients import Gradients
from cxrdiag.training.history import Epoch, write_history
from cxrdiag.training.optimisation import build_optimizer
from cxrdiag.training.recipe import load_recipe
from cxrdiag.training.state import Progress, State

CPU = torch.device("cpu")
WIDTH = 16
RECIPE = load_recipe("smoke", ["model.width=8", "training.epochs=9"])
IDENTITY = {"recipe": dataclasses.asdict(RECIPE), "data": "ab" * 32, "image_size": 64}


def write_model(folder: Path) -> None:
    """A ResNet-18 of width 16 and its detector, of random weights."""
    torch.manual_seed(3)
    network = to_device(ResNet("resnet18", width=WIDTH), CPU)
    network(torch.randn(4, 1, 64, 64))  # statistics that are not those of a fresh network
    detector = Detector(  # of (32 + 64) channels in 4 x 4 parts, 128 channels at the end
        weight_F=torch.randn(1536) / 100,
        bias=torch.tensor(0.5),
        mean_G=torch.rand(128),
        directions_KG=torch.randn(2, 128),
        noise=torch.tensor(0.7),
    )
    point = OperatingPoint(
        threshold=0.4375,
        sensitivity=0.98,
        sensitivity_ci95=(0.85, 0.99),
        specificity=0.9,
        specificity_ci95=(0.85, 0.95),
    )
    info = ModelInfo(
        arch="resnet18",
        width=WIDTH,
        image_size=64,
        resolution=64,
        mean=0.5,
        std=0.25,
        threshold=0.4375,
        operating_points=dict.fromkeys((DEFAULT_POINT, *UNCERTAIN), point),
        temperature=1.25,
        recipe="smoke",
        epoch=7,
        data_fingerprint="ab" * 32,
        cxrdiag_version="1.2.3",
    )
    save_model(folder, halved(network.state_dict()), detector, info)


def edit_info(folder: Path, **changes: Any) -> None:
    """Set fields of model.json."""
    document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    (folder / "model.json").write_text(json.dumps({**document, **changes}), encoding="utf-8")


def write_weights(folder: Path, data: bytes) -> None:
    """Write weights that model.json vouches for."""
    (folder / "model.safetensors").write_bytes(data)
    edit_info(folder, weights_sha256=hashlib.sha256(data).hexdigest())


def write_training(folder: Path) -> None:
    """The state of a training of width 8, in its third epoch."""
    state = _fresh()
    for _ in range(2):
        _step(state)
        number = len(state.history) + 1
        metrics = dict.fromkeys((field.name for field in dataclasses.fields(Epoch)), 0.5)
        state.history.append(Epoch(**{**metrics, "epoch": number}))  # type: ignore[arg-type]
        state.keep_if_best(state.network.state_dict())
    state.progress = Progress(steps=3, images=96, loss=60.5, hits=51, seconds=1.5)
    state.generator.manual_seed(7)
    state.save(folder, IDENTITY)


def resume(folder: Path) -> None:
    """Restore a training and go on with it for a step, as `cxrdiag train --resume` does."""
    state = _fresh()
    state.restore(folder, IDENTITY)
    write_history(folder / "history.csv", state.history)
    torch.randperm(16, generator=state.generator)
    _step(state)
    state.progress.steps += 1
    state.progress.loss += 0.5 * 32
    state.progress.images += 32
    state.progress.hits += 16
    row = Epoch(
        epoch=len(state.history) + 1,
        train_loss=state.progress.mean_loss,
        train_accuracy=state.progress.hits / state.progress.images,
        val_loss=0.5,
        val_accuracy=0.5,
        val_auroc=0.5,
        shifted_auroc=0.25,
        lr=0.1,
        images_per_s=1.0,
        seconds=1.0,
    )
    state.history.append(row)
    state.keep_if_best(state.network.state_dict())
    state.network.load_state_dict(halved(state.best))
    dataclasses.replace(_INFO, epoch=state.best_epoch)
    state.save(folder, IDENTITY)


def _fresh() -> State:
    torch.manual_seed(0)
    network = to_device(ResNet(RECIPE.model.arch, width=RECIPE.model.width), CPU)
    optimizer = build_optimizer(network, RECIPE.training)
    return State(network, copy.deepcopy(network), optimizer, Gradients(print), 0.5, 0.25)


def _step(state: State) -> None:
    """One step of the optimizer."""
    for parameter in state.network.parameters():
        parameter.grad = torch.full_like(parameter, 0.01)
    state.optimizer.step()


_INFO = ModelInfo(
    arch="resnet18", width=8, image_size=64, resolution=64, mean=0.5, std=0.25, threshold=0.5
)
