"""Recipes: frozen dataclasses <-> YAML; an unknown key or a wrong type is an error."""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml

from cxrdiag.data.augment import AugmentConfig
from cxrdiag.errors import UsageError

RECIPES = ("default", "best", "finetune", "original", "smoke")

_RANGES: dict[str, tuple[float, float]] = {
    "data.resolution": (32, 1024),
    "data.early": (0, 0.95),
    "data.early_resolution": (32, 1024),
    "augment.crop": (0.05, 4),
    "augment.normal_cut": (0, 0.9),
    "augment.aspect": (0, 1),
    "augment.shift": (0, 1),
    "augment.rotation": (0, 180),
    "augment.flip": (0, 1),
    "augment.gamma": (0, 3),
    "augment.contrast": (0, 1),
    "augment.brightness": (0, 1),
    "augment.tones": (0, 1),
    "augment.illumination": (0, 1),
    "augment.sharpness": (0, 1),
    "augment.noise": (0, 1),
    "augment.frame": (0, 1),
    "augment.letters": (0, 1),
    "augment.erase": (0, 1),
    # Below 8 a strided 1 x 1 convolution of torch 2.15 writes beyond its memory, channels last.
    "model.width": (8, 1024),
    "training.epochs": (1, 10_000),
    # Batch norm needs two images a batch; an odd number of images in twos leaves one alone.
    "training.batch_size": (3, 65_536),
    "training.lr": (0, 1000),
    "training.weight_decay": (0, 1000),
    "training.warmup": (0, 1),
    "training.label_smoothing": (0, 1),
    "training.consistency": (0, 1000),
    "training.clip_norm": (0, 1e9),
    "training.ema_decay": (0, 1),
    "training.patience": (0, 100_000),
    "training.seed": (0, 2**32 - 1),
}
"""Smallest and largest value of every number in a recipe, both allowed."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What the network sees."""

    resolution: int = 112
    """Side in pixels of the network's input."""
    early: float = 0.0
    """Share of the epochs, the first ones, that are trained at `early_resolution`: a network that
    saw small images first learns the rest from large ones in few epochs (Touvron et al. 2019, arXiv
    1906.06423). Validation is at `resolution` throughout."""
    early_resolution: int = 64
    """At most `resolution`. Half the side is a quarter of the work."""

    def side(self, epoch: int, epochs: int) -> int:
        """Side in pixels of what is trained on in an epoch, from 1, of so many."""
        return self.early_resolution if epoch <= round(self.early * epochs) else self.resolution


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Which network."""

    arch: Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"] = "resnet18"
    """Table 1 of He et al. 2015."""
    width: int = 64
    """Channels of the first stage, 64 there; the cost of a step grows with its square."""
    mirror: bool = False
    """Answer with the mean logit of a film and of its mirror image, which takes twice as long."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How it is trained."""

    epochs: int = 15
    """Passes over the training images."""
    batch_size: int = 32
    """Images a step, at most."""
    optimizer: Literal["muon", "adamw", "adam", "sgd"] = "adamw"
    """SGD with Nesterov momentum 0.9; Muon as in `cxrdiag.training.muon`."""
    lr: float = 2e-3
    """Highest learning rate."""
    weight_decay: float = 0.05
    """Decoupled for muon and adamw, else added to the gradient; norms and biases are spared."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """After the warm-up: down to zero along a half cosine, or level."""
    warmup: float = 0.1
    """Fraction of all steps over which the rate rises linearly from zero."""
    label_smoothing: float = 0.0
    """Targets become s/2 and 1 - s/2."""
    consistency: float = 0.0
    """Above 0, a batch has each image twice, augmented in two ways, and this times the squared
    difference of their logits is added to the loss. An epoch takes twice as long."""
    balance: bool = True
    """Weight the loss so that both classes count the same."""
    clip_norm: float = 0.0
    """Largest norm of the gradient; 0: not clipped."""
    ema_decay: float = 0.0
    """Exponential moving average of the weights, validated and kept instead of them; 0: none."""
    patience: int = 0
    """Stop after so many epochs without a higher AUROC on shifted validation; 0: never."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Of training and of the scores after each epoch; auto: bf16 where the hardware computes it."""
    init: Literal["random", "shipped", "imagenet"] = "random"
    """The first weights: He et al. 2015, the model in the package, or torchvision's of ImageNet."""
    seed: int = 0
    """Of the first weights, the order of the images and their augmentation."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole recipe; a run's `config.yaml` is one, all of it resolved."""

    name: str = "custom"
    """Under which its runs and models are filed."""
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)


