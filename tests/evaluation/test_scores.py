"""Scores of weighted images: by scikit-learn, and by scipy of images drawn so often."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn import metrics as reference

from cxrdiag.evaluation.scores import auroc, average_precision, brier, spearman

IMAGES = st.lists(
    st.tuples(
        st.booleans(),
        st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.25, 0.5, 1.0])),  # ties among them
        st.integers(0, 3),
    ),
    max_size=40,
)


@given(images=IMAGES)
def test_weighted_as_by_scikit_learn(images: list[tuple[bool, float, int]]) -> None:
    # One of each class is there at least.
    truth, said, weights = map(np.array, zip(*images, (True, 0.4, 1), (False, 0.6, 2), strict=True))
    for ours, theirs in (
        (auroc, reference.roc_auc_score),
        (average_precision, reference.average_precision_score),
        (brier, reference.brier_score_loss),
    ):
        expected = theirs(truth, said, sample_weight=weights)
        assert ours(truth, said, weights.astype(float)) == pytest.approx(expected, abs=1e-12)


def test_by_hand() -> None:
    """Of four pairs three are in order and one is tied."""
    truth = np.array([True, False, True, False])
    said = np.array([0.9, 0.5, 0.5, 0.1])
    assert auroc(truth, said, np.ones(4)) == 3.5 / 4
    # Of what is called first 1 of 1 is right, with the tied ones 2 of 3.
    assert average_precision(truth, said, np.ones(4)) == pytest.approx((1 + 2 / 3) / 2)
    assert brier(truth, said, np.array([1.0, 0, 0, 0])) == pytest.approx(0.01)


@given(
    pairs=st.lists(
        st.tuples(st.integers(0, 5), st.floats(-9, 9), st.integers(0, 3)), min_size=2, max_size=40
    )
)
def test_rank_correlation_of_images_drawn_several_times(
    pairs: list[tuple[int, float, int]],
) -> None:
    pairs = [*pairs, (9, 9.5, 1), (0, -9.5, 2)]
    a, b, weights = map(np.array, zip(*pairs, strict=True))
    drawn = np.repeat(np.arange(len(a)), weights)
    expected = spearmanr(a[drawn], b[drawn]).statistic
    assert spearman(a, b, weights.astype(float)) == pytest.approx(expected, abs=1e-9)


def test_nothing_goes_with_what_is_constant() -> None:
    assert np.isnan(spearman(np.ones(4), np.arange(4.0), np.ones(4)))
