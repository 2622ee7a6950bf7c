"""Folds of whole groups: those of scikit-learn, row by row."""

from __future__ import annotations

import warnings

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from cxrdiag.data.folds import stratified_group_folds


def of_scikit_learn(
    strata: np.ndarray, groups: np.ndarray, n_folds: int, seed: int
) -> list[list[int]]:
    split = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a stratum of few rows
        return [rows.tolist() for _, rows in split.split(strata, strata, groups)]


@settings(deadline=None, max_examples=200)
@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 25)), min_size=5, max_size=120),
    n_folds=st.integers(2, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_of_any_groups(rows: list[tuple[int, int]], n_folds: int, seed: int) -> None:
    # Each fold has a group of its own at least, and one stratum as many rows.
    rows = [*rows, *((0, 100 + i) for i in range(n_folds))]
    strata = np.array([stratum for stratum, _ in rows])
    groups = np.array([f"patient {group}" for _, group in rows])
    folds = stratified_group_folds(strata, groups, n_folds, seed)
    assert [fold.tolist() for fold in folds] == of_scikit_learn(strata, groups, n_folds, seed)


def test_of_many_patients_of_few_films() -> None:
    """As in a data set: most folds are as good as others, to the last digits of their spreads."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(1200), rng.integers(1, 5, 1200)).astype(str)
    strata = rng.choice(["Normal", "Pneumonia viral", "Pneumonia bacterial"], 1200)[
        groups.astype(int)
    ]
    folds = stratified_group_folds(strata, groups, 10, 3)
    assert [fold.tolist() for fold in folds] == of_scikit_learn(strata, groups, 10, 3)
