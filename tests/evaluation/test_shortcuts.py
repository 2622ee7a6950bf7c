"""How a network's answers go with those of a shortcut, where there is little to tell it by."""

from __future__ import annotations

import numpy as np
import pytest

from cxrdiag.evaluation.shortcuts import _correlation


def test_nothing_is_said_of_a_side_that_is_constant() -> None:
    found = _correlation("lean", np.ones(6), np.arange(6.0), np.arange(6))
    assert found == {"lean": None, "lean_ci95": None}


def test_draws_in_which_a_side_is_constant_do_not_count() -> None:
    """Without the first of six patients, as in a third of the draws, one side is constant."""
    patients = np.arange(12) // 2
    found = _correlation("lean", (patients > 0).astype(float), np.arange(12.0), patients)
    low, high = found["lean_ci95"]
    assert 0 < low < high < 1


def test_nothing_is_said_where_all_draws_are_alike() -> None:
    found = _correlation("lean", np.arange(6.0), np.exp(np.arange(6.0)), np.arange(6))
    assert found == {"lean": pytest.approx(1), "lean_ci95": None}


def test_of_four_patients_there_is_no_interval() -> None:
    found = _correlation("lean", np.array([0.0, 1, 3, 2]), np.arange(4.0), np.arange(4))
    assert found == {"lean": pytest.approx(0.8), "lean_ci95": None}
