"""Acquisition shifts: each does what its name says, and a film's does not depend on its company."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import functional as TF

from cxrdiag.data.shifts import SHIFTS, Shift, draw_ways, shift_films

ALL: dict[str, Shift] = {name: f for kind in SHIFTS.values() for name, f in kind.items()}
S = 96


@pytest.fixture(scope="module")
def films() -> Tensor:
    """Three smooth films with a little grain, uint8 (3, 1, S, S), none of them flat or clipped."""
    generator = torch.Generator().manual_seed(0)
    place = torch.linspace(0, 1, S)
    y, x = place[:, None], place[None, :]
    shapes = torch.stack([0.5 * x + 0.2 * torch.sin(20 * y), 0.4 + 0.4 * x * y, (x - 0.4) ** 2 + y])
    pixels = 0.2 + 0.5 * shapes[:, None] / shapes.amax(dim=(1, 2))[:, None, None, None]
    grain = 0.03 * torch.randn(3, 1, S, S, generator=generator)
    return ((pixels + grain).clamp(0, 1) * 255).round().to(torch.uint8)


def _ramp() -> Tensor:
    """Brightness grows by two levels a column, and does not change down the film."""
    return torch.arange(S).mul(2).to(torch.uint8).expand(1, 1, S, S).contiguous()


def _rough(x: Tensor) -> float:
    """Mean absolute second difference: how much fine detail there is."""
    return float(x.float().diff(n=2, dim=-1).abs().mean())


@pytest.mark.parametrize("name", ALL)
def test_a_shift_changes_every_film_the_same_whoever_is_with_it(films: Tensor, name: str) -> None:
    before = films.clone()
    shifted = ALL[name](films)
    assert shifted.shape == films.shape
    assert shifted.dtype == torch.uint8
    assert torch.equal(films, before)
    assert torch.equal(torch.cat([ALL[name](film[None]) for film in films]), shifted)
    for film, changed in zip(films, shifted, strict=True):
        assert (film.float() - changed.float()).abs().mean() > 0.5


def test_exposure(films: Tensor) -> None:
    x = films.double() / 255
    curves = {
        "brighter": x**0.65,
        "darker": x**1.5,
        "low contrast": 0.5 + 0.65 * (x - 0.5),
        "high contrast": (0.5 + 1.4 * (x - 0.5)).clamp(0, 1),
    }
    for name, expected in curves.items():
        np.testing.assert_allclose(ALL[name](films) / 255, expected, atol=1.01 / 255, err_msg=name)
    deciles = np.quantile(ALL["equalised"](films)[0].numpy() / 255, np.linspace(0.1, 0.9, 9))
    np.testing.assert_allclose(deciles, np.linspace(0.1, 0.9, 9), atol=0.03)


def test_exposure_and_blur_are_those_of_torchvision(films: Tensor) -> None:
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    noisy = torch.randint(256, (2, 1, S, S), generator=torch.Generator().manual_seed(0)).byte()
    for x in (films, levels, noisy):
        assert torch.equal(ALL["brighter"](x), TF.adjust_gamma(x, 0.65))
        assert torch.equal(ALL["darker"](x), TF.adjust_gamma(x, 1.5))
        assert torch.equal(ALL["equalised"](x), TF.equalize(x))
    for side, size in ((S, 5), (256, 11)):
        x = torch.randint(
            256, (2, 1, side, side), generator=torch.Generator().manual_seed(1)
        ).byte()
        expected = TF.gaussian_blur(x, [size, size], [side / 128] * 2)
        # Sums may be rounded in another order.
        assert int((ALL["blurred"](x).int() - expected.int()).abs().max()) <= 1
        assert float((ALL["blurred"](x) != expected).float().mean()) < 0.01


def test_detail(films: Tensor) -> None:
    assert _rough(ALL["blurred"](films)) < 0.5 * _rough(films)
    assert _rough(ALL["sharpened"](films)) > 1.5 * _rough(films)
    grain = ALL["noise"](films).float() - films.float()
    assert float(grain.std()) == pytest.approx(0.06 * 255, rel=0.05)
    assert abs(float(grain.mean())) < 0.5
    stream = io.BytesIO()
    Image.fromarray(films[1, 0].numpy()).save(stream, format="JPEG", quality=15)
    np.testing.assert_array_equal(ALL["JPEG"](films)[1, 0], np.asarray(Image.open(stream)))


def test_text_is_white_letters_along_top_and_bottom(films: Tensor) -> None:
    lettered = ALL["text"](films)
    changed = (lettered != films).any(dim=0)[0]
    assert bool((lettered >= films).all())
    assert int(lettered.amax()) > 220  # small letters are smoothed
    rows = changed.any(dim=1).nonzero().flatten()
    assert rows.min() < 0.1 * S
    assert rows.max() > 0.9 * S
    assert not changed[S // 6 : -S // 6].any()


@pytest.mark.parametrize(
    ("name", "left", "right"),
    [
        ("nearer", 0.075, 0.925),
        ("upper left", 0.005, 0.855),
        ("lower right", 0.145, 0.995),
        ("cut in width", 0.125, 0.875),
        ("cut in height", 0.0, 1.0),
    ],
)
def test_a_window_is_spread_over_the_square(name: str, left: float, right: float) -> None:
    centres = (np.arange(S) + 0.5) / S
    expected = 2 * ((left + (right - left) * centres) * S - 0.5)
    across = ALL[name](_ramp())[0, 0, S // 2]
    np.testing.assert_allclose(across[1:-1], expected[1:-1], atol=1.01)
    # Turned, the ramp tells the rows seen; the two cuts change places.
    twin = {"cut in width": "cut in height", "cut in height": "cut in width"}.get(name, name)
    down = ALL[twin](_ramp().mT.contiguous())[0, 0, :, S // 2]
    np.testing.assert_allclose(down[1:-1], expected[1:-1], atol=1.01)


def test_farther_and_border_leave_black_about_the_film(films: Tensor) -> None:
    bright = films.clamp(min=30)
    for name, edge in (("farther", round(0.075 / 1.15 * S)), ("border", S // 12)):
        framed = ALL[name](bright)
        inside = framed[..., edge + 1 : -edge - 1, edge + 1 : -edge - 1]
        assert int(inside.amin()) > 0, name
        outside = framed.clone()
        outside[..., edge - 1 : S - edge + 1, edge - 1 : S - edge + 1] = 0
        assert int(outside.amax()) == 0, name
    edge = S // 12
    within = (..., slice(edge, -edge), slice(edge, -edge))
    assert torch.equal(ALL["border"](films)[within], films[within])


def test_a_film_is_framed_then_exposed_then_handled_in_its_way(films: Tensor) -> None:
    ways = np.array([[4, 0, 1], [0, 3, 4], [4, 4, 3]])
    before = films.clone()
    shifted = shift_films(films[:, 0], ways)
    assert torch.equal(films, before)
    named = [
        ("cut in height", "brighter", "sharpened"),
        ("nearer", "high contrast", "text"),
        ("cut in height", "equalised", "JPEG"),
    ]
    for film, (frame, exposure, detail), got in zip(films, named, shifted, strict=True):
        assert torch.equal(ALL[detail](ALL[exposure](ALL[frame](film[None])))[0, 0], got)


def test_ways_are_fixed_different_for_a_films_copies_and_all_there_are() -> None:
    ways = draw_ways(400, 3)
    assert ways.shape == (400, 3, 3)
    assert np.array_equal(draw_ways(400, 3), ways)
    assert np.array_equal(draw_ways(10, 3), ways[:10])  # more films change nothing for these
    assert all(len({tuple(way) for way in copies}) == 3 for copies in ways)
    assert {tuple(way) for way in ways.reshape(-1, 3)} == set(np.ndindex(7, 5, 5))


@pytest.mark.parametrize("side", [32, 64, 256])
@pytest.mark.parametrize("name", ALL)
def test_no_store_is_too_small_to_be_shifted(name: str, side: int) -> None:
    x = torch.randint(50, 200, (1, 1, side, side), generator=torch.Generator().manual_seed(0))
    small = x.to(torch.uint8)
    assert (ALL[name](small).float() - small.float()).abs().mean() > 0.25
