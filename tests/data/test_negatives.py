"""What a detector learns to refuse by: of every kind, never a film as it was, and reproducible."""

from __future__ import annotations

import numpy as np
import pytest

from cxrdiag.data.negatives import DRAWN, SPOILT, Gray, negatives

KINDS = [*SPOILT, *DRAWN]


def _film(side: int) -> Gray:
    """Something smooth, bright in the middle and darker downwards, of no symmetry."""
    y, x = np.mgrid[:side, :side] / side
    gray = 200 * np.exp(-8 * (x - 0.45) ** 2) - 80 * y + 20 * np.sin(9 * x + 3 * y)
    return np.asarray(np.clip(gray + 40, 0, 255), np.uint8)


@pytest.mark.parametrize("side", [16, 64, 250])
def test_every_kind_in_turn_in_the_films_size(side: int) -> None:
    films = _film(side)[None]
    made, names = negatives(films, 2 * len(KINDS) + 3, seed=5)
    assert made.shape == (2 * len(KINDS) + 3, side, side)
    assert made.dtype == np.uint8
    assert names == [*KINDS, *KINDS, *KINDS[:3]]
    assert (films == _film(side)).all()
    again, _ = negatives(films, 2 * len(KINDS) + 3, seed=5)
    other, _ = negatives(films, 2 * len(KINDS) + 3, seed=6)
    assert (made == again).all()
    assert (made != other).any()


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_film_is_no_longer_the_film(name: str) -> None:
    film = _film(64)
    for seed in range(20):
        spoilt = SPOILT[name](film, np.random.default_rng(seed)).astype(float)
        for same in (film, film[:, ::-1]):  # a mirror image is a film
            assert np.abs(spoilt - same).mean() > 5


def test_turns_and_inversion_by_hand() -> None:
    film = np.arange(16, dtype=np.uint8).reshape(4, 4)
    rng = np.random.default_rng(0)
    assert (SPOILT["inverted"](film, rng) == 255 - film).all()
    turned = {SPOILT["upside down"](film, rng).tobytes() for _ in range(20)}
    assert turned == {film[::-1].tobytes(), film[::-1, ::-1].tobytes()}
    lying = {SPOILT["lying"](film, rng).tobytes() for _ in range(20)}
    assert lying == {np.rot90(film).tobytes(), np.rot90(film, 3).tobytes()}


def test_shuffling_moves_every_gray_and_loses_none() -> None:
    film = _film(120)
    # Six tiles of 20 pixels: resizing to six of 60 and back keeps the grays.
    seed = next(s for s in range(99) if np.random.default_rng(s).integers(2, 7) == 2)
    shuffled = SPOILT["shuffled"](film, np.random.default_rng(seed))
    assert np.sort(shuffled.ravel()).tolist() == np.sort(film.ravel()).tolist()


@pytest.mark.parametrize("name", DRAWN)
def test_drawn_pictures_differ_among_themselves(name: str) -> None:
    rng = np.random.default_rng(0)
    pictures = [DRAWN[name](64, rng) for _ in range(12)]
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)
    if name != "blank":
        assert max(picture.std() for picture in pictures) > 20
    else:
        assert max(picture.std() for picture in pictures) < 8
