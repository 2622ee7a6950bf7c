"""Augmentation does what its numbers say: geometry read back from ramps, exposure by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from cxrdiag.data.augment import AugmentConfig, augment

R = 32
STILL = AugmentConfig()
ALL = AugmentConfig(
    crop=(0.6, 1.2), normal_cut=0.2, aspect=0.2, shift=0.1, rotation=20, flip=0.5,
    gamma=0.5, contrast=0.4, brightness=0.3, sharpness=1.0, noise=0.05, erase=0.4,
    tones=1.0, illumination=1.0, frame=0.5, letters=0.5,
)  # fmt: skip
TARGETS = torch.tensor([0.0, 1.0] * 4)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(n: int, r: int = R) -> Tensor:
    return torch.rand(n, 1, r, r, generator=seeded(99))


def ramps(n: int) -> tuple[Tensor, Tensor]:
    """Images whose value is their column, and their row, as (place + 0.5) / R."""
    ramp = (torch.arange(R) + 0.5) / R
    across = ramp.expand(n, 1, R, R)
    return across, across.transpose(2, 3)


def sources(config: AugmentConfig, n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Where each output pixel was taken from, (n, R, R) each, as fractions of width and height.

    Bilinear sampling gives a ramp's value back exactly, but for the outermost half pixels.
    """
    x, y = (augment(ramp, config, seeded(seed))[:, 0] for ramp in ramps(n))
    return x, y


def test_the_defaults_leave_an_image_as_it_is() -> None:
    x = noise(3)
    torch.testing.assert_close(augment(x, STILL, seeded()), x, atol=1e-5, rtol=0)


def test_flip_mirrors_left_and_right() -> None:
    x = noise(4)
    flipped = augment(x, AugmentConfig(flip=1.0), seeded())
    torch.testing.assert_close(flipped, x.flip(-1), atol=1e-5, rtol=0)


def test_flip_has_its_probability_and_is_drawn_per_image() -> None:
    x = torch.tensor([[0.0, 1.0]]).expand(2, 2).expand(4000, 1, 2, 2)
    out = augment(x, AugmentConfig(flip=0.3), seeded())
    share = float((out[:, 0, 0, 0] > 0.5).float().mean())
    assert share == pytest.approx(0.3, abs=0.03)  # four standard errors


def test_a_crop_is_inside_the_image_and_anywhere_in_it() -> None:
    side = 0.5
    x, y = sources(AugmentConfig(crop=(side, side)), 500)
    for place, axis in ((x, 2), (y, 1)):
        step = place.diff(dim=axis)[:, 2:-2, 2:-2]
        torch.testing.assert_close(step, torch.full_like(step, side / R), atol=1e-5, rtol=0)
        centre = place.mean(dim=(1, 2))
        # Half a source pixel at the border is blended with its mirror image.
        assert centre.min() > side / 2 - 0.02
        assert centre.max() < 1 - side / 2 + 0.02
        assert centre.min() < side / 2 + 0.02
        assert centre.max() > 1 - side / 2 - 0.02
    columns_and_rows = torch.stack([x.mean(dim=(1, 2)), y.mean(dim=(1, 2))])
    assert abs(float(torch.corrcoef(columns_and_rows)[0, 1])) < 0.2


def test_a_crop_equals_slicing_and_bilinear_resizing() -> None:
    config = AugmentConfig(crop=(0.5, 0.5))
    image = noise(1).expand(64, 1, R, R)
    x, y = sources(config, 64)
    out = augment(image, config, seeded())[:, 0]
    pixels = image[0, 0].numpy().astype(np.float64)
    for i in range(64):
        column, row = x[i, 16].double().numpy() * R - 0.5, y[i, :, 16].double().numpy() * R - 0.5
        inner = slice(2, -2)
        expected = _bilinear(pixels, row[inner], column[inner])
        np.testing.assert_allclose(out[i, inner, inner].numpy(), expected, atol=1e-3)


