"""Detector: its layer and its distance by hand, its features against torch's pooling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis

from cxrdiag.model.detector import Detector, detector_features
from cxrdiag.model.resnet import ResNet
from cxrdiag.model.weights import detector_shapes


def test_a_score_is_a_weighted_sum_and_a_bias() -> None:
    zero = torch.zeros(())
    detector = Detector(
        torch.tensor([1.0, -2.0]), torch.tensor(0.5), torch.zeros(1), torch.zeros(1, 1), zero + 1
    )
    scores = detector.film_scores(torch.tensor([[3.0, 1.0], [0.0, 1.0]]))
    assert scores.tolist() == [1.5, -1.5]


def test_the_distance_is_mahalanobis_under_noise_and_a_few_directions() -> None:
    rng = np.random.default_rng(0)
    axes, noise = np.linalg.qr(rng.normal(size=(5, 2)))[0].T, 0.3
    variances = np.array([4.0, 0.9])
    covariance = noise * np.eye(5) + (axes.T * (variances - noise)) @ axes
    mean, x = rng.normal(size=5), rng.normal(size=(7, 5))
    less = np.sqrt(1 / noise - 1 / variances)
    detector = Detector(
        torch.zeros(1),
        torch.zeros(()),
        torch.tensor(mean),
        torch.tensor(axes * less[:, None]),
        torch.tensor(noise),
    )
    expected = [mahalanobis(row, mean, np.linalg.inv(covariance)) ** 2 for row in x]
    assert detector.distances(torch.tensor(x)).numpy() == pytest.approx(np.array(expected))


@pytest.mark.parametrize("side", [32, 64, 128, 100])
def test_features_are_means_of_parts_of_the_picture(side: int) -> None:
    torch.manual_seed(0)
    network = ResNet("resnet18", width=16).eval()
    x = torch.rand(3, 1, side, side)
    with torch.inference_mode():
        grids, pooled = detector_features(network.stages(x))
        maps = list(network.stages(x))
    assert grids.shape == (3, 16 * (32 + 64))
    torch.testing.assert_close(pooled, maps[3].mean(dim=(2, 3)))
    if side % 64 == 0:  # the parts are whole cells then
        second = grids[:, : 16 * 32].reshape(3, 32, 4, 4)
        cells = maps[1].shape[-1] // 4
        torch.testing.assert_close(
            second[1, 5, 2, 3], maps[1][1, 5, 2 * cells : 3 * cells, 3 * cells :].mean()
        )


def test_the_last_stage_is_what_features_gives() -> None:
    network = ResNet("resnet50", width=8).eval()
    x = torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        *_, last = network.stages(x)
        torch.testing.assert_close(last, network.features(x))
        grids, pooled = detector_features(network.stages(x))
    detector = Detector(
        torch.zeros(grids.shape[1]),
        torch.zeros(()),
        torch.zeros(pooled.shape[1]),
        torch.zeros(3, pooled.shape[1]),
        torch.ones(()),
    )
    shapes = {name: tuple(tensor.shape) for name, tensor in vars(detector).items()}
    assert shapes == detector_shapes("resnet50", 8, directions=3)
