"""Random patients for the chest phantoms: the measures of a body and its tree of vessels.

Coordinates are the patient's, as seen on a frontal film: `u` runs from the viewer's left (the
patient's right) to the viewer's right, `v` downwards, both about -1 to 1 over the film, u = 0 on
the midline. Densities are optical depths: a beam keeps exp(-depth) of itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Field: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Strokes:
    """Thin straight things in the beam, n of them."""

    ends: npt.NDArray[np.float64]
    """(n, 2, 2): both ends of each, as patient coordinates (u, v)."""
    width: npt.NDArray[np.float64]
    """(n,): diameter in u."""
    density: npt.NDArray[np.float64]
    """(n,): optical depth through the middle, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """One patient. Each field is drawn uniformly from the range given in `_RANGES`."""

    top: float
    """v of the lung apices."""
    dome: float
    """v of the right diaphragm's dome: small is a low inspiration."""
    dome_step: float
    """How much lower the left dome lies."""
    dome_curve: float
    """How far the diaphragm falls from the dome to the costophrenic angle."""
    half_width: float
    """Inner half width of the rib cage at its widest, in u."""
    apex_u: float
    """|u| of the lung apices."""
    square: float
    """Exponent of the rib cage's side: small is a barrel, large a bell."""
    wall: float
    """Thickness of the soft tissue outside the rib cage, in u."""
    thickness: float
    """Optical depth of the soft tissue through the trunk's middle."""
    rib_gap: float
    """Distance between neighbouring ribs, in v."""
    rib_drop: float
    """How far a rib descends from the spine to the breastbone, in rib gaps."""
    rib_phase: float
    rib_width: float
    """Half the height of a rib, in rib gaps."""
    bone: float
    """Density of all bones, relative."""
    heart_x: float
    heart_lift: float
    """How far the heart's middle lies above the right dome, in v."""
    heart_w: float
    heart_h: float
    heart_tilt: float
    mediastinum: float
    """Half width of the upper mediastinum, in u: wide in children with a thymus."""
    knob: float
    """Radius of the aortic knob, in u."""
    trachea_u: float
    clavicle_v: float
    clavicle_slope: float
    arm_right: float
    arm_left: float
    """Angle of the upper arms in radians: 1.3 hangs down, negative is raised."""
    scapula: float
    """How far the shoulder blades are turned out of the lung fields, in u."""
    vessels: float
    """How strongly the pulmonary vessels are filled, relative."""
    breast: float
    """Optical depth of the breast shadows; none where negative."""
    stomach_u: float
    stomach: float
    """Radius of the stomach bubble in u; none where below 0.05."""
    chin: float
    """How far the jaw reaches into the film from above, in v; none where negative."""
    detail_seed: int
    """Seeds the vessel tree and the ribs' small irregularities."""


_RANGES: dict[str, tuple[float, float]] = {
    "top": (-0.76, -0.62),
    "dome": (0.22, 0.50),
    "dome_step": (0.02, 0.09),
    "dome_curve": (0.14, 0.27),
    "half_width": (0.66, 0.80),
    "apex_u": (0.24, 0.31),
    "square": (1.7, 2.5),
    "wall": (0.05, 0.14),
    "thickness": (2.5, 3.1),
    "rib_gap": (0.138, 0.168),
    "rib_drop": (2.7, 4.0),
    "rib_phase": (0.0, 1.0),
    "rib_width": (0.20, 0.27),
    "bone": (0.85, 1.45),
    "heart_x": (0.11, 0.17),
    "heart_lift": (0.10, 0.20),
    "heart_w": (0.23, 0.31),
    "heart_h": (0.34, 0.42),
    "heart_tilt": (0.15, 0.45),
    "mediastinum": (0.10, 0.18),
    "knob": (0.05, 0.085),
    "trachea_u": (-0.035, 0.01),
    "clavicle_v": (-0.74, -0.60),
    "clavicle_slope": (-0.12, 0.10),
    "arm_right": (-1.0, 1.35),
    "arm_left": (-0.2, 0.2),
    "scapula": (0.0, 0.16),
    "vessels": (0.6, 1.5),
    "breast": (-0.5, 0.22),
    "stomach_u": (0.24, 0.44),
    "stomach": (-0.12, 0.16),
    "chin": (-0.35, 0.16),
}


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """Return a random patient."""
    values = {name: float(rng.uniform(low, high)) for name, (low, high) in _RANGES.items()}
    values["arm_left"] += values["arm_right"]  # nobody raises one arm only
    return Anatomy(**values, detail_seed=int(rng.integers(2**32)))


def vessel_tree(a: Anatomy) -> Strokes:
    """Return the pulmonary vessels of both lungs, forking three times from the hila outwards."""
    rng = np.random.default_rng([a.detail_seed, 1])
    side = np.repeat([-1.0, 1.0], 10)
    fan = np.tile(np.linspace(-1.35, 1.45, 10), 2) + rng.normal(0, 0.12, 20)
    start = np.stack([side * 0.13, a.top + 0.56 - 0.03 * side + 0.11 * fan], axis=1)
    start += rng.normal(0, 0.025, (20, 2))
    length = rng.uniform(0.20, 0.38, 20) * (1 + 0.3 * (fan > 0.4))
    width = np.full(20, 0.034) * rng.uniform(0.7, 1.15, 20)
    angle, ends, widths = fan, [], []
    for _ in range(3):
        bends = angle[:, None] + np.cumsum(rng.normal(0.06, 0.17, (len(angle), 4)), axis=1)
        steps = np.stack([side[:, None] * np.cos(bends), np.sin(bends)], axis=2)
        path = np.cumsum(steps * (length / 4)[:, None, None], axis=1) + start[:, None]
        path = np.concatenate([start[:, None], path], axis=1)
        ends.append(np.stack([path[:, :-1], path[:, 1:]], axis=2).reshape(-1, 2, 2))
        widths.append((width[:, None] * np.linspace(1, 0.66, 4)).ravel())
        # Each forks three times: once on either side before its end, and at the end.
        turn = rng.uniform(0.25, 0.8, (len(angle), 3)) * [1.0, -1.0, 0.0]
        angle = (bends[:, [1, 2, 3]] + turn).ravel()
        start = path[:, [2, 3, 4]].reshape(-1, 2)
        side, width = np.repeat(side, 3), np.repeat(width * 0.6, 3)
        length = np.repeat(length * 0.62, 3) * rng.uniform(0.6, 1.2, len(side))
    thick = np.concatenate(widths)
    return Strokes(np.concatenate(ends), thick, np.minimum(11 * thick * a.vessels, 1.0))