def _bilinear(
    pixels: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    rows: np.ndarray[tuple[int], np.dtype[np.float64]],
    columns: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    at = np.arange(len(pixels))
    down, across = (np.maximum(0, 1 - np.abs(p[:, None] - at)) for p in (rows, columns))
    return np.asarray(down @ pixels @ across.T)


def test_zooming_out_by_two_averages_two_by_two_among_mirror_images() -> None:
    x = noise(2)
    out = augment(x, AugmentConfig(crop=(2.0, 2.0)), seeded())
    mirrored = np.pad(x.numpy(), ((0, 0), (0, 0), (R // 2,) * 2, (R // 2,) * 2), mode="symmetric")
    expected = F.avg_pool2d(torch.from_numpy(mirrored), 2)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)


def test_shift_moves_by_at_most_its_fraction() -> None:
    for moved in sources(AugmentConfig(shift=0.25), 500):
        centre = moved[:, R // 2, R // 2] - 0.5 / R - 0.5
        assert 0.23 < float(centre.max()) <= 0.25 + 1e-5
        assert -0.25 - 1e-5 <= float(centre.min()) < -0.23


def test_aspect_stretches_either_way_by_at_most_its_fraction() -> None:
    x, y = sources(AugmentConfig(aspect=0.25), 500)
    middle = slice(8, -8)
    width, height = x.diff(dim=2)[:, middle, middle], y.diff(dim=1)[:, middle, middle]
    ratio = width.mean(dim=(1, 2)) / height.mean(dim=(1, 2))
    assert 1.2 < float(ratio.max()) <= 1.2501
    assert 1 / 1.2501 <= float(ratio.min()) < 1 / 1.2
    area = width.mean(dim=(1, 2)) * height.mean(dim=(1, 2)) * R * R
    torch.testing.assert_close(area, torch.ones(500), atol=1e-3, rtol=0)


def test_a_normal_films_crop_loses_height_and_stays_inside() -> None:
    n = 400
    targets = torch.tensor([0.0, 1.0]).repeat(n // 2)
    config = AugmentConfig(normal_cut=0.4)
    x, y = (augment(ramp, config, seeded(), targets)[:, 0] for ramp in ramps(n))
    middle = slice(4, -4)
    height = y.diff(dim=1)[:, middle, middle].mean(dim=(1, 2)) * R
    width = x.diff(dim=2)[:, middle, middle].mean(dim=(1, 2)) * R
    torch.testing.assert_close(width, torch.ones(n), atol=1e-4, rtol=0)
    torch.testing.assert_close(height[1::2], torch.ones(n // 2), atol=1e-4, rtol=0)
    assert 0.6 - 1e-4 <= float(height[::2].min()) < 0.62
    assert 0.98 < float(height[::2].max()) <= 1 + 1e-4
    away = (y[::2, R // 2 - 1 : R // 2 + 1].mean(dim=(1, 2)) - 0.5).abs()
    room = (1 - height[::2]) / 2
    assert bool((away <= room + 1e-3).all())
    assert float((away / room.clamp(min=0.02)).max()) > 0.9
    with pytest.raises(ValueError, match="normal_cut"):
        augment(noise(3), config, seeded())


def test_rotation_turns_by_at_most_its_degrees_without_shear() -> None:
    x, y = sources(AugmentConfig(rotation=30), 500)
    middle = slice(12, -12)
    xc, xr = (x.diff(dim=d)[:, middle, middle].mean(dim=(1, 2)) * R for d in (2, 1))
    yc, yr = (y.diff(dim=d)[:, middle, middle].mean(dim=(1, 2)) * R for d in (2, 1))
    torch.testing.assert_close(xc * yr - xr * yc, torch.ones(500), atol=1e-3, rtol=0)
    torch.testing.assert_close(xc * xr + yc * yr, torch.zeros(500), atol=1e-3, rtol=0)
    angle = torch.rad2deg(torch.atan2(yc, xc))
    assert 28 < float(angle.max()) < 30.01
    assert -30.01 < float(angle.min()) < -28


def test_gamma_is_a_power_within_its_range() -> None:
    out = augment(torch.full((500, 1, 4, 4), 0.5), AugmentConfig(gamma=0.4), seeded())
    log_gamma = torch.log(torch.log(out[:, 0, 0, 0]) / math.log(0.5))
    assert 0.37 < float(log_gamma.max()) < 0.401
    assert -0.401 < float(log_gamma.min()) < -0.37
    assert (out == out[:, :, :1, :1]).all()


def test_brightness_shifts_within_its_range() -> None:
    x = 0.4 + 0.2 * noise(500, 8)
    shift = augment(x, AugmentConfig(brightness=0.3), seeded()) - x
    torch.testing.assert_close(shift, shift.mean((2, 3), keepdim=True).expand_as(x))
    assert 0.28 < float(shift.max()) < 0.3001
    assert -0.3001 < float(shift.min()) < -0.28


def test_contrast_stretches_about_the_mean_within_its_range() -> None:
    x = 0.4 + 0.2 * noise(500, 8)
    out = augment(x, AugmentConfig(contrast=0.5), seeded())
    torch.testing.assert_close(out.mean((1, 2, 3)), x.mean((1, 2, 3)), atol=1e-5, rtol=0)
    ratio = out.std((1, 2, 3)) / x.std((1, 2, 3))
    assert 1.48 < float(ratio.max()) < 1.501
    assert 0.499 < float(ratio.min()) < 0.52


@pytest.mark.parametrize("share", [0.1, 0.35, 1.0])
def test_erase_covers_one_rectangle_of_one_gray_no_larger_than_its_share(share: float) -> None:
    x = torch.full((300, 1, R, R), 0.5)
    out = augment(x, AugmentConfig(erase=share), seeded())[:, 0]
    side = math.ceil(share * R)
    sides = []
    for image in out:
        covered = (image - 0.5).abs() > 1e-4
        rows, columns = covered.any(1), covered.any(0)
        assert (covered == rows[:, None] & columns[None]).all()
        for line in (rows, columns):
            on = line.nonzero()[:, 0]
            sides.append(len(on))
            assert len(on) == 0 or int(on[-1] - on[0]) + 1 == len(on) <= side
        assert len(image[covered].unique()) <= 1
    assert max(sides) >= side - 1


def test_one_seed_gives_one_result_and_nobody_elses_draws_change() -> None:
    x = noise(8)
    state = torch.get_rng_state()
    first = augment(x, ALL, seeded(3), TARGETS[:8])
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(augment(x, ALL, seeded(3), TARGETS[:8]), first)
    assert not torch.equal(augment(x, ALL, seeded(4), TARGETS[:8]), first)
    assert torch.equal(x, noise(8))


def test_each_image_and_each_call_is_drawn_anew() -> None:
    x = noise(1).expand(6, 1, R, R)
    generator = seeded()
    images = [image for _ in range(2) for image in augment(x, ALL, generator, TARGETS[:6])]
    assert all(not torch.equal(images[i], images[j]) for i in range(12) for j in range(i))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    config=st.builds(
        AugmentConfig,
        crop=st.tuples(st.floats(0.3, 1), st.floats(1, 2)),
        normal_cut=st.floats(0, 0.9),
        aspect=st.floats(0, 1), shift=st.floats(0, 0.5), rotation=st.floats(0, 180),
        flip=st.floats(0, 1), gamma=st.floats(0, 2), contrast=st.floats(0, 1),
        brightness=st.floats(0, 1), erase=st.floats(0, 1),
        sharpness=st.floats(0, 1), noise=st.floats(0, 1),
        tones=st.floats(0, 1), illumination=st.floats(0, 1),
        frame=st.floats(0, 1), letters=st.floats(0, 1),
    ),
)  # fmt: skip
def test_pixels_stay_in_range_and_shape(seed: int, config: AugmentConfig) -> None:
    x = noise(5, 16).round()  # all black or white
    out = augment(x, config, seeded(seed), TARGETS[:5])
    assert out.shape == x.shape
    assert out.dtype == torch.float32
    assert 0 <= float(out.min()) <= float(out.max()) <= 1  # and no NaN


def test_sharpness_moves_fine_detail_within_its_share() -> None:
    """out = x + a (x - box 3x3 of x), |a| at most the configured share, one a for an image."""
    rng = torch.Generator().manual_seed(0)
    x = 0.3 + 0.4 * torch.rand(64, 1, 24, 24, generator=rng)
    out = augment(x, AugmentConfig(sharpness=0.2), seeded())
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    box = sum(padded[:, :, i : i + 24, j : j + 24] for i in range(3) for j in range(3)) / 9
    detail, moved = x.numpy() - box, out.numpy() - x.numpy()
    amounts = (moved * detail).sum(axis=(1, 2, 3)) / (detail**2).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(moved, amounts[:, None, None, None] * detail, atol=1e-5)
    assert np.abs(amounts).max() <= 0.2 + 1e-4
    assert amounts.min() < -0.1 < 0.1 < amounts.max()


def test_no_two_images_have_the_same_grain() -> None:
    x, drawn = torch.full((6, 1, R, R), 0.5), seeded()
    grain = torch.cat([augment(x, AugmentConfig(noise=0.05), drawn) for _ in range(2)]) - 0.5
    alike = np.corrcoef(grain.flatten(1).numpy()) - np.eye(12)
    assert np.abs(alike).max() < 5 / R  # five standard deviations of a chance correlation


def test_noise_is_gaussian_and_differs_in_strength_between_images() -> None:
    x = torch.full((64, 1, 64, 64), 0.5)
    out = augment(x, AugmentConfig(noise=0.05), seeded())
    sigmas = (out - x).flatten(1).std(dim=1)
    assert sigmas.max() <= 0.05 * 1.05
    assert sigmas.min() < 0.01 < 0.04 < sigmas.max()
    assert (out - x).mean().abs() < 1e-3


@pytest.mark.parametrize("style", [AugmentConfig(tones=0.5), AugmentConfig(illumination=0.5)])
def test_style_comes_from_an_image_of_the_batch_by_at_most_its_share(style: AugmentConfig) -> None:
    x = (0.1 * noise(200, 16) + torch.tensor([0.2, 0.7]).repeat(100).view(-1, 1, 1, 1)).clamp(0, 1)
    means = augment(x, style, seeded()).mean((1, 2, 3))
    moved = (means - x.mean((1, 2, 3))).abs()
    assert 0.23 < float(moved.max()) < 0.26  # half the way from 0.25 to 0.75
    assert float((moved < 0.01).float().mean()) == pytest.approx(0.5, abs=0.15)  # own kind


@pytest.mark.parametrize("style", [AugmentConfig(tones=0.5), AugmentConfig(illumination=0.5)])
def test_an_image_alone_keeps_its_style(style: AugmentConfig) -> None:
    x = noise(1)
    out = augment(x, style, seeded())
    torch.testing.assert_close(out, x, atol=2 / 255, rtol=0)
