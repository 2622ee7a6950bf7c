"""The operating point separates what can be separated, and is never at the edge by accident."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score

from cxrdiag.evaluation.threshold import choose_operating_points, choose_threshold
from cxrdiag.model.probability import probability


def _choose(normal: list[float], pneumonia: list[float]) -> float:
    """The threshold for these logits, in probability."""
    targets = np.repeat([0, 1], [len(normal), len(pneumonia)])
    return float(probability(choose_threshold(np.array([*normal, *pneumonia]), targets)))


def _balanced(threshold: float, normal: list[float], pneumonia: list[float]) -> tuple[float, float]:
    """Balanced accuracy at a threshold, and its standard error."""
    # `>=`, as everywhere a label is given.
    sensitivity = float((probability(pneumonia) >= threshold).mean())
    specificity = float((probability(normal) < threshold).mean())
    variance = sensitivity * (1 - sensitivity) / len(pneumonia)
    variance += specificity * (1 - specificity) / len(normal)
    return (sensitivity + specificity) / 2, variance**0.5 / 2


def _best(normal: list[float], pneumonia: list[float]) -> tuple[float, float]:
    """The highest balanced accuracy of any threshold, by trying them all, and its error.

    Of equals the largest error: any of them may be the one that is compared with.
    """
    tried = [_balanced(t, normal, pneumonia) for t in (*probability([*normal, *pneumonia]), 2.0)]
    highest = max(accuracy for accuracy, _ in tried)
    return highest, max(error for accuracy, error in tried if accuracy > highest - 1e-9)


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
    assert scipy.special.logit(_choose(normal, pneumonia)) == pytest.approx(expected, abs=1e-6)


def test_one_stray_image_does_not_drag_the_threshold_to_itself() -> None:
    # The best threshold is just below the stray at -6; from there to the gap's upper end every
    # threshold is within one standard error, 0.5 * sqrt(0.05 * 0.95 / 20) = 0.024.
    normal = [-8.0 + 0.01 * i for i in range(20)]
    pneumonia = [-6.0, *(6.0 + 0.01 * i for i in range(39))]
    logit = scipy.special.logit(_choose(normal, pneumonia))
    # Perfectly separable: its error is nought, and the gap below the stray is the only range.
    assert logit == pytest.approx((-6 - 7.81) / 2)
    # With a Normal above it, separation is not perfect and the stray has no say.
    normal[-1] = -5.0
    assert scipy.special.logit(_choose(normal, pneumonia)) == pytest.approx((-5 + 6) / 2)


def test_by_hand_with_overlap() -> None:
    # Of four Pneumonia one is missed from 1.0 down to -1.0: 0.875, with an error of 0.108. A higher
    # threshold misses a second, one at -1.0 calls a Normal besides: 0.75, which is too little.
    normal, pneumonia = [-5.0, -4.0, -2.0, -1.0], [-1.5, 1.0, 2.0, 3.0]
    assert _balanced(0.5, normal, pneumonia) == pytest.approx((0.875, 0.10825), abs=1e-4)
    assert scipy.special.logit(_choose(normal, pneumonia)) == pytest.approx(0.0, abs=1e-9)
    # The same ten logits higher: the range that is best begins and ends at 9.0 and 11.0.
    higher = [z + 10 for z in normal], [z + 10 for z in pneumonia]
    assert scipy.special.logit(_choose(*higher)) == pytest.approx(10.0)
    # A dip within the error does not end the range. From 1.0 down: 17 of 20 and all Normal, 0.925
    # with an error of 0.040; at -1.0 a Normal is called, 0.9; at -1.5 another Pneumonia, 0.925.
    # Ten logits higher, its end nearest to 0.5 is half-way between -9.0 and -1.5.
    normal, pneumonia = [-9.0] * 19 + [-1.0], [-20.0, -20.0, -1.5] + [1.0] * 17
    assert _balanced(0.5, normal, pneumonia) == pytest.approx((0.925, 0.0399), abs=1e-4)
    assert _choose(normal, pneumonia) == 0.5
    higher = [z + 10 for z in normal], [z + 10 for z in pneumonia]
    assert scipy.special.logit(_choose(*higher)) == pytest.approx(10 + (-9.0 - 1.5) / 2)


def test_as_many_errors_either_way_leave_the_threshold_near_a_half() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        normal, pneumonia = rng.normal(-2, 1.5, 100), rng.normal(2, 1.5, 300)
        assert _choose(list(normal), list(pneumonia)) == pytest.approx(0.5, abs=0.1)
        # And where all logits are far too high, it goes up with them.
        assert scipy.special.logit(_choose(list(normal + 6), list(pneumonia + 6))) > 4


def test_good_thresholds_with_worse_ones_between_are_not_averaged() -> None:
    # Two good places far apart; midway, at 0, balanced accuracy is chance.
    normal = [-8.0] * 40 + [4.0] * 40
    pneumonia = [-4.0] * 40 + [8.0] * 40
    best, error = _best(normal, pneumonia)
    at_middle, _ = _balanced(0.5, normal, pneumonia)
    assert at_middle < best - error
    accuracy, _ = _balanced(_choose(normal, pneumonia), normal, pneumonia)
    assert accuracy == best == 0.75


_LOGITS = st.lists(st.floats(-30, 30, width=16), min_size=1, max_size=25)


@given(normal=_LOGITS, pneumonia=_LOGITS)
def test_it_is_a_probability_within_one_standard_error_of_the_best(
    normal: list[float], pneumonia: list[float]
) -> None:
    threshold = _choose(normal, pneumonia)
    assert 0 < threshold < 1
    best, error = _best(normal, pneumonia)
    accuracy, _ = _balanced(threshold, normal, pneumonia)
    assert accuracy >= best - error - 1e-9


@given(
    logits=st.lists(st.floats(-400, 400), min_size=2, max_size=10),
    n_pneumonia=st.integers(1, 9),
)
def test_whatever_the_network_says_it_is_a_probability(
    logits: list[float], n_pneumonia: int
) -> None:
    n = min(n_pneumonia, len(logits) - 1)
    assert 0 < _choose(logits[n:], logits[:n]) < 1


def test_order_does_not_matter_and_scikit_learn_agrees_on_the_accuracy() -> None:
    rng = np.random.default_rng(0)
    targets: NDArray[np.int64] = rng.integers(0, 2, 300)
    logits = rng.normal(2.0 * targets - 0.3, 1.5)
    threshold = choose_threshold(logits, targets)
    order = rng.permutation(300)
    assert choose_threshold(logits[order], targets[order]) == threshold
    found = balanced_accuracy_score(targets, logits >= threshold)
    best = max(balanced_accuracy_score(targets, logits >= t) for t in logits)
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
    assert cut["balanced"] == pytest.approx(10 * choose_threshold(logits[0], targets))
    assert len(points) == 8
