"""A network with all it takes to use it: decoded squares in, logits and activation maps out.

Shapes: B batch, S side of a decoded square, R side of the network's input, h and w map cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cxrdiag.data.batches import Split
from cxrdiag.data.resample import resize
from cxrdiag.model.answers import Answers, Detected, joined
from cxrdiag.model.cam import class_activation_map, densify, unmirror
from cxrdiag.model.detector import Detector, detector_features
from cxrdiag.model.info import ModelInfo
from cxrdiag.model.resnet import ResNet

_AT_ONCE, _MOST, _MOST_CPU = 128, 2**27, 2**25
"""Pictures at once at most, and width of the network times their pixels, on a GPU and on a CPU."""


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

    def answer(self, images_BSS: NDArray[np.uint8] | Tensor, *, with_maps: bool = False) -> Answers:
        """All that is to be said of decoded squares, uint8 (B, S, S)."""
        answers = joined([self._answer(x_B1RR) for x_B1RR in self._inputs(images_BSS)])
        return replace(answers, maps_Bhw=self.maps(images_BSS)) if with_maps else answers

    def logits(self, images_BSS: NDArray[np.uint8] | Tensor) -> NDArray[np.float32]:
        """Logits (B,) of decoded squares, uint8 (B, S, S); positive speaks for pneumonia."""
        with torch.inference_mode():
            inputs = self._inputs(images_BSS)
            return np.concatenate([self._logits(x, self.network.features(x)) for x in inputs])

    def detector_features(self, images_BSS: NDArray[np.uint8] | Tensor) -> tuple[Tensor, Tensor]:
        """What the detector goes by, of decoded squares as `logits` takes them."""
        with torch.inference_mode():
            inputs = self._inputs(images_BSS)
            found = [detector_features(self.network.stages(x_B1RR)) for x_B1RR in inputs]
        grids, pooled = zip(*found, strict=True)
        return torch.cat(grids), torch.cat(pooled)

    def detect(self, images_BSS: NDArray[np.uint8] | Tensor) -> Detected:
        """Whether decoded squares are films, and films like those of training."""
        return self._detected(*self.detector_features(images_BSS))

    def split_logits(self, split: Split) -> NDArray[np.float32]:
        """Logits (N,) of every image of a split, in the store's order."""
        return np.concatenate([self.logits(images) for images, _ in split.in_order(self.batch)])

    def split_answers(self, split: Split) -> Answers:
        """Of every image of a split, in the store's order."""
        return joined([self.answer(images) for images, _ in split.in_order(self.batch)])

    def maps(self, images_BSS: NDArray[np.uint8] | Tensor) -> NDArray[np.float32]:
        """Dense class activation maps (B, h, w) in logits, a cell every 8 pixels of the input.

        The network's logit is the mean, plus a bias, of every fourth cell along each side from the
        first. Where the mirror image answers too, a map is the mean of the film's and of its mirror
        image's, turned back.
        """
        dense = densify(self.network)

        def read(x: Tensor) -> Tensor:
            # Dense features of a few images are large.
            return torch.cat([class_activation_map(dense, dense.features(p)) for p in x.split(8)])

        found = []
        with torch.inference_mode():
            for x_B1RR in self._inputs(images_BSS):
                maps_Bhw = read(x_B1RR)
                if self.info.mirror:
                    mirrored_Bhw = unmirror(read(x_B1RR.flip(-1)), x_B1RR.shape[-1])
                    maps_Bhw = (maps_Bhw + mirrored_Bhw) / 2
                found.append(np.asarray(maps_Bhw.cpu()))
        return np.concatenate(found)

    def _answer(self, x_B1RR: Tensor) -> Answers:
        """But for maps; the film itself goes through the network once."""
        with torch.inference_mode():
            stages = tuple(self.network.stages(x_B1RR))
            detected = self._detected(*detector_features(stages))
            return Answers(self._logits(x_B1RR, stages[-1]), detected)

    def _logits(self, x_B1RR: Tensor, features_BFhw: Tensor) -> NDArray[np.float32]:
        """Of what the network takes, and of the features that it has of that."""
        logits_B = self.network.classify(features_BFhw)[:, 0]
        if self.info.mirror:
            logits_B = (logits_B + self.network(x_B1RR.flip(-1))[:, 0]) / 2
        return np.asarray(logits_B.float().cpu(), dtype=np.float32)

    def _detected(self, grids_BF: Tensor, pooled_BG: Tensor) -> Detected:
        assert self.detector is not None
        with torch.inference_mode():
            return Detected(
                np.asarray(self.detector.film_scores(grids_BF).cpu()),
                np.asarray(self.detector.distances(pooled_BG).cpu()),
            )

    def _inputs(self, images_BSS: NDArray[np.uint8] | Tensor) -> Iterator[Tensor]:
        """What the network takes, (`batch`, 1, R, R): no more at once than there is memory for."""
        for start in range(0, max(len(images_BSS), 1), self.batch):
            part_BSS = images_BSS[start : start + self.batch]
            if isinstance(part_BSS, np.ndarray):
                # A store's images are read-only, which torch warns about though nothing is written.
                part_BSS = torch.from_numpy(np.require(part_BSS, requirements=["C", "W"]))
            pixels_B1RR = resize(part_BSS.to(self.device), self.info.resolution)
            yield normalise(pixels_B1RR, self.info.mean, self.info.std)


def normalise(x_B1RR: Tensor, mean: float, std: float) -> Tensor:
    """Pixels in 0 to 1 to what the network takes: about zero mean and unit deviation."""
    return (x_B1RR - mean) / std
