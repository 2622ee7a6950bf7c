"""All that changes while training, and how it is saved and restored: after an epoch, or within."""

from __future__ import annotations

import copy
import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cxrdiag.errors import ModelError, TrainingError
from cxrdiag.files import DAMAGED
from cxrdiag.model.info import in_one_line
from cxrdiag.model.resnet import ResNet
from cxrdiag.training.gradients import Gradients
from cxrdiag.training.history import Epoch
from cxrdiag.training.muon import Muon
from cxrdiag.training.optimisation import Optimizer
from cxrdiag.training.resume import load_resume, save_resume

_STATE: dict[type, set[str]] = {
    torch.optim.Adam: {"step", "exp_avg", "exp_avg_sq"},
    torch.optim.AdamW: {"step", "exp_avg", "exp_avg_sq"},
    torch.optim.SGD: {"momentum_buffer"},
    Muon: {"momentum_buffer"},
}
"""What an optimizer keeps of each parameter."""


_MOST = 1e15
"""More than any count of a training."""


@dataclass
class Progress:
    """What is done of the epoch at hand, in sums."""

    steps: int = 0
    images: int = 0
    loss: float = 0.0
    """Over the images."""
    hits: int = 0
    seconds: float = 0.0
    """Of its steps."""

    @property
    def mean_loss(self) -> float:
        """Of an image."""
        return self.loss / self.images


@dataclass
class State:
    """A training between two steps."""

    network: ResNet
    average: ResNet | None
    """Exponential moving average of `network`'s weights, where the recipe wants one."""
    optimizer: Optimizer
    gradients: Gradients
    """In how many parts a batch goes through the network."""
    mean: float
    """Subtracted from pixels in 0 to 1: of the training films, or of the weights started from."""
    std: float
    """Divides them then."""
    best: dict[str, Tensor] = field(default_factory=dict)
    """Weights of the epoch of highest shifted AUROC so far; of equals the last."""
    best_epoch: int = 0
    history: list[Epoch] = field(default_factory=list)
    progress: Progress = field(default_factory=Progress)
    generator: torch.Generator = field(default_factory=torch.Generator)
    """Of the order and the augmentation of images; each epoch seeds it anew."""

    def keep_if_best(self, weights: dict[str, Tensor]) -> None:
        """Keep a copy of `weights` if the last epoch's shifted AUROC is the highest."""
        if self.history[-1].shifted_auroc >= max(row.shifted_auroc for row in self.history):
            self.best = copy.deepcopy(weights)
            self.best_epoch = self.history[-1].epoch

    def save(self, run: Path, identity: dict[str, Any]) -> None:
        """Write resume.safetensors; `identity` says which training it belongs to."""
        parts = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict() if self.average is not None else {},
            "best": self.best,
            "optimizer": _flatten(self.optimizer),
            "generator": {"state": self.generator.get_state()},
        }
        tensors = {f"{part}/{name}": t for part, ts in parts.items() for name, t in ts.items()}
        history = [dataclasses.asdict(row) for row in self.history]
        state = {
            "identity": identity,
            "best_epoch": self.best_epoch,
            "history": history,
            "progress": dataclasses.asdict(self.progress),
            "parts": self.gradients.parts,
            "normalisation": [self.mean, self.std],
        }
        save_resume(run, tensors, state)

    def restore(self, run: Path, identity: dict[str, Any]) -> None:
        """Read resume.safetensors.

        Raises ModelError where it is absent or damaged, TrainingError where it belongs to another
        training.
        """
        tensors, saved = load_resume(run)
        try:
            differing = _differences(saved["identity"], identity)
            if not differing:
                self._take(tensors, saved)
        except (RuntimeError, *DAMAGED) as error:
            why = in_one_line(error)
            raise ModelError(f"damaged: {why}", path=run, code="damaged_resume") from error
        if differing:
            raise TrainingError(
                f"the saved training differs in {in_one_line(', '.join(differing))}",
                path=run,
                hint="resume with the same recipe and data, or start another run",
                code="resume_mismatch",
            )

    def _take(self, tensors: dict[str, Tensor], saved: dict[str, Any]) -> None:
        parts: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            part, _, name = key.partition("/")
            parts.setdefault(part, {})[name] = tensor
        self.network.load_state_dict(parts["network"])
        if self.average is not None:
            self.average.load_state_dict(parts["average"])
        device = next(self.network.parameters()).device
        self.best = {
            name: tensor.to(device, copy=True) for name, tensor in parts.get("best", {}).items()
        }
        _unflatten(self.optimizer, parts.get("optimizer", {}))
        self.best_epoch = saved["best_epoch"]
        self.history = [Epoch(**row) for row in saved["history"]]
        self.progress = Progress(**saved["progress"])
        self.gradients.parts = saved["parts"]
        self.mean, self.std = saved["normalisation"]
        self.generator.set_state(parts["generator"]["state"])
        self._check()

    def _check(self) -> None:
        """Raise ValueError where the parts do not fit each other."""
        rows: list[Epoch | Progress] = [*self.history, self.progress]
        for row in rows:
            for item in dataclasses.fields(row):
                value, kind = getattr(row, item.name), int if str(item.type) == "int" else float
                most = _MOST if kind is int else math.inf  # a loss may be as high as it likes
                is_number = type(value) in (int, kind) and math.isfinite(value)
                if not (is_number and 0 <= value < most):
                    raise ValueError(f"{item.name} is {value!r}")
        if type(self.gradients.parts) is not int or not 1 <= self.gradients.parts < _MOST:
            raise ValueError(f"the parts of a batch are {self.gradients.parts!r}")
        # Pixels are from 0 to 1; of films that are all alike the deviation is made 1.
        if not all(type(x) is float and 0 <= x <= 1 for x in (self.mean, self.std)) or not self.std:
            raise ValueError(f"the normalisation is {self.mean!r}, {self.std!r}")
        if self.progress.images < max(self.progress.steps, self.progress.hits):
            raise ValueError("fewer images than steps or hits")
        if self.progress.steps and not self.progress.seconds:
            raise ValueError("steps that took no time")
        if [row.epoch for row in self.history] != list(range(1, len(self.history) + 1)):
            raise ValueError("its epochs are not in order")
        epochs = range(bool(self.history), len(self.history) + 1)
        if type(self.best_epoch) is not int or self.best_epoch not in epochs:
            raise ValueError(f"the best epoch is {self.best_epoch!r}")
        shapes = {name: tensor.shape for name, tensor in self.network.state_dict().items()}
        best = {name: tensor.shape for name, tensor in self.best.items()}
        if best != (shapes if self.history else {}):  # none in a first epoch
            raise ValueError("its best weights are not the network's")
        names = _STATE[type(self.optimizer)]
        for parameter in self.network.parameters():
            state = self.optimizer.state[parameter]
            # A fused step walks through them as far as through the weights.
            if set(state) != names or any(
                state[name].shape != (() if name == "step" else parameter.shape) for name in names
            ):
                raise ValueError("its optimizer's state is not the network's")


