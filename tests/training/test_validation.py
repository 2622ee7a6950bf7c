"""Validation: films as they are and their shifted copies, each read with its own target."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.metrics import log_loss, roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F

from cxrdiag.data.batches import Split
from cxrdiag.data.resample import resize
from cxrdiag.data.shifts import draw_ways, shift_films
from cxrdiag.data.store import COLUMNS, Store
from cxrdiag.errors import TrainingError
from cxrdiag.evaluation.calibration import fit_temperature
from cxrdiag.evaluation.threshold import choose_threshold
from cxrdiag.model.classifier import Classifier
from cxrdiag.model.info import ModelInfo
from cxrdiag.training.validation import Validation

CPU = torch.device("cpu")
N = 300  # three batches
R = 32


class Halves(nn.Module):
    """Says pneumonia where the left half is brighter than the right."""

    def features(self, x: Tensor) -> Tensor:
        return x

    def classify(self, x: Tensor) -> Tensor:
        return 4 * (x[..., : R // 2] - x[..., R // 2 :]).mean(dim=(1, 2, 3))[:, None]


@pytest.fixture(scope="module")
def val() -> Split:
    """Noise, brighter on the left where it is pneumonia, by so little that some are missed."""
    rng = np.random.default_rng(0)
    targets = rng.random(N) < 0.7
    images = rng.integers(60, 160, (N, 64, 64)) + 0.0
    images[:, :, :32] += rng.normal(np.where(targets, 12, -12), 10)[:, None, None]
    return _split(images, targets)


def _split(images: NDArray[np.floating], targets: NDArray[np.bool_]) -> Split:
    rows = [
        (f"{i}.png", "Pneumonia" if t else "Normal", "val", f"p{i}", "", 64, 64, 1, f"{i:064x}")
        for i, t in enumerate(targets)
    ]
    records = pd.DataFrame(rows, columns=list(COLUMNS))
    fingerprint = hashlib.sha256(b"").hexdigest()
    pixels = images.clip(0, 255).astype(np.uint8)
    return Split(Store(Path("none"), pixels, records, {"fingerprint": fingerprint}), "val", CPU)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    info = ModelInfo(
        arch="resnet18", width=64, image_size=64, resolution=R, mean=0.5, std=0.25, threshold=0.5
    )
    return Classifier(Halves(), info, CPU)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def validation(val: Split) -> Validation:
    return Validation(val, R)


def test_scores_are_scikit_learns(
    val: Split, classifier: Classifier, validation: Validation
) -> None:
    targets = val.targets_N.numpy()
    plain = classifier.logits(val.images(torch.arange(N)))
    scores = validation.scores(classifier)
    weights = np.where(targets > 0, 1 / targets.sum(), 1 / (1 - targets).sum())
    expected = log_loss(targets, expit(plain.astype(np.float64)), sample_weight=weights)
    assert scores.loss == pytest.approx(expected, rel=1e-5)
    assert scores.accuracy == pytest.approx(((plain > 0) == targets).mean())
    assert scores.auroc == pytest.approx(roc_auc_score(targets, plain))
    assert 0.8 < scores.auroc < 0.999


def test_shifted_films_keep_their_targets_and_are_ranked_and_cut_together(
    val: Split, classifier: Classifier, validation: Validation
) -> None:
    targets = val.targets_N.numpy().astype(int)
    images, ways = val.images(torch.arange(N)), draw_ways(N, 3)
    copies = [resize(shift_films(images, ways[:, c]), R)[:, 0].mul(255).round() for c in range(3)]
    logits = [classifier.logits(copy.to(torch.uint8)) for copy in copies]
    shifted_auroc = validation.scores(classifier).shifted_auroc
    expected = roc_auc_score(np.tile(targets, 3), np.concatenate(logits))
    assert shifted_auroc == pytest.approx(expected, abs=1e-6)
    assert 0.8 < shifted_auroc < 0.999  # shuffled targets would give a half
    cut = choose_threshold(np.concatenate(logits), np.tile(targets, 3))
    info = validation.calibrate(classifier)
    expected = fit_temperature(np.concatenate(logits), np.tile(targets > 0, 3), 0.5)
    assert info.temperature == pytest.approx(expected, rel=1e-4)
    assert abs(info.temperature - 1) > 0.01
    assert logit(info.threshold) * info.temperature == pytest.approx(cut, abs=1e-5)
    assert info.threshold == info.operating_points["balanced"].threshold


def test_normal_copies_are_cut_as_training_cuts_them_at_most(
    val: Split, classifier: Classifier
) -> None:
    is_sick = val.targets_N.numpy() > 0
    images = val.images(torch.arange(N)).double().numpy()
    images[:, :16, :32] += 15  # of all films: what a cut by half takes away
    images[:, 48:, :32] += 15
    # Of 64 rows the middle 32, each twice as high.
    middle = F.interpolate(torch.from_numpy(images)[:, None, 16:48], (64, 64), mode="bilinear")
    seen = np.where(is_sick[:, None, None], images, middle[:, 0].numpy())
    split, cut_before = _split(images, is_sick), _split(seen, is_sick)
    scores = Validation(split, R, normal_cut=0.5).scores(classifier)
    expected = Validation(cut_before, R).scores(classifier).shifted_auroc
    assert scores.shifted_auroc == pytest.approx(expected, abs=2e-3)
    uncut = Validation(split, R).scores(classifier)
    assert scores.shifted_auroc > uncut.shifted_auroc + 0.02
    assert scores.auroc == uncut.auroc  # films as they are stay as they are


def test_of_very_many_films_some_of_either_class_are_shifted(
    val: Split, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxrdiag.training.validation._MOST", 7)
    targets = val.targets_N.numpy().astype(int)
    chosen = []
    for label in (0, 1):
        rows = [row for row in range(N) if targets[row] == label]
        step = 1
        while len(rows[::step]) > 7:
            step += 1
        chosen += rows[::step]
    chosen = sorted(chosen)
    assert 7 < len(chosen) <= 14 < N
    images, ways = val.images(torch.tensor(chosen)), draw_ways(len(chosen), 3)
    copies = [resize(shift_films(images, ways[:, c]), R)[:, 0].mul(255).round() for c in range(3)]
    logits = np.concatenate([classifier.logits(copy.to(torch.uint8)) for copy in copies])
    scores = Validation(val, R).scores(classifier)
    expected = roc_auc_score(np.tile(targets[chosen], 3), logits)
    assert scores.shifted_auroc == pytest.approx(expected, abs=1e-6)
    plain = classifier.logits(val.images(torch.arange(N)))
    assert scores.auroc == pytest.approx(roc_auc_score(targets, plain))  # all of them


def test_a_logit_that_is_not_finite_is_an_error(
    classifier: Classifier, validation: Validation
) -> None:
    broken = dataclasses.replace(classifier.info, mean=float("nan"))
    with pytest.raises(TrainingError) as e:
        validation.scores(dataclasses.replace(classifier, info=broken))
    assert e.value.code == "non_finite_loss"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_validates_as_the_cpu_does(
    val: Split, classifier: Classifier, validation: Validation
) -> None:
    device = torch.device("cuda")
    there = Validation(Split(val._store, "val", device), R)
    moved = dataclasses.replace(classifier, device=device)
    expected = validation.scores(classifier)
    assert there.scores(moved).shifted_auroc == pytest.approx(expected.shifted_auroc, abs=1e-4)
    assert there.calibrate(moved).threshold == pytest.approx(
        validation.calibrate(classifier).threshold, abs=1e-3
    )