def load_recipe(name_or_file: str, overrides: Sequence[str] = ()) -> Recipe:
    """A shipped recipe by name, or a YAML file, with `section.key=value` overrides applied.

    Raises UsageError for an unknown name, section, key, or a value of the wrong type or range.
    """
    document = _parse_yaml(_read(name_or_file), name_or_file) or {}
    if not isinstance(document, dict):
        raise UsageError("a recipe is sections of keys", path=name_or_file, code="bad_recipe")
    for override in overrides:
        path, separator, value = override.partition("=")
        section, dot, key = path.strip().partition(".")
        if not (separator and dot):
            raise UsageError(
                f"{override!r} is not section.key=value",
                hint="for example --set training.lr=0.001",
                code="bad_override",
            )
        values = document.setdefault(section, {})
        if not isinstance(values, dict):
            raise UsageError(f"{section!r} is not a section of keys", code="bad_override")
        values[key] = _parse_yaml(value, override)
    recipe = _build(Recipe, document, "")
    assert isinstance(recipe, Recipe)
    if recipe.data.early and recipe.data.early_resolution > recipe.data.resolution:
        raise UsageError(
            f"data.early_resolution is {recipe.data.early_resolution}, more than data.resolution, "
            f"{recipe.data.resolution}",
            code="bad_value",
        )
    return recipe


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as YAML, every key written out; `load_recipe` of it gives the same recipe."""
    plain = dataclasses.asdict(recipe)
    crop = plain["augment"]["crop"]
    plain["augment"]["crop"] = list(crop)  # YAML has no tuples
    return yaml.safe_dump(plain, sort_keys=False)


def _read(name_or_file: str) -> str:
    if name_or_file in RECIPES:
        file = resources.files("cxrdiag.training") / "recipes" / f"{name_or_file}.yaml"
        return file.read_text(encoding="utf-8")
    try:
        return Path(name_or_file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"no recipe {name_or_file!r}",
            hint=f"one of {', '.join(RECIPES)}, or a YAML file",
            code="unknown_recipe",
        ) from error


def _parse_yaml(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: month 13 of a date
        raise UsageError("not YAML", path=where, code="bad_recipe") from error


def _build(kind: type[Any], values: dict[str, Any], path: str) -> Any:
    hints = typing.get_type_hints(kind)
    made = {}
    for key, value in values.items():
        where = f"{path}{key}"
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, n=1, cutoff=0)
            raise UsageError(
                f"unknown recipe key {where!r}",
                hint=f"did you mean {path}{near[0]}?",
                code="unknown_key",
            )
        if dataclasses.is_dataclass(hints[key]):
            if not isinstance(value, dict):
                raise UsageError(f"{where} is a section of keys", code="bad_recipe")
            made[key] = _build(hints[key], value, f"{where}.")
        else:
            made[key] = _convert(hints[key], value, where)
            _check_range(made[key], where)
    return kind(**made)


def _convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the field's type says, or UsageError."""
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal and value in options:
        return value
    if origin is tuple and isinstance(value, list) and len(value) == len(options):
        return tuple(_convert(t, v, where) for t, v in zip(options, value, strict=True))
    if hint is bool and isinstance(value, bool):
        return value
    if hint is str and isinstance(value, str):
        return value
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint is float and not isinstance(value, bool):
        try:
            return float(value)  # YAML 1.1 reads 1e-3 as text
        except (TypeError, ValueError, OverflowError):
            pass
    expected = " or ".join(map(repr, options)) if origin is Literal else _name(hint)
    raise UsageError(f"{where} is {value!r}, expected {expected}", code="bad_value")


def _check_range(value: Any, where: str) -> None:
    # It names folders; and those of runs are all on one level.
    if where == "name" and not re.fullmatch(r"\w[\w.-]*", value):
        raise UsageError(f"name is {value!r}, not letters, digits, '.', '_', '-'", code="bad_value")
    if where in _RANGES:
        low, high = _RANGES[where]
        if not all(low <= v <= high for v in (value if isinstance(value, tuple) else (value,))):
            shown = list(value) if isinstance(value, tuple) else value
            raise UsageError(f"{where} is {shown}, not in {low:g} to {high:g}", code="bad_value")


def _name(hint: Any) -> str:
    if isinstance(hint, types.GenericAlias):
        return "a pair of numbers, such as [0.8, 1.0]"
    return {str: "text", int: "a whole number", float: "a number", bool: "true or false"}[hint]
