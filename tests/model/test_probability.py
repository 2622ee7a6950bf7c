"""The one sigmoid agrees with SciPy's everywhere, and never overflows."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

from cxrdiag.model.probability import probability


@given(logit=st.floats(-700, 700), temperature=st.floats(0.05, 20))
def test_it_is_scipys_expit_of_the_scaled_logit(logit: float, temperature: float) -> None:
    scaled = logit / temperature
    # SciPy's is nought from about -710 on, where its exp(-x) overflows; exp(x) is exact there.
    expected = scipy.special.expit(scaled) if scaled > -700 else np.exp(scaled)
    # The smallest have fewer digits; 5e-324 is the least there is.
    assert probability(logit, temperature) == pytest.approx(expected, rel=1e-11, abs=5e-324)


def test_extremes() -> None:
    logits = np.array([-np.inf, -1e308, -745.0, 0.0, 745.0, 1e308, np.inf], dtype=np.float64)
    np.testing.assert_array_equal(probability(logits)[[0, 1, 3, 4, 5, 6]], [0, 0, 0.5, 1, 1, 1])
    assert 0 < probability(logits)[2] < 1e-320


def test_temperature_draws_towards_one_half_and_keeps_the_side() -> None:
    # sigmoid(ln 3) = 3/4 and sigmoid(ln 9) = 9/10, by hand.
    logits = np.log([9.0, 1 / 9])
    np.testing.assert_allclose(probability(logits), [0.9, 0.1])
    np.testing.assert_allclose(probability(logits, temperature=2.0), [0.75, 0.25])
    np.testing.assert_allclose(probability(logits, temperature=0.5), [81 / 82, 1 / 82])


def test_shape_stays_and_single_precision_is_widened_first() -> None:
    logits = np.linspace(-60, 60, 6, dtype=np.float32).reshape(2, 3)
    result = probability(logits)
    assert result.shape == (2, 3)
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, scipy.special.expit(logits.astype(np.float64)), rtol=1e-12)
