"""What disease does to a phantom's lungs: the share of their air that fluid has replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np

from cxrdiag.data.phantom.anatomy import Field
from cxrdiag.data.phantom.chest import Chest, enlarge

Finding: TypeAlias = Literal["normal", "consolidation", "interstitial", "diffuse"]


def clouds(rng: np.random.Generator, size: int, cells: int) -> Field:
    """Smooth noise with about `cells` blobs across: (size, size), mean 0, deviation about 0.7."""
    return enlarge(rng.standard_normal((cells, cells), np.float32), size, smooth=True)


def draw_opacity(rng: np.random.Generator, finding: Finding, chest: Chest) -> Field:
    """Return the share of the lungs' air that is lost, (size, size), 0 to 1.

    Healthy lungs lose a little too: nobody breathes in perfectly, and films are seldom clean.
    """
    size = chest.lung.shape[0]
    haze = float(rng.uniform(0.0, 0.10)) * (1 + clouds(rng, size, 6))
    haze += float(rng.uniform(0.0, 0.05)) * _reticular(rng, size, size // 5)
    if finding != "normal":
        # Most cases are plain, some barely visible, as in a real reading room.
        severity = float(rng.beta(2.0, 1.2))
        haze += _LESIONS[finding](rng, chest, severity)
    lost: Field = np.clip(haze, 0, 0.95)
    return lost


def _consolidation(rng: np.random.Generator, chest: Chest, severity: float) -> Field:
    """Airspace filled lobe by lobe: fluffy edges, a straight one where a fissure stops it."""
    size = chest.lung.shape[0]
    fluff = clouds(rng, size, 7) * 0.34 + clouds(rng, size, 18) * 0.14
    texture = 0.85 + 0.08 * clouds(rng, size, 40)
    total: Field = np.zeros_like(chest.lung)
    for _ in range(1 + int(rng.random() < 0.3)):
        side = 1.0 if rng.random() < 0.45 else -1.0
        x, y = side * rng.uniform(0.30, 0.78), rng.choice([0.25, 0.60, 0.85, 0.98])
        y += rng.normal(0, 0.06)
        w, h = rng.uniform(0.20, 0.42), rng.uniform(0.16, 0.30)
        distance = np.hypot((chest.across - np.float32(x)) / w, (chest.height - np.float32(y)) / h)
        blob = np.clip(1.35 - distance.astype(np.float32) + fluff, 0, 1)
        if side < 0 and rng.random() < 0.35:  # the minor fissure, right lung only
            fissure = 0.52 + 0.05 * chest.across
            gap = (fissure - chest.height) if y < 0.5 else (chest.height - fissure)
            blob = blob * np.clip(gap * 25 + 0.5, 0, 1)
        total = np.maximum(total, blob)
    return total * texture * np.float32(0.20 + 0.70 * severity)


def _interstitial(rng: np.random.Generator, chest: Chest, severity: float) -> Field:
    """A net of thickened septa and cuffed bronchi, densest around the hila."""
    size = chest.lung.shape[0]
    net = _reticular(rng, size, size // 4) * 0.55 + _reticular(rng, size, size // 7) * 0.45
    distance = np.hypot(np.abs(chest.across) - np.float32(0.25), (chest.height - 0.6) * 0.8)
    where = np.clip(1.15 - 1.3 * distance + 0.35 * clouds(rng, size, 5), 0.05, 1)
    lost: Field = where * (net + 0.35) * np.float32(0.14 + 0.44 * severity)
    return lost


def _diffuse(rng: np.random.Generator, chest: Chest, severity: float) -> Field:
    """Ground glass on both sides, rather peripheral and basal, patchy."""
    size = chest.lung.shape[0]
    patches = np.clip(0.5 + 0.6 * clouds(rng, size, 6) + 0.25 * clouds(rng, size, 15), 0, 1)
    where = 0.35 + 0.35 * np.abs(chest.across) + 0.35 * np.clip(chest.height, 0, 1)
    grain = 1 + 0.15 * clouds(rng, size, 50)
    lost: Field = where * (0.25 + 0.75 * patches) * grain * np.float32(0.20 + 0.60 * severity)
    return lost


def _reticular(rng: np.random.Generator, size: int, cells: int) -> Field:
    """A net of fine lines, 0 to 1: where smooth noise crosses zero."""
    net: Field = np.clip(1 - 1.7 * np.abs(clouds(rng, size, max(cells, 2))), 0, 1)
    return net


_LESIONS: dict[str, Callable[[np.random.Generator, Chest, float], Field]] = {
    "consolidation": _consolidation,
    "interstitial": _interstitial,
    "diffuse": _diffuse,
}
