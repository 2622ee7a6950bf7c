"""How a network's answers go with those of a shortcut, where there is little to tell it by."""

from __future__ import annotations

import numpy as np
import pytest

from cxrdiag.evaluation.shortcuts import _correlation


def test_nothing_is_said_of_a_side_that_is_constant() -> None:
    found = _correlation("lean", np.ones(6), np.arange(6.0), np.arange(6))
    assert found == {"lean": None, "lean_ci95": None}


def test_draws_in_which_a_side_is_constant_do_not_count() -> None:
    """Of two patients with two films each half of the draws are of one patient alone."""
    patients = np.array([0, 0, 1, 1])
    found = _correlation("lean", np.array([0.0, 0, 1, 1]), np.arange(4.0), patients)
    expected = 2 / np.sqrt(5)  # ranks 1.5, 1.5, 3.5, 3.5 and 1 to 4: 4 / sqrt(4 * 5)
    assert found["lean"] == pytest.approx(expected)
    assert found["lean_ci95"] == pytest.approx([expected, expected])
