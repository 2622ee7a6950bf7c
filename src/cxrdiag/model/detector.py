"""Is it an upright frontal chest X-ray at all, and is it like those that a network was trained on?

A classifier has a probability of pneumonia for a photograph too. What its middle stages see in each
part of a picture tells a film from other things, and one that lies or stands on its head; what its
last stage sees tells a film of a child from one of an adult, if not always.

Shapes: B batch, h and w cells of a feature map, F and G features, K directions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from cxrdiag.data.resample import mean_parts
from cxrdiag.model.weights import GRID


@dataclass(frozen=True)
class Detector:
    """A linear layer on what the middle stages see, and a normal distribution of the last one's."""

    weight_F: Tensor
    bias: Tensor
    """A single number, as `noise`."""
    mean_G: Tensor
    directions_KG: Tensor
    noise: Tensor

    def film_scores(self, grids_BF: Tensor) -> Tensor:
        """Scores (B,): from 0 on it looks like an upright frontal chest X-ray."""
        return grids_BF @ self.weight_F + self.bias

    def distances(self, pooled_BG: Tensor) -> Tensor:
        """Distances (B,): beyond 1 it is unlike nearly all films of training.

        Squared Mahalanobis distances (Lee et al. 2018, arXiv 1807.03888) in units of the farthest.
        Their covariance is that of probabilistic PCA (Tipping and Bishop 1999): `noise` everywhere,
        and more in K directions, which are scaled to take off what is too much there.
        """
        centred_BG = pooled_BG - self.mean_G
        within_BK = centred_BG @ self.directions_KG.T
        return centred_BG.square().sum(dim=1) / self.noise - within_BK.square().sum(dim=1)

    def to(self, device: torch.device) -> Detector:
        """The same on another device."""
        return Detector(**{name: tensor.to(device) for name, tensor in vars(self).items()})


def detector_features(stages: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Of the feature maps of a network's four stages, (B, channels, h, w).

    Means of the second and third in 4 x 4 parts (B, F), and of the last (B, G).
    """
    _, second, third, last = stages
    grids = [mean_parts(maps.float(), GRID).flatten(1) for maps in (second, third)]
    return torch.cat(grids, dim=1), last.float().mean(dim=(2, 3))
