"""Temperature and reweighting, against scikit-learn and cases made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.metrics import log_loss

from cxrdiag.evaluation.calibration import (
    expected_calibration_error,
    fit_temperature,
    reliability,
    weights_at,
)
from cxrdiag.model.probability import at_prevalence


def test_a_temperature_that_was_put_in_is_found() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 100_000)
    truth = rng.random(100_000) < expit(logits)
    assert truth.mean() == pytest.approx(0.5, abs=0.01)
    for temperature in (0.4, 1.0, 3.0):
        assert fit_temperature(logits * temperature, truth, 0.5) == pytest.approx(
            temperature, rel=0.03
        )


def test_it_has_the_lowest_cross_entropy_at_that_prevalence() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random(500) < 0.8
    logits = rng.normal(np.where(truth, 2, -1), 2)
    for prevalence in (0.5, 0.1):
        weights = weights_at(truth, prevalence)
        assert weights[truth].sum() == pytest.approx(500 * prevalence)
        assert weights.mean() == pytest.approx(1)
        best = fit_temperature(logits, truth, prevalence)
        losses = [
            log_loss(truth, expit(logits / t), sample_weight=weights)
            for t in (best * 0.98, best, best * 1.02)
        ]
        assert losses[1] < min(losses[0], losses[2])
    assert fit_temperature(logits, truth, 0.5) != pytest.approx(
        fit_temperature(logits, truth, 0.1), rel=0.05
    )


def test_what_is_calibrated_for_one_prevalence_is_so_in_films_of_another_reweighted() -> None:
    """Odds that hold for a half: of 0.9, nine pneumonias to one normal film where both are alike
    common, and eighteen to one where there are twice as many pneumonias."""
    truth = np.repeat([True, False, True, False], [1800, 100, 200, 900])
    p = np.repeat([0.9, 0.1], [1900, 1100])
    assert expected_calibration_error(truth, p) > 0.05
    weights = weights_at(truth, 0.5)
    assert expected_calibration_error(truth, p, weights) == pytest.approx(0, abs=1e-12)
    mean, frequency, counts = reliability(truth, p, weights)
    assert counts[[1, 13]].tolist() == [1100, 1900]
    assert counts.sum() == 3000
    assert mean[[1, 13]] == pytest.approx([0.1, 0.9])
    assert frequency[[1, 13]] == pytest.approx([0.1, 0.9])
    assert np.isnan(mean[0])


def test_another_prevalence_moves_the_odds() -> None:
    assert at_prevalence(0.9, 0.5, 0.5) == pytest.approx(0.9)
    assert at_prevalence(0.9, 0.5, 2 / 3) == pytest.approx(18 / 19)
    assert at_prevalence(0.5, 0.5, 0.05) == pytest.approx(0.05)
    assert logit(at_prevalence(0.7, 0.74, 0.2)) == pytest.approx(
        logit(0.7) - logit(0.74) + logit(0.2)
    )
    assert (at_prevalence(0.0, 0.5, 0.1), at_prevalence(1.0, 0.5, 0.1)) == (0, 1)
