"""Another film's exposure: histograms against NumPy's quantiles, amplitudes by the spectrum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from cxrdiag.data.style import match_illumination, match_tones

NONE, ALL = torch.zeros(3), torch.ones(3)


def films(side: int = 64) -> Tensor:
    """Three images of different exposure, (3, 1, R, R)."""
    place = torch.linspace(0, 1, side)
    y, x = place[:, None], place[None, :]
    a = 0.2 + 0.3 * x + 0.1 * torch.sin(9 * y)
    b = 0.5 + 0.4 * y * x
    c = 0.9 * (x - 0.5) ** 2 + 0.2 * y
    grain = torch.rand(3, 1, side, side, generator=torch.Generator().manual_seed(0))
    return torch.stack([a, b, c])[:, None] * 0.95 + 0.05 * grain


def others(x: Tensor) -> Tensor:
    """Another film for each."""
    return x[[1, 2, 0]]


def test_no_share_leaves_images_alone() -> None:
    x = films()
    torch.testing.assert_close(match_tones(x, others(x), NONE), x)
    torch.testing.assert_close(match_illumination(x, others(x), NONE), x, atol=1e-6, rtol=0)


def test_an_image_that_is_its_own_reference_stays_as_it_is() -> None:
    x = films()
    torch.testing.assert_close(match_tones(x, x, ALL), x, atol=2 / 255, rtol=0)
    torch.testing.assert_close(match_illumination(x, x, ALL), x, atol=1e-6, rtol=0)


@pytest.mark.parametrize("side", [32, 64, 200])
def test_all_of_the_tones_gives_the_references_quantiles_in_the_images_own_order(side: int) -> None:
    x = films(side)
    out = match_tones(x, others(x), ALL)
    q = np.linspace(0.02, 0.98, 25)
    for before, after, reference in zip(x, out, others(x), strict=True):
        expected = np.quantile(reference.numpy(), q)
        np.testing.assert_allclose(np.quantile(after.numpy(), q), expected, atol=2.5 / 255)
        # Brighter than another pixel before by more than a level: not darker than it now.
        now = after.flatten()[before.flatten().argsort()]
        assert float((now.cummax(0).values - now).max()) <= 1.5 / 255
        # Neither end falls off the reference's.
        assert float(reference.min()) - 2 / 255 <= float(after.min())
        assert float(after.max()) <= float(reference.max()) + 2 / 255


def test_half_of_the_tones_is_halfway() -> None:
    x = films()
    whole, half = match_tones(x, others(x), ALL), match_tones(x, others(x), ALL / 2)
    torch.testing.assert_close(half, (x + whole) / 2, atol=1e-6, rtol=0)


def test_a_background_takes_the_level_in_the_middle_of_its_share() -> None:
    """40 % of one black: the reference's quantile at 20 %, for all of it."""
    x, reference = films(50), others(films(50))
    x[:, :, :20] = 0
    out = match_tones(x, reference, ALL)
    expected = np.quantile(reference.flatten(1).numpy(), 0.2, axis=1)
    background = out[:, 0, :20].flatten(1).numpy()
    np.testing.assert_allclose(background, expected[:, None] + 0 * background, atol=2 / 255)


def test_a_references_background_is_taken_on() -> None:
    x, reference = films(50), others(films(50))
    reference[:, :, :20] = 0
    out = match_tones(x, reference, ALL)
    dark = (out <= 1 / 255).float().mean((1, 2, 3))
    torch.testing.assert_close(dark, torch.full((3,), 0.4), atol=0.05, rtol=0)


def test_the_lowest_amplitudes_move_towards_the_references_and_phases_stay() -> None:
    # At the coarse size itself nothing is resampled, and the spectra can be read back.
    x = films(32) * 0.5 + 0.25
    out = match_illumination(x, others(x), ALL / 4)
    before, after = torch.fft.fft2(x[:, 0]), torch.fft.fft2(out[:, 0])
    cycles = torch.fft.fftfreq(32, 1 / 32).abs()
    low = (cycles[:, None] <= 2) & (cycles[None] <= 2)
    expected = 0.75 * before.abs() + 0.25 * others(before.abs())
    torch.testing.assert_close(after.abs()[:, low], expected[:, low], rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(after[:, ~low], before[:, ~low], rtol=1e-3, atol=1e-3)
    strong = low & (before.abs() > 1).all(0) & (after.abs() > 1).all(0)
    turned = (after * before.conj()).angle()[:, strong]
    torch.testing.assert_close(turned, torch.zeros_like(turned), atol=1e-2, rtol=0)


@pytest.mark.parametrize("side", [16, 48, 64, 112])
def test_illumination_is_read_and_laid_on_at_any_size(side: int) -> None:
    """A wave of two cycles down the image, and one twice as strong of the same place."""
    phase = 2 * 2 * np.pi * (torch.arange(side) + 0.5) / side
    wave = torch.cos(phase)[:, None].expand(1, 1, side, side)
    out = match_illumination(0.5 + 0.1 * wave, 0.6 + 0.2 * wave, torch.ones(1))
    torch.testing.assert_close(out, 0.6 + 0.2 * wave, atol=0.015, rtol=0)


def test_overall_brightness_comes_along() -> None:
    x = films() * 0.5 + 0.25
    out = match_illumination(x, others(x), ALL)
    torch.testing.assert_close(out.mean((1, 2, 3)), others(x.mean((1, 2, 3))), atol=5e-3, rtol=0)
