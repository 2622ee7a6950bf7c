"""Another film's exposure: histograms against NumPy's quantiles, amplitudes by the spectrum."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from cxrdiag.data.style import exchange_illumination, exchange_tones

PARTNER = torch.tensor([1, 2, 0])
NONE, ALL = torch.zeros(3), torch.ones(3)


def films() -> Tensor:
    """Three smooth images of different exposure, (3, 1, 64, 64)."""
    place = torch.linspace(0, 1, 64)
    y, x = place[:, None], place[None, :]
    a = 0.2 + 0.3 * x + 0.1 * torch.sin(9 * y)
    b = 0.5 + 0.4 * y * x
    c = 0.9 * (x - 0.5) ** 2 + 0.2 * y
    grain = torch.rand(3, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    return torch.stack([a, b, c])[:, None] * 0.95 + 0.05 * grain


def test_no_share_leaves_images_alone() -> None:
    x = films()
    torch.testing.assert_close(exchange_tones(x, PARTNER, NONE), x)
    torch.testing.assert_close(exchange_illumination(x, PARTNER, NONE), x, atol=1e-6, rtol=0)


def test_an_image_that_is_its_own_partner_stays_as_it_is() -> None:
    x = films()
    same = torch.arange(3)
    torch.testing.assert_close(exchange_tones(x, same, ALL), x, atol=2 / 255, rtol=0)
    torch.testing.assert_close(exchange_illumination(x, same, ALL), x, atol=1e-6, rtol=0)


def test_all_of_the_tones_gives_the_partners_quantiles_in_the_images_own_order() -> None:
    x = films()
    out = exchange_tones(x, PARTNER, ALL)
    q = np.linspace(0.02, 0.98, 25)
    for i, j in enumerate(PARTNER.tolist()):
        expected = np.quantile(x[j].numpy(), q)
        np.testing.assert_allclose(np.quantile(out[i].numpy(), q), expected, atol=2.5 / 255)
        # Brighter than another pixel before by more than a level: not darker than it now.
        order = x[i].flatten().argsort()
        now = out[i].flatten()[order]
        assert float((now.cummax(0).values - now).max()) <= 1.5 / 255


def test_half_of_the_tones_is_halfway() -> None:
    x = films()
    whole = exchange_tones(x, PARTNER, ALL)
    half = exchange_tones(x, PARTNER, ALL / 2)
    torch.testing.assert_close(half, (x + whole) / 2, atol=1e-6, rtol=0)


def test_a_background_of_one_gray_stays_of_one_gray() -> None:
    x = films()
    x[0, 0, :20] = 0
    out = exchange_tones(x, PARTNER, ALL)
    assert len(out[0, 0, :20].unique()) == 1


def test_all_of_the_illumination_gives_the_partners_low_amplitudes_and_keeps_phases() -> None:
    # At the coarse size itself nothing is resampled, and the spectra can be read back.
    x = films()[:, :, ::2, ::2] * 0.5 + 0.25
    out = exchange_illumination(x, PARTNER, ALL / 4)
    before, after = torch.fft.fft2(x[:, 0]), torch.fft.fft2(out[:, 0])
    cycles = torch.fft.fftfreq(32, 1 / 32).abs()
    low = (cycles[:, None] <= 2) & (cycles[None] <= 2)
    expected = 0.75 * before.abs() + 0.25 * before.abs()[PARTNER]
    torch.testing.assert_close(after.abs()[:, low], expected[:, low], rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(after[:, ~low], before[:, ~low], rtol=1e-3, atol=1e-3)
    strong = low & (before.abs() > 1).all(0) & (after.abs() > 1).all(0)
    turned = (after * before.conj()).angle()[:, strong]
    torch.testing.assert_close(turned, torch.zeros_like(turned), atol=1e-2, rtol=0)


def test_a_partners_overall_brightness_comes_along() -> None:
    x = films() * 0.5 + 0.25
    out = exchange_illumination(x, PARTNER, ALL)
    means = x.mean((1, 2, 3))[PARTNER]
    torch.testing.assert_close(out.mean((1, 2, 3)), means, atol=5e-3, rtol=0)
