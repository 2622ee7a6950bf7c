"""What is no frontal film stands out; films do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from cxrdiag.data.audit.odd import find_odd
from cxrdiag.data.audit.thumbnails import look_at


def squares(films: list[Path]) -> np.ndarray:
    return np.stack([np.asarray(Image.open(film).convert("L").resize((96, 96))) for film in films])


def test_odd_ones_among_films(films: list[Path]) -> None:
    images = squares(films)
    assert find_odd(look_at(images).thumbnails_NTT) == {
        "blank": [], "inverted": [], "turned": [], "unlike": [],
    }  # fmt: skip
    rng = np.random.default_rng(0)
    images[3] = 255 - images[3]
    images[7] = 128
    images[9] = rng.integers(120, 124, (96, 96))  # nothing but a scanner's noise
    images[11] = np.kron(rng.integers(0, 255, (16, 16)), np.ones((6, 6)))
    for row, turns in ((13, 1), (14, 2), (15, 3)):
        images[row] = np.rot90(images[row], turns)
    found = find_odd(look_at(images).thumbnails_NTT)
    assert (found["inverted"], sorted(found["blank"]), found["unlike"]) == ([3], [7, 9], [11])
    assert sorted(found["turned"]) == [13, 14, 15]


def test_all_blank() -> None:
    assert find_odd(np.full((3, 32, 32), 9, np.uint8))["blank"] == [0, 1, 2]
