"""What a recipe may say: its sections as frozen dataclasses, and the range of each number."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cxrdiag.data.augment import AugmentConfig

RANGES: dict[str, tuple[float, float]] = {
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
    # Batch norm needs two images in a batch; in batches of two an odd one would be left alone.
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
