"""Shifted validation: its AUROC and threshold are those of shifted copies of the films."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from cxrdiag.data.batches import Split
from cxrdiag.data.phantom.dataset import write_coronahack
from cxrdiag.data.prepare import prepare
from cxrdiag.data.resample import resize
from cxrdiag.data.shifts import shift_films
from cxrdiag.evaluation.threshold import choose_threshold
from cxrdiag.model.classifier import Classifier, ModelInfo
from cxrdiag.model.probability import probability
from cxrdiag.model.resnet import ResNet
from cxrdiag.training.shifted_validation import ShiftedValidation

CPU = torch.device("cpu")


def test_auroc_and_threshold_are_of_three_shifted_copies_taken_together(tmp_path: Path) -> None:
    write_coronahack(tmp_path / "raw", n_train=60, n_test=4, size=64)
    val = Split(prepare(tmp_path / "raw", tmp_path / "store", size=64)[0], "val", CPU)
    torch.manual_seed(0)
    info = ModelInfo(
        arch="resnet18", image_size=64, resolution=32, mean=0.5, std=0.25, threshold=0.5
    )
    classifier = Classifier(ResNet("resnet18").eval(), info, CPU)

    rng = np.random.default_rng(0)
    images = val.images(torch.arange(len(val)))
    copies = [shift_films(images, rng) for _ in range(3)]
    logits = np.concatenate([classifier.logits(resize(c, 32)[:, 0].mul(255).round().byte())
                             for c in copies])  # fmt: skip
    targets = np.tile(val.targets_N.numpy().astype(int), 3)
    assert logits.std() > 1e-4

    shifted = ShiftedValidation(val, 32)
    assert shifted.auroc(classifier) == pytest.approx(roc_auc_score(targets, logits), abs=1e-6)
    expected = choose_threshold(probability(logits), targets)
    assert shifted.threshold(classifier) == pytest.approx(expected, abs=1e-6)
