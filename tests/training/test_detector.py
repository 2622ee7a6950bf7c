"""The fitted detector: films pass, what it never saw does not, and few are called unusual."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from cxrdiag.data.batches import Split
from cxrdiag.data.store import Store
from cxrdiag.model.checkpoint import load_model
from cxrdiag.model.classifier import Classifier
from cxrdiag.training.detector import fit_detector
from cxrdiag.training.validation import Validation

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def classifier(trained_run: Path) -> Classifier:
    return load_model(trained_run, CPU)


def _text(side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A page: no kind that it is fitted to."""
    page = np.full((side, side), 255, np.uint8)
    rng = np.random.default_rng(0)
    for line in range(4, side - 4, 6):
        page[line : line + 2, 4:-4] = rng.choice([0, 255], side - 8)
    return page


def test_test_films_pass_and_a_page_does_not(classifier: Classifier, small_store: Store) -> None:
    films = np.array(small_store.images_NSS[small_store.rows("test")])
    assert (classifier.detect(films).film_scores_B >= 0).mean() >= 0.95
    page = _text(films.shape[1])
    others = np.stack([page, 255 - page, np.rot90(page), films[0][::-1], films[1][::-1]])
    assert (classifier.detect(others).film_scores_B < 0).all()


def test_its_limits_are_quantiles_of_validation(classifier: Classifier, small_store: Store) -> None:
    train, val = (Split(small_store, name, CPU) for name in ("train", "val"))
    validation = Validation(val, classifier.info.resolution)
    detector = fit_detector(classifier, train, validation)
    assert classifier.detector is not None
    for name, tensor in vars(detector).items():  # the same again, and as it was saved
        torch.testing.assert_close(tensor, getattr(classifier.detector, name))
    scores = validation.film_scores(classifier)
    assert np.quantile(scores, 0.005) == pytest.approx(0, abs=1e-3)
    assert scores.shape == (3, len(val))
    distances = validation.distances(classifier)
    assert np.quantile(distances, 0.98) == pytest.approx(1, abs=1e-3)
    assert (distances > 0).all()


def test_noise_is_farther_than_any_film(classifier: Classifier, small_store: Store) -> None:
    films = np.array(small_store.images_NSS[small_store.rows("train")])
    noise = np.random.default_rng(0).integers(256, size=films[:4].shape, dtype=np.uint8)
    farthest = classifier.detect(films).distances_B.max()
    assert (classifier.detect(noise).distances_B > farthest).all()


def test_films_all_alike_do_not_break_it(classifier: Classifier, small_store: Store) -> None:
    blank = np.full(small_store.images_NSS.shape, 90, np.uint8)
    store = dataclasses.replace(small_store, images_NSS=blank)
    train, val = (Split(store, name, CPU) for name in ("train", "val"))
    validation = Validation(val, classifier.info.resolution)
    detector = fit_detector(classifier, train, validation)
    assert all(torch.isfinite(tensor).all() for tensor in vars(detector).values())
