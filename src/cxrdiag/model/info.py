"""model.json: what rebuilds a classifier from its weights, and where it came from."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxrdiag.errors import ModelError, UsageError
from cxrdiag.files import DAMAGED
from cxrdiag.runs import INFO, way_to_a_model

VERSION = 3
"""1 had neither operating points nor a detector, 2 no intervals."""
METADATA = "cxrdiag"
"""Under which key of its metadata an ONNX graph says what model.json says, as JSON."""
ARCHITECTURES: dict[str, tuple[bool, tuple[int, int, int, int]]] = {
    "resnet18": (False, (2, 2, 2, 2)),
    "resnet34": (False, (3, 4, 6, 3)),
    "resnet50": (True, (3, 4, 6, 3)),
    "resnet101": (True, (3, 4, 23, 3)),
    "resnet152": (True, (3, 8, 36, 3)),
}
"""Whether its blocks are bottlenecks, and their number in each of the four stages (He et al. 2015,
arXiv 1512.03385, table 1)."""
_FAR = 1e4
"""No sound mean, deviation of pixels or temperature is as far from 1."""
_LONGEST = 2**20
"""Bytes; a model.json takes 2 KB."""
_LINE = 300
_LARGEST_MAPS = 64 * 1024**2
"""Width times pixels of the input. Its feature maps take 0.5 GB a film, with a heatmap 1 GB."""
NOTICE = "For research and education. Not a medical device, not for diagnosis."
DEFAULT_POINT = "balanced"
UNCERTAIN = ("sensitivity=0.98", "specificity=0.98")
"""The operating points between which an answer is called uncertain."""


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """A threshold, and how it did on the shifted copies of the validation films that chose it."""

    threshold: float
    """Probability from which an image is called Pneumonia."""
    sensitivity: float
    sensitivity_ci95: tuple[float, float]
    """Its 95 % interval."""
    specificity: float
    specificity_ci95: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """`model.json`: what rebuilds a classifier from its weights, and where it came from."""

    arch: str
    """One of ARCHITECTURES."""
    width: int
    """Channels of its first stage."""
    image_size: int
    """Side in pixels of the decoded square (`image.decode`)."""
    resolution: int
    """Side in pixels of the network's input."""
    mean: float
    """Subtracted from pixels in 0 to 1."""
    std: float
    """Divides them then."""
    threshold: float
    """That of DEFAULT_POINT."""
    operating_points: dict[str, OperatingPoint] = field(default_factory=dict)
    """All of `evaluation.threshold`, by name; none while it is trained."""
    mirror: bool = False
    """Whether the answer is the mean logit of a film and of its mirror image."""
    temperature: float = 1.0
    """Divides logits before the sigmoid; fitted on shifted validation."""
    prevalence: float = 0.5
    """Share of pneumonia among films for which the probability holds."""
    recipe: str = ""
    seed: int = 0
    epoch: int = 0
    """The epoch whose weights these are, from 1; the one of highest AUROC on shifted validation."""
    data_fingerprint: str = ""
    """Of the store it was trained on."""
    cxrdiag_version: str = ""
    notice: str = NOTICE

    def at_once(self, most: int, largest: int) -> int:
        """How many pictures to answer at once: `most`, or 1 or more of `largest` in all.

        `largest` is in width times pixels, to which the memory of feature maps goes.
        """
        return max(1, min(most, largest // (self.width * self.resolution**2)))

    def point(self, name: str) -> OperatingPoint:
        """The operating point of that name. Raises UsageError where the model has none such."""
        if name not in self.operating_points:
            raise UsageError(
                f"the model has no operating point {name!r}",
                hint=f"one of {', '.join(self.operating_points)}",
                code="unknown_operating_point",
            )
        return self.operating_points[name]

    def called_at(self, name: str) -> ModelInfo:
        """The same with the threshold of that operating point. Raises as `point` does."""
        return dataclasses.replace(self, threshold=self.point(name).threshold)

    def uncertain_range(self) -> tuple[float, float]:
        """From which probability, and below which, an answer is uncertain.

        It holds the threshold, and lies between the operating points UNCERTAIN: of the validation
        films that chose them 2 % of the pneumonias lie below the one and 2 % of the normal films
        above the other. Where the classes are told apart better than that the points change places,
        and few films of either lie between.
        """
        ends = [self.threshold, *(self.operating_points[name].threshold for name in UNCERTAIN)]
        return min(ends), max(ends)

    def is_uncertain(self, probability: float) -> bool:
        """Whether it lies in `uncertain_range`."""
        low, high = self.uncertain_range()
        return low <= probability < high


def read_info(path: Path) -> tuple[ModelInfo, str]:
    """What a model.json says, and the SHA-256 of the weights it describes. Raises ModelError."""
    if not path.is_file():
        raise ModelError(
            f"no model is there, {INFO} is missing",
            path=path.parent,
            hint=way_to_a_model(path.parent),
            code="no_model",
        )
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST + 1)
        if len(text) > _LONGEST:
            raise ValueError(f"more than {_LONGEST} bytes")
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
        document["operating_points"] = {key: _read_point(point) for key, point in points}
        info = ModelInfo(**{name: document[name] for name in names})
        _check(info)
        return info, str(document["weights_sha256"])
    except (OSError, *DAMAGED) as error:
        raise ModelError(
            f"damaged: {in_one_line(repr(error))}", path=path, code="damaged_model"
        ) from error


def _read_point(point: dict[str, Any]) -> OperatingPoint:
    # JSON has no tuples.
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in point.items()}
    return OperatingPoint(**fields)


def _check(info: ModelInfo) -> None:
    """Raise ValueError on a field of the wrong type, or a number nothing can be computed with."""
    kinds: dict[str, tuple[type, ...]] = {
        "dict[str, OperatingPoint]": (dict,),
        "str": (str,),
        "int": (int,),
        "float": (int, float),
        "bool": (bool,),
    }
    for each in dataclasses.fields(info):
        value, kind = getattr(info, each.name), str(each.type)  # text: annotations are postponed
        if isinstance(value, bool) != (kind == "bool") or not isinstance(value, kinds[kind]):
            raise ValueError(f"{each.name} is {value!r}, not {each.type}")
        if isinstance(value, str) and not value.isprintable():
            raise ValueError(f"{each.name} is {value!r}, which is no line of text")
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
        (low, high), (lowest, highest) = point.sensitivity_ci95, point.specificity_ci95
        rates = (point.threshold, point.sensitivity, low, high, point.specificity, lowest, highest)
        if not name.isprintable() or not all(
            not isinstance(rate, bool) and 0 <= rate <= 1 for rate in rates
        ):
            raise ValueError(f"the operating point {name!r} is {point}")


def in_one_line(text: object) -> str:
    """What a stranger may have had a hand in, as one short line that a terminal shows as it is."""
    line = "".join(c if c.isprintable() else " " for c in str(text))
    return line if len(line) <= _LINE else line[:_LINE] + " ..."


def is_too_large(width: int, resolution: int) -> bool:
    """Whether one film would take more memory than most machines have to spare."""
    return width * resolution**2 > _LARGEST_MAPS
