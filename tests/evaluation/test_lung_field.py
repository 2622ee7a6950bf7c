"""Lungs of a mean film: where phantoms have them; shares of a map by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cxrdiag.data.phantom.dataset import render
from cxrdiag.evaluation.lung_field import lung_field, shares_inside


def test_two_lungs_where_lungs_are_and_none_in_noise() -> None:
    films = [render(np.random.default_rng(seed), "normal", 128) for seed in range(30)]
    field = lung_field(films)
    assert field is not None
    assert 0.06 < field.mean() < 0.45
    assert (field == field[:, ::-1]).all()
    middle = field[:, 56:72]  # spine and mediastinum
    assert middle.mean() < 0.1
    # Of normal films the lungs are what is dark inside the body.
    mean = np.mean(films, axis=0)
    body = mean[20:108, 24:104]
    assert body[field[20:108, 24:104]].mean() < body[~field[20:108, 24:104]].mean() - 10
    noise = np.random.default_rng(0).integers(256, size=(30, 128, 128), dtype=np.uint8)
    assert lung_field(noise) is None
    assert lung_field([]) is None
    assert lung_field([np.full((64, 64), 7, np.uint8)]) is None


def test_shares_of_a_map() -> None:
    field = np.zeros((64, 64), bool)
    field[:, :32] = True
    even, left, against = np.ones((8, 8)), np.zeros((8, 8)), -np.ones((8, 8))
    left[:, :2] = 3
    shares = shares_inside(np.stack([even, left, against]).astype(np.float32), field)
    assert shares[0] == pytest.approx(0.5, abs=0.01)
    assert shares[1] == pytest.approx(1, abs=0.02)
    assert np.isnan(shares[2])
