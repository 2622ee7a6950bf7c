"""A model folder and image files -> Diagnoses. A bad file is reported, the others go on."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cxrdiag.data.image import find_images, read_image
from cxrdiag.data.kaggle import NORMAL, PNEUMONIA
from cxrdiag.errors import DataError
from cxrdiag.inference.heatmap import write_heatmap
from cxrdiag.model.checkpoint import load_model
from cxrdiag.model.classifier import Classifier
from cxrdiag.model.probability import probability

_BATCH = 32


@dataclass(frozen=True)
class Diagnosis:
    """What the model says of one X-ray."""

    file: str
    label: str | None
    """`Normal` or `Pneumonia`; None when abstained."""
    probability: float | None
    """Of pneumonia, 0 to 1; None when abstained."""
    threshold: float
    """From which probability the label is Pneumonia."""
    abstained: bool = False
    reason: str | None = None
    """Why it abstained."""
    heatmap: str | None = None
    """The picture of the activation map, where one was asked for."""


@dataclass(frozen=True)
class Failure:
    """One file that could not be read."""

    file: str
    code: str
    message: str


class Predictor:
    """A loaded model, ready to diagnose files."""

    def __init__(self, model: Path, device: torch.device) -> None:
        """Load the model folder `model`. Raises ModelError where it cannot be used."""
        self.model = model
        self.classifier: Classifier = load_model(model, device)

    def diagnose(self, path: Path | str, heatmap: Path | None = None) -> Diagnosis:
        """Diagnose one file, and draw its activation map to the PNG `heatmap` if given.

        Raises DataError where the file cannot be read.
        """
        image_SS = read_image(Path(path), self.classifier.info.image_size)
        return self._diagnose([Path(path)], image_SS[None], [heatmap])[0]

    def diagnose_all(
        self, files: Sequence[Path | str], heatmap_dir: Path | None = None
    ) -> Iterator[Diagnosis | Failure]:
        """Diagnose files in order, decoding on all cores; a bad one gives a Failure."""
        paths = [Path(file) for file in files]
        heatmaps = _heatmap_paths(paths, heatmap_dir)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(paths), _BATCH):
                chunk = slice(start, start + _BATCH)
                yield from self._diagnose_chunk(pool, paths[chunk], heatmaps[chunk])

    def _diagnose_chunk(
        self, pool: ThreadPoolExecutor, paths: Sequence[Path], heatmaps: Sequence[Path | None]
    ) -> Iterator[Diagnosis | Failure]:
        images = list(pool.map(self._read, paths))
        good = {i: image for i, image in enumerate(images) if not isinstance(image, Failure)}
        diagnoses: list[Diagnosis] = []
        if good:
            chosen = [paths[i] for i in good], np.stack(list(good.values()))
            diagnoses = self._diagnose(*chosen, [heatmaps[i] for i in good])
        results = dict(zip(good, diagnoses, strict=True))
        return (i if isinstance(i, Failure) else results[n] for n, i in enumerate(images))

    def _read(self, path: Path) -> NDArray[np.uint8] | Failure:
        try:
            if path.is_dir():
                find_images(path)  # there are none, or it cannot be listed
                return Failure(str(path), "no_images", "no JPEG or PNG image in this folder")
            return read_image(path, self.classifier.info.image_size)
        except DataError as error:
            message = "; ".join(filter(None, (error.message, error.hint)))
            return Failure(str(path), error.code, message)

    def _diagnose(
        self, paths: Sequence[Path], images_BSS: NDArray[np.uint8], heatmaps: Sequence[Path | None]
    ) -> list[Diagnosis]:
        info = self.classifier.info
        probabilities_B = probability(self.classifier.logits(images_BSS), info.temperature)
        maps = self.classifier.maps(images_BSS) if any(heatmaps) else [None] * len(paths)
        diagnoses = []
        for path, p, map_hw, heatmap in zip(paths, probabilities_B, maps, heatmaps, strict=True):
            label = PNEUMONIA if p >= info.threshold else NORMAL
            if heatmap is not None and map_hw is not None:
                caption = f"{label}: probability {p:.2f}, threshold {info.threshold:.2f}"
                write_heatmap(heatmap, path, map_hw, caption)
            drawn = str(heatmap) if heatmap is not None else None
            diagnoses.append(Diagnosis(str(path), label, float(p), info.threshold, heatmap=drawn))
        return diagnoses


def expand(files: Sequence[Path], heatmap_dir: Path | None = None) -> list[Path]:
    """Files as they are, folders as the images below them; a folder without any, as it is.

    Where `heatmap_dir` lies in one of the folders, what it holds are maps and no X-rays.
    """
    maps = None if heatmap_dir is None else heatmap_dir.resolve()
    paths: list[Path] = []
    for file in files:
        try:
            found = find_images(file) if file.is_dir() else []
        except DataError:  # said where the file is read
            found = []
        if maps is not None and file.resolve() in maps.parents:
            found = [path for path in found if maps not in path.resolve().parents]
        paths += found or [file]
    return paths


def _heatmap_paths(paths: Sequence[Path], folder: Path | None) -> list[Path | None]:
    """A PNG for each file, named after it, with a number where an input or another has the name."""
    if folder is None:
        return [None] * len(paths)
    root = folder.resolve()
    # Some file systems tell no upper case from lower.
    taken = {str(path.resolve()).casefold() for path in paths}
    used: Counter[str] = Counter()
    heatmaps: list[Path | None] = []
    for path in paths:
        name = ""
        while not name or str(root / name).casefold() in taken:
            used[path.stem] += 1
            number = f"-{used[path.stem]}" if used[path.stem] > 1 else ""
            name = f"{path.stem}{number}.png"
        taken.add(str(root / name).casefold())
        heatmaps.append(folder / name)
    return heatmaps
