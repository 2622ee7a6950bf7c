"""A map is drawn where its cells look from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cxrdiag.model.overlay import enlarge


def test_enlarging_keeps_the_place_and_the_level() -> None:
    map_Bhw = np.zeros((2, 4, 4), np.float32)
    map_Bhw[0, 1, 2] = 1.0
    map_Bhw[1] = -3.0
    large = enlarge(map_Bhw, 64)
    assert large.shape == (2, 64, 64)
    assert large.dtype == np.float32
    row, column = divmod(int(large[0].argmax()), 64)
    # Cells are 16 pixels apart here, 8 of the input. Cell (1, 2) looks from the input's pixel
    # (8, 16), which has become rows 16 and 17 and columns 32 and 33.
    assert (row, column) in {(r, c) for r in (16, 17) for c in (32, 33)}
    np.testing.assert_allclose(large[1], np.full((64, 64), -3.0), rtol=1e-6)


@pytest.mark.parametrize(("h", "w", "size"), [(4, 4, 32), (7, 5, 61), (16, 16, 512), (3, 3, 3)])
def test_it_is_torchs_bicubic(h: int, w: int, size: int) -> None:
    map_hw = np.random.default_rng(0).normal(size=(h, w)).astype(np.float32)
    theta = torch.tensor([[1, 0, 0.875 / w], [0, 1, 0.875 / h]])[None]
    grid = F.affine_grid(theta, [1, 1, size, size], align_corners=False)
    expected = F.grid_sample(
        torch.from_numpy(map_hw)[None, None],
        grid,
        mode="bicubic",
        padding_mode="border",
        align_corners=False,
    )
    np.testing.assert_allclose(enlarge(map_hw, size), expected[0, 0].numpy(), atol=1e-4)