def _flatten(optimizer: Optimizer) -> dict[str, Tensor]:
    return {
        f"{number}/{name}": value
        for number, parameter in _numbered(optimizer).items()
        for name, value in optimizer.state[parameter].items()
    }


def _unflatten(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = _numbered(optimizer)
    for key, tensor in tensors.items():
        number, _, name = key.partition("/")
        if number not in parameters:
            raise ValueError("its optimizer's state is not the network's")
        parameter = parameters[number]
        # The file holds row-major arrays. A fused step walks through the memory of weights and
        # state side by side: in another order it would mix up the weights.
        is_of_weights = tensor.shape == parameter.shape
        own = torch.empty_like(parameter) if is_of_weights else parameter.new_empty(tensor.shape)
        optimizer.state[parameter][name] = own.copy_(tensor)


def _numbered(optimizer: Optimizer) -> dict[str, Tensor]:
    """Parameters by their number in the file: torch's own, through one group after the other."""
    parameters = (parameter for group in optimizer.param_groups for parameter in group["params"])
    return {str(number): parameter for number, parameter in enumerate(parameters)}


def _differences(saved: Any, now: Any, path: str = "") -> list[str]:
    if isinstance(saved, dict) and isinstance(now, dict):
        names = sorted({*saved, *now})
        inner = (
            _differences(saved.get(n), now.get(n), f"{path}.{n}" if path else n) for n in names
        )
        return [name for names_below in inner for name in names_below]
    # JSON turns tuples into lists.
    same = (list(now) if isinstance(now, tuple) else now) == saved
    return [] if same else [f"{path} ({saved!r}, now {now!r})"]
