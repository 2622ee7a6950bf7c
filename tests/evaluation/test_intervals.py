"""Intervals that hold what they are to hold as often as they say, and do not collapse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cxrdiag.evaluation.intervals import bootstrapped, predictive_value
from cxrdiag.evaluation.scores import auroc


def _ppv(prevalence: float, sensitivity: float, false_alarms: float) -> float:
    sick, well = prevalence * sensitivity, (1 - prevalence) * false_alarms
    return sick / (sick + well)


@pytest.mark.parametrize(
    ("n", "sensitivity", "specificity", "prevalence"),
    [
        (50, 0.95, 0.97, 0.05),
        (100, 0.95, 0.99, 0.05),
        (234, 0.98, 0.915, 0.2),
        (20, 0.9, 0.9, 0.01),
    ],
)
def test_a_predictive_value_lies_in_its_interval(
    n: int, sensitivity: float, specificity: float, prevalence: float
) -> None:
    truth = _ppv(prevalence, sensitivity, 1 - specificity)
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        called, wrongly = rng.binomial(n, sensitivity), rng.binomial(n, 1 - specificity)
        found = predictive_value("ppv", prevalence, (called, n), (wrongly, n))
        low, high = found["ppv_ci95"]
        assert low <= found["ppv"] <= high
        covered += low <= truth <= high
    assert 0.92 <= covered / 1000 <= 0.99  # a bootstrap: 0.63 to 0.94


def test_without_an_error_the_limit_is_that_of_the_share() -> None:
    """Wilson's limit of 0 of 20 is 0.161: of a hundred films, one of them sick, 16 false alarms."""
    found = predictive_value("ppv", 0.01, (20, 20), (0, 20))
    assert found["ppv"] == 1
    low, high = found["ppv_ci95"]
    assert low == pytest.approx(_ppv(0.01, 1, 0.161), abs=0.002)
    assert high == 1
    low, high = predictive_value("ppv", 0.01, (0, 20), (3, 20))["ppv_ci95"]
    assert low == 0
    assert 0.005 < high < 0.1


def test_nothing_is_said_of_what_is_not_there() -> None:
    nothing = {"ppv": None, "ppv_ci95": None}
    assert predictive_value("ppv", 0.1, (0, 9), (0, 9)) == nothing
    assert predictive_value("ppv", 0.1, (0, 0), (4, 9)) == nothing
    assert predictive_value("ppv", 0.1, (5, 9), (0, 0)) == nothing


def test_of_very_few_patients_there_is_no_interval() -> None:
    """However many films they have: each draw would hold much the same ones."""
    rng = np.random.default_rng(0)
    truth = np.repeat([True, False], [40, 200])
    said, patients = rng.random(240), np.r_[np.arange(40) % 4, np.arange(4, 204)]
    for few in (truth, ~truth):
        found = bootstrapped("auroc", auroc, few, said, patients)
        assert (found["auroc"] is None, found["auroc_ci95"]) == (False, None)
    patients[:40] = np.arange(40) % 5 + 1000
    low, high = bootstrapped("auroc", auroc, truth, said, pd.factorize(patients)[0])["auroc_ci95"]
    assert low < high


def test_the_interval_of_a_share_stays_within_0_and_1() -> None:
    """An ECE near 1, as of labels that were exchanged, mirrored beyond it."""
    truth = np.arange(20) < 10
    said = np.where(truth, 0.01, 0.99)
    said[[0, 10]] = 0.5

    def error(truth: np.ndarray, said: np.ndarray, weights: np.ndarray) -> float:
        return float(np.average(np.abs(truth - said), weights=weights))

    found = bootstrapped("ece", error, truth, said, np.arange(20), mirrored=True)
    low, high = found["ece_ci95"]
    assert 0 <= low < found["ece"] < high <= 1


def test_a_score_that_no_draw_changes_has_no_interval() -> None:
    truth = np.repeat([True, False], 20)
    constant = bootstrapped("x", lambda *_: 1.0, truth, np.zeros(40), np.arange(40))
    assert constant == {"x": 1.0, "x_ci95": None}
