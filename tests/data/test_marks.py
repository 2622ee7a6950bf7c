"""Frames and letters: where they are, how often, and that the rest of the film stays as it is."""

from __future__ import annotations

import pytest
import torch

from cxrdiag.data.augment import AugmentConfig, augment
from cxrdiag.data.marks import N_OVERLAYS, frame, letters

N, R = 400, 70


def _film() -> torch.Tensor:
    return 0.3 + 0.2 * torch.rand(N, 1, R, R, generator=torch.Generator().manual_seed(1))


def _augmented(**marks: float) -> torch.Tensor:
    return augment(_film(), AugmentConfig(**marks), torch.Generator().manual_seed(0))  # type: ignore[arg-type]


def test_a_frame_covers_its_edges_and_nothing_else() -> None:
    x = torch.rand(2, 1, 10, 10)
    edges = torch.tensor([[0.1, 0.2, 0.0, 0.3], [0.0, 0.0, 0.0, 0.0]])
    out = frame(x, edges, torch.tensor([0.0, 1.0]))
    expected = x.clone()
    expected[0, 0, :, :1] = 0  # left
    expected[0, 0, :, 8:] = 0  # right
    expected[0, 0, 7:] = 0  # bottom
    torch.testing.assert_close(out, expected, rtol=0, atol=0)


def test_a_frame_knows_no_left_from_right_and_no_top_from_bottom() -> None:
    x = torch.rand(64, 1, 10, 10)
    edges, gray = torch.rand(64, 4) / 3, torch.rand(64)
    framed = frame(x, edges, gray)
    mirrored = frame(x.flip(-1), edges[:, [1, 0, 2, 3]], gray).flip(-1)
    torch.testing.assert_close(framed, mirrored, rtol=0, atol=0)
    turned = frame(x.flip(-2), edges[:, [0, 1, 3, 2]], gray).flip(-2)
    torch.testing.assert_close(framed, turned, rtol=0, atol=0)


def test_frames_are_as_frequent_as_asked_and_at_most_a_seventh_wide() -> None:
    out, x = _augmented(frame=0.5), _augmented()
    changed = (out != x)[:, 0]
    framed = changed.flatten(1).any(dim=1)
    assert float(framed.float().mean()) == pytest.approx(0.5, abs=0.08)
    assert not changed[:, 10:60, 10:60].any()
    # A frame is of one gray, and black three times in four.
    grays = [out[i, 0][changed[i]] for i in framed.nonzero()[:, 0]]
    assert all(float(gray.max() - gray.min()) < 1e-6 for gray in grays)
    black = sum(float(gray[0]) == 0 for gray in grays) / len(grays)
    assert black == pytest.approx(0.75, abs=0.08)
    # Each side by itself: some frames have no left edge, some no top one.
    # (An edge of less than half a pixel, one in twenty, does not show.)
    place = [(R // 2, 0), (R // 2, R - 1), (0, R // 2), (R - 1, R // 2)]
    edges = [changed[framed][:, row, column].float() for row, column in place]
    for edge in edges:
        assert float(edge.mean()) == pytest.approx(0.7 * 0.95, abs=0.1)
    assert float((edges[0] * edges[2]).mean()) == pytest.approx(0.44, abs=0.1)


def test_letters_only_brighten_and_are_as_frequent_as_asked() -> None:
    out, x = _augmented(letters=0.5), _augmented()
    changed = (out != x).flatten(1)
    # Some overlays are blank, or too dark to show.
    assert float(changed.any(dim=1).float().mean()) == pytest.approx(0.5, abs=0.08)
    assert bool((out >= x).all())
    assert float(changed.float().mean(dim=1).max()) < 0.25
    # Not one overlay for all.
    assert len({places.numpy().tobytes() for places in changed[changed.any(dim=1)]}) > 60


def test_letters_stand_near_the_top_and_the_bottom_and_are_many() -> None:
    overlays = letters(128, torch.device("cpu")).float() / 255
    assert overlays.shape == (N_OVERLAYS, 1, 128, 128)
    assert 0 <= float(overlays.min()) < float(overlays.max()) <= 1
    rows = overlays[:, 0].amax(dim=(0, 2)) > 0
    assert rows[:20].any()
    assert rows[-20:].any()
    assert not rows[50:90].any()
    assert len({overlay.numpy().tobytes() for overlay in overlays}) > 0.9 * N_OVERLAYS
