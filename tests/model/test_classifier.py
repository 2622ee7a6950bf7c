"""Decoded squares in; logits and maps out, the same however they are fed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from cxrdiag.data.resample import resize
from cxrdiag.data.store import Store
from cxrdiag.model.cam import unmirror
from cxrdiag.model.checkpoint import load_model
from cxrdiag.model.classifier import Classifier, normalise
from cxrdiag.model.device import to_device
from cxrdiag.model.info import ModelInfo
from cxrdiag.model.resnet import ResNet

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    torch.manual_seed(0)
    network = to_device(ResNet("resnet18"), CPU)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)  # the last of a block starts at zero
    network(torch.randn(8, 1, 64, 64))
    info = ModelInfo(
        arch="resnet18", width=64, image_size=96, resolution=64, mean=0.4, std=0.2, threshold=0.5
    )
    return Classifier(network.eval(), info, CPU)


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (5, 96, 96), dtype=np.uint8)


def test_logits_are_the_networks_of_resized_and_normalised_pixels(
    classifier: Classifier, images: NDArray[np.uint8]
) -> None:
    logits = classifier.logits(images)
    assert logits.shape == (5,)
    assert logits.dtype == np.float32
    x = torch.from_numpy(images)[:, None] / 255
    x = torch.nn.functional.interpolate(x, (64, 64), mode="bilinear", antialias=True)
    with torch.inference_mode():
        expected = classifier.network((x - 0.4) / 0.2)[:, 0].numpy()
    assert expected.std() > 1e-3
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_no_more_pictures_go_through_the_network_at_once_than_there_is_memory_for(
    small_store: Store, trained_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = load_model(trained_run, CPU)
    images = small_store.images_NSS[:7]
    expected = classifier.logits(images), classifier.detect(images), classifier.maps(images)
    seen: list[int] = []
    classifier.network.conv1.register_forward_hook(lambda _, x, y: seen.append(len(x[0])))
    monkeypatch.setattr(Classifier, "batch", 3)
    classifier.answer(images)
    assert seen == [3, 3, 1]  # and each goes through once
    found = classifier.answer(images, with_maps=True)
    assert max(seen) == 3
    assert found.maps_Bhw is not None
    np.testing.assert_allclose(found.logits_B, expected[0], atol=1e-4)
    np.testing.assert_allclose(found.detected.film_scores_B, expected[1].film_scores_B, atol=1e-4)
    np.testing.assert_allclose(found.detected.distances_B, expected[1].distances_B, atol=1e-3)
    np.testing.assert_allclose(found.maps_Bhw, expected[2], atol=1e-4)


def test_an_images_logit_does_not_depend_on_its_company_or_container(
    classifier: Classifier, images: NDArray[np.uint8], tmp_path: Path
) -> None:
    together = classifier.logits(images)
    alone = np.concatenate([classifier.logits(images[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(classifier.logits(torch.from_numpy(images)), together)
    # As in a store: mapped from the disk, read-only.
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    np.testing.assert_array_equal(classifier.logits(mapped), together)
    np.testing.assert_allclose(classifier.logits(images[::-1]), together[::-1], atol=1e-5)


def test_every_fourth_cell_of_the_maps_adds_up_to_the_logit(
    classifier: Classifier, images: NDArray[np.uint8]
) -> None:
    logits, maps = classifier.logits(images), classifier.maps(images)
    assert maps.shape == (5, 8, 8)
    bias = float(classifier.network.fc.bias.detach())
    np.testing.assert_allclose(
        maps[:, ::4, ::4].mean(axis=(1, 2)) + bias, logits, rtol=1e-4, atol=1e-5
    )


def test_resizing_is_pillows_antialiased_bilinear(images: NDArray[np.uint8]) -> None:
    x = resize(torch.from_numpy(images), 32)
    assert x.shape == (5, 1, 32, 32)
    for ours, image in zip(x[:, 0].numpy(), images, strict=True):
        theirs = Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(ours * 255, np.asarray(theirs), atol=1.01)  # Pillow rounds


def test_pixels_of_the_right_size_are_only_scaled(images: NDArray[np.uint8]) -> None:
    before = images.copy()
    x = resize(torch.from_numpy(images), 96)
    np.testing.assert_allclose(x[:, 0].numpy(), images / np.float32(255), rtol=1e-6)
    np.testing.assert_array_equal(images, before)


def test_normalising_by_hand() -> None:
    x = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 3)
    torch.testing.assert_close(normalise(x, 0.5, 0.25).flatten(), torch.tensor([-2.0, 0.0, 2.0]))


def test_with_its_mirror_image_a_film_and_its_mirror_image_get_one_answer(
    classifier: Classifier, images: NDArray[np.uint8]
) -> None:
    both = dataclasses.replace(classifier, info=dataclasses.replace(classifier.info, mirror=True))
    mirrored = np.ascontiguousarray(images[..., ::-1])
    apart = classifier.logits(images), classifier.logits(mirrored)
    assert np.abs(apart[0] - apart[1]).min() > 1e-4
    expected = (apart[0] + apart[1]) / 2
    np.testing.assert_allclose(both.logits(images), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(both.logits(mirrored), expected, rtol=1e-4, atol=1e-5)
    maps = torch.from_numpy(classifier.maps(mirrored))
    expected = (classifier.maps(images) + unmirror(maps, 64).numpy()) / 2
    np.testing.assert_allclose(both.maps(images), expected, rtol=1e-3, atol=1e-4)
