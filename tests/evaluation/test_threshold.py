"""The threshold is where a logistic regression is undecided; the other points have their rates."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from cxrdiag.evaluation.threshold import choose_operating_points, choose_threshold
from cxrdiag.model.probability import probability


def _choose(normal: list[float], pneumonia: list[float]) -> float:
    """The threshold for these logits, in probability."""
    return float(probability(_logit(normal, pneumonia)))


def _logit(normal: list[float], pneumonia: list[float]) -> float:
    targets = np.repeat([0, 1], [len(normal), len(pneumonia)])
    return choose_threshold(np.array([*normal, *pneumonia]), targets)


@pytest.mark.parametrize(
    ("normal", "pneumonia", "expected"),
    [
        ([-3, -1], [1, 3], 0.0),
        ([-5, -4], [0, 8], -2.0),
        ([2, 3.5], [4.5, 6], 4.0),
        ([-2], [10], 4.0),
        ([-20, -18], [16, 25], -1.0),
    ],
)
def test_separable_classes_are_separated_in_the_middle_of_the_gap_in_logits(
    normal: list[float], pneumonia: list[float], expected: float
) -> None:
    assert _logit(normal, pneumonia) == pytest.approx(expected, abs=0.2)


def test_where_logits_are_drawn_from_two_bells_it_is_where_those_are_as_high() -> None:
    # Logistic regression is exact there: of means -1 and 4, both of variance 1, 1.5.
    rng = np.random.default_rng(0)
    normal, pneumonia = rng.normal(-1, 1, 5000), rng.normal(4, 1, 50_000)  # however many of each
    assert _logit(list(normal), list(pneumonia)) == pytest.approx(1.5, abs=0.05)


def test_it_is_undecided_where_both_classes_pull_alike() -> None:
    # At the optimum the residuals of either class, weighed alike, have one sum.
    normal, pneumonia = [-5.0, -4.0, -2.0, -1.0, 1.5], [-1.5, 1.0, 2.0, 3.0]
    logits, truth = np.array([*normal, *pneumonia]), np.repeat([0.0, 1.0], [5, 4])
    weights = np.repeat([1 / 5, 1 / 4], [5, 4])

    def cross_entropy(line: NDArray[np.float64]) -> float:
        signed = (2 * truth - 1) * (line[0] * logits + line[1])
        return float((weights * np.logaddexp(0, -signed)).sum())

    slope, intercept = scipy.optimize.minimize(cross_entropy, [1.0, 0.0], tol=1e-10).x
    assert _logit(normal, pneumonia) == pytest.approx(-intercept / slope, abs=1e-3)


def test_one_stray_image_does_not_drag_the_threshold_to_itself() -> None:
    rng = np.random.default_rng(0)
    normal, pneumonia = list(rng.normal(-2, 1, 100)), list(rng.normal(2, 1, 300))
    before = _logit(normal, pneumonia)
    assert _logit([*normal, 5.0], pneumonia) == pytest.approx(before, abs=0.2)
    assert _logit(normal, [*pneumonia, -6.0]) == pytest.approx(before, abs=0.2)


def test_as_many_errors_either_way_leave_the_threshold_near_a_half() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        normal, pneumonia = rng.normal(-2, 1.5, 100), rng.normal(2, 1.5, 300)
        assert _choose(list(normal), list(pneumonia)) == pytest.approx(0.5, abs=0.1)
        # And where all logits are far too high, it goes up with them.
        assert _logit(list(normal + 6), list(pneumonia + 6)) > 4


_LOGITS = st.lists(st.floats(-30, 30, width=16), min_size=1, max_size=25)


@given(normal=_LOGITS, pneumonia=_LOGITS, shift=st.floats(-3, 3), scale=st.floats(0.5, 2))
def test_it_moves_with_the_logits(
    normal: list[float], pneumonia: list[float], shift: float, scale: float
) -> None:
    # Among the logits, and where another unit of theirs puts it.
    targets = np.repeat([0, 1], [len(normal), len(pneumonia)])
    logits = np.array([*normal, *pneumonia]) / 3
    threshold = choose_threshold(logits, targets)
    assert logits.min() <= threshold <= logits.max()
    moved = choose_threshold(logits * scale + shift, targets)
    if abs(roc_auc_score(targets, logits) - 0.5) > 0.1:  # else hardly anything is preferred
        assert moved == pytest.approx(threshold * scale + shift, abs=0.1)


@given(
    logits=st.lists(st.floats(-400, 400), min_size=2, max_size=10),
    n_pneumonia=st.integers(1, 9),
)
def test_whatever_the_network_says_it_is_a_probability(
    logits: list[float], n_pneumonia: int
) -> None:
    n = min(n_pneumonia, len(logits) - 1)
    assert 0 < _choose(logits[n:], logits[:n]) < 1


def test_order_and_the_size_of_a_class_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    targets: NDArray[np.int64] = rng.integers(0, 2, 300)
    logits = rng.normal(2.0 * targets - 0.3, 1.5)
    threshold = choose_threshold(logits, targets)
    order = rng.permutation(300)
    assert choose_threshold(logits[order], targets[order]) == pytest.approx(threshold, abs=1e-4)
    repeats = np.where(targets > 0, 7, 1)
    often = choose_threshold(np.repeat(logits, repeats), np.repeat(targets, repeats))
    assert often == pytest.approx(threshold, abs=1e-4)
    best = max(balanced_accuracy_score(targets, logits >= t) for t in logits)
    found = balanced_accuracy_score(targets, logits >= threshold)
    assert best - 0.5 * (2 * 0.25 / 150) ** 0.5 <= found <= best


def test_operating_points_by_hand() -> None:
    # Logits 0 to 99 normal, 60 to 159 pneumonia, one copy.
    targets = np.repeat([0, 1], 100)
    logits = np.concatenate([np.arange(100), 60 + np.arange(100)])[None] / 10
    points = choose_operating_points(logits, targets, temperature=2.0)
    cut = {name: 20 * scipy.special.logit(point.threshold) for name, point in points.items()}
    # The highest that still calls 95 of 100: just below the sixth lowest, 65.
    assert cut["sensitivity=0.95"] == pytest.approx(64.5)
    assert points["sensitivity=0.95"].sensitivity == 0.95
    # The lowest that calls 5 of the 100 normal ones: just below the fifth highest, 95.
    assert cut["specificity=0.95"] == pytest.approx(94.5)
    assert points["specificity=0.95"].specificity == pytest.approx(0.95)
    assert points["specificity=0.95"].sensitivity == pytest.approx(0.65)
    # Wilson's interval of 65 of 100, by hand.
    low, high = points["specificity=0.95"].sensitivity_ci95
    z = 1.959964
    middle, half = 65 + z * z / 2, z * (65 * 0.35 + z * z / 4) ** 0.5
    assert (low, high) == pytest.approx(
        ((middle - half) / (100 + z * z), (middle + half) / (100 + z * z))
    )
    # Copies are not more films: the interval is as wide.
    twice = choose_operating_points(np.repeat(logits, 2, axis=0), targets, temperature=2.0)
    assert twice["specificity=0.95"].sensitivity_ci95 == (low, high)
    youden = points["youden"]
    assert youden.sensitivity + youden.specificity == pytest.approx(1.6)
    assert cut["balanced"] == pytest.approx(79.5, abs=1e-3)  # of two classes that mirror each other
    assert len(points) == 8
