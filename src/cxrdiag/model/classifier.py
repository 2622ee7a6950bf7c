"""A network with all it takes to use it: decoded squares in, logits and activation maps out.

Shapes: B batch, S side of a decoded square, R side of the network's input, h and w map cells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cxrdiag.data.batches import Split
from cxrdiag.data.resample import resize
from cxrdiag.model.answers import Answers, Detected
from cxrdiag.model.cam import class_activation_map, densify, unmirror
from cxrdiag.model.detector import Detector, detector_features
from cxrdiag.model.info import ModelInfo
from cxrdiag.model.resnet import ResNet

_AT_ONCE, _MOST, _MOST_CPU = 128, 2**27, 2**25
"""Pictures, and width of the network times pixels."""


@dataclass(frozen=True)
class Classifier:
    """A network in evaluation mode on its device, its ModelInfo, and what tells films from else."""

    network: ResNet
    info: ModelInfo
    device: torch.device
    detector: Detector | None = None
    """None while it is trained."""

    @property
    def batch(self) -> int:
        """Pictures that are answered at once: on a CPU more take memory and are no faster."""
        return self.info.at_once(_AT_ONCE, _MOST_CPU if self.device.type == "cpu" else _MOST)

    def at(self, operating_point: str) -> Classifier:
        """The same, to call films at another threshold of its own.

        Raises UsageError where it has no operating point of that name.
        """
        return replace(self, info=self.info.called_at(operating_point))

    def answer(self, images_BSS: NDArray[np.uint8], *, with_maps: bool = False) -> Answers:
        """All that is to be said of decoded squares, uint8 (B, S, S)."""
        maps_Bhw = self.maps(images_BSS) if with_maps else None
        return Answers(self.logits(images_BSS), self.detect(images_BSS), maps_Bhw)

    def logits(self, images_BSS: NDArray[np.uint8] | Tensor) -> NDArray[np.float32]:
        """Logits (B,) of decoded squares, uint8 (B, S, S); positive speaks for pneumonia."""
        x_B1RR = normalise(self._pixels(images_BSS), self.info.mean, self.info.std)
        with torch.inference_mode():
            logits_B = self.network(x_B1RR)[:, 0]
            if self.info.mirror:
                logits_B = (logits_B + self.network(x_B1RR.flip(-1))[:, 0]) / 2
        return np.asarray(logits_B.float().cpu(), dtype=np.float32)

    def detector_features(self, images_BSS: NDArray[np.uint8] | Tensor) -> tuple[Tensor, Tensor]:
        """What the detector goes by, of decoded squares as `logits` takes them."""
        x_B1RR = normalise(self._pixels(images_BSS), self.info.mean, self.info.std)
        with torch.inference_mode():
            return detector_features(self.network, x_B1RR)

    def detect(self, images_BSS: NDArray[np.uint8] | Tensor) -> Detected:
        """Whether decoded squares are films, and films like those of training."""
        assert self.detector is not None
        grids_BF, pooled_BG = self.detector_features(images_BSS)
        return Detected(
            np.asarray(self.detector.film_scores(grids_BF).cpu()),
            np.asarray(self.detector.distances(pooled_BG).cpu()),
        )

    def split_logits(self, split: Split) -> NDArray[np.float32]:
        """Logits (N,) of every image of a split, in the store's order."""
        return np.concatenate([self.logits(images) for images, _ in split.in_order(self.batch)])

    def split_detect(self, split: Split) -> Detected:
        """Of every image of a split, in the store's order."""
        found = [self.detect(images) for images, _ in split.in_order(self.batch)]
        return Detected(
            np.concatenate([part.film_scores_B for part in found]),
            np.concatenate([part.distances_B for part in found]),
        )

    def maps(self, images_BSS: NDArray[np.uint8] | Tensor) -> NDArray[np.float32]:
        """Dense class activation maps (B, h, w) in logits, a cell every 8 pixels of the input.

        The network's logit is the mean, plus a bias, of every fourth cell along each side from the
        first. Where the mirror image answers too, a map is the mean of the film's and of its mirror
        image's, turned back.
        """
        x_B1RR = normalise(self._pixels(images_BSS), self.info.mean, self.info.std)
        dense = densify(self.network)

        def read(x: Tensor) -> Tensor:
            # Dense features of a few images are large.
            return torch.cat([class_activation_map(dense, dense.features(p)) for p in x.split(8)])

        with torch.inference_mode():
            maps_Bhw = read(x_B1RR)
            if self.info.mirror:
                maps_Bhw = (maps_Bhw + unmirror(read(x_B1RR.flip(-1)), x_B1RR.shape[-1])) / 2
        return np.asarray(maps_Bhw.cpu())

    def _pixels(self, images_BSS: NDArray[np.uint8] | Tensor) -> Tensor:
        if isinstance(images_BSS, np.ndarray):
            # A store's images are read-only, which torch warns about though nothing is written.
            images_BSS = torch.from_numpy(np.require(images_BSS, requirements=["C", "W"]))
        return resize(images_BSS.to(self.device), self.info.resolution)


def normalise(x_B1RR: Tensor, mean: float, std: float) -> Tensor:
    """Pixels in 0 to 1 to what the network takes: about zero mean and unit deviation."""
    return (x_B1RR - mean) / std
