"""What the X-ray beam meets in a phantom patient: tissue, bone and air as attenuation fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from cxrdiag.data.phantom.anatomy import Anatomy, Field

Mask: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Chest:
    """What the beam meets, as (size, size) float32 fields.

    `tissue` is the attenuation of everything but the lungs' air (optical depth, 0 and up); `air`
    is the optical depth that air takes away from it (0 outside the lungs); `lung` is 1 inside
    the visible lung fields and 0 outside. `height` runs from 0 at the apex to 1 at the dome and
    `across` from -1 at the rib cage on the viewer's left to 1 at that on the viewer's right.
    """

    tissue: Field
    air: Field
    lung: Field
    height: Field
    across: Field


def _step(distance: Field, width: float) -> Field:
    """A soft step: 0 below -width/2, 1 above width/2."""
    ramp: Field = np.clip(distance * np.float32(1 / width) + np.float32(0.5), 0, 1)
    return ramp


def _bump(squared: Field) -> Field:
    """Path length through a round body, 1 in its middle; `squared` is 1 on its rim."""
    path: Field = np.sqrt(np.maximum(1 - squared, 0))
    return path


def _ellipse(u: Field, v: Field, x: float, y: float, w: float, h: float, tilt: float = 0) -> Field:
    """Squared distance from (x, y) in units of the half axes w and h; `tilt` shears it."""
    du, dv = u - np.float32(x), v - np.float32(y)
    du = du - np.float32(tilt) * dv if tilt else du
    squared: Field = np.square(du * np.float32(1 / w)) + np.square(dv * np.float32(1 / h))
    return squared


def _tube(distance: Field, radius: float) -> Field:
    """A long bone: a marrow cavity in a bright cortex; `distance` is from its axis, in u."""
    x = np.square(distance * np.float32(1 / radius))
    bone: Field = np.float32(0.45) + np.float32(0.6) * np.minimum(x, 1)
    return _step(1 - x, 0.5) * bone


def build_chest(a: Anatomy, u: Field, v: Field) -> Chest:
    """Lay out patient `a` over the grid of patient coordinates (u, v), each (size, size)."""
    side: Field = np.abs(u)
    left = u > 0
    cage, bell = _cage(a, side, v)
    lung, depth = _lungs(a, v, side, left, cage, bell)
    # Heart and soft tissue are smooth: half the resolution shows all there is.
    half_u, half_v = u[::2, ::2], v[::2, ::2]
    solid = enlarge(_heart(a, half_u, half_v), u.shape[0])
    air = np.float32(0.66 * a.thickness) * depth * (1 - np.float32(0.80) * solid)
    tissue = enlarge(_soft_tissue(a, half_u, half_v), u.shape[0])
    across = u / cage
    tissue += _ribs(a, v, left, np.abs(across))
    columns = np.flatnonzero((side < np.float32(0.14)).any(axis=0))
    middle = np.s_[:, columns[0] : columns[-1] + 1]
    tissue[middle] += _spine(a, u[middle], v[middle])
    above = np.s_[: np.count_nonzero((v < np.float32(a.clavicle_v + 0.62)).any(axis=1))]
    tissue[above] += _shoulder_bones(a, side[above], v[above])
    height = (v - np.float32(a.top)) * np.float32(1 / (a.dome - a.top))
    return Chest(tissue=tissue, air=air, lung=lung, height=height, across=across)


def enlarge(field: Field, size: int, *, smooth: bool = False) -> Field:
    """Interpolate a square field to (size, size)."""
    how = Image.Resampling.BICUBIC if smooth else Image.Resampling.BILINEAR
    return np.array(Image.fromarray(field).resize((size, size), how))


def _cage(a: Anatomy, side: Field, v: Field) -> tuple[Field, Field]:
    """The rib cage's inner half width at each height, and its bell shape, 0 to 1."""
    t = np.clip((v - np.float32(a.top)) * np.float32(1 / (0.55 - a.top)), 0, 1)
    bell = np.sqrt(1 - (1 - t) ** np.float32(a.square))
    return np.float32(a.apex_u) + np.float32(a.half_width - a.apex_u) * bell, bell


def _lungs(
    a: Anatomy, v: Field, side: Field, left: Mask, cage: Field, bell: Field
) -> tuple[Field, Field]:
    """The lung fields (0 to 1) and their depth along the beam (0 to about 1)."""
    # Towards the apex the inner border swings out from the mediastinum, which makes two domes.
    inner = np.float32(a.apex_u) - np.float32(a.apex_u - 0.03) * np.minimum(bell * 1.6, 1)
    q = (side - inner) / np.maximum(cage - inner, np.float32(1e-3))
    x = (side - np.float32(0.32)) * np.float32(1 / (a.half_width - 0.32))
    floor = np.float32(a.dome) + np.float32(a.dome_step) * left
    floor = floor + np.float32(a.dome_curve) * np.square(x)
    above = floor - v
    lung = _step(q, 0.05) * _step(1 - q, 0.02) * _step(above, 0.02)
    lung *= _step(v - np.float32(a.top), 0.03)
    # The lung thins towards the wall and above the sloping diaphragm.
    depth = lung * np.sqrt(np.clip(4.6 * q * (1.08 - q), 0, 1))
    depth *= np.float32(0.70) + np.float32(0.30) * np.clip(above * 4, 0, 1)
    return lung, depth


def _heart(a: Anatomy, u: Field, v: Field) -> Field:
    """The share of the lungs' depth that heart and great vessels fill, 0 to 1."""
    y = a.dome - a.heart_lift
    ventricle = _ellipse(u, v, a.heart_x, y, a.heart_w, a.heart_h, a.heart_tilt)
    atrium = _ellipse(u, v, -0.03, y - 0.04, 0.165, 0.40, 0.06)
    knob = _ellipse(u, v, a.mediastinum - 0.03, a.top + 0.36, a.knob, a.knob * 1.3)
    trunk = _ellipse(u, v, 0.095, a.top + 0.53, 0.11, 0.15)
    # Overlapping organs share the same space: the nearest outline counts, not the sum.
    nearest = np.minimum(np.minimum(ventricle, atrium), np.minimum(knob, trunk))
    solid = np.sqrt(np.sqrt(np.maximum(1 - nearest, 0)))
    narrow = np.float32(a.mediastinum) - np.float32(0.03) * np.cos(6 * v)
    column = _step(narrow - np.abs(u - np.float32(0.005)), 0.06)
    share: Field = np.maximum(solid, column * np.float32(0.9))
    return share


def _soft_tissue(a: Anatomy, u: Field, v: Field) -> Field:
    """Trunk, neck, shoulders, arms, breasts, jaw, abdomen; less the windpipe and stomach air."""
    side: Field = np.abs(u)
    left = u > 0
    cage, _ = _cage(a, side, v)
    width = cage + np.float32(a.wall) + np.float32(0.16) * np.clip(0.1 - v, 0, 0.6)
    trunk = np.sqrt(_bump(np.square(side / width))) * _step(v - np.float32(a.top + 0.05), 0.6)
    neck = np.float32(0.8) * _bump(np.square(side * np.float32(1 / 0.27)))
    neck *= _step(np.float32(a.top + 0.15) - v, 0.5)
    slope = np.float32(a.top - 0.40) + np.float32(0.34) * side
    shoulder = _step(v - slope - np.float32(0.1), 0.35) * _step(-v - np.float32(0.1), 0.8)
    shoulder *= np.float32(0.72) * _step(np.float32(a.half_width + 0.20) - side, 0.3)
    angle = np.where(left, np.float32(a.arm_left), np.float32(a.arm_right))
    du, dv = side - np.float32(a.half_width + 0.14), v - np.float32(a.clavicle_v + 0.12)
    c, s = np.cos(angle), np.sin(angle)
    along = np.maximum(du * c + dv * s, 0)
    off = np.hypot(du - along * c, dv - along * s)
    arm = np.float32(0.62) * _bump(np.square(off * np.float32(1 / 0.21)))
    # The fourth root of the fourth powers: a maximum without a seam.
    powers = np.square(np.square(np.stack([trunk, neck, shoulder, arm])))
    soft: Field = np.sqrt(np.sqrt(powers.sum(axis=0))) * np.float32(a.thickness)
    soft += np.float32(0.40 * a.bone) * _tube(off, 0.06)
    soft += np.float32(0.28 * a.bone) * _bump(_ellipse(du, dv, 0, 0, 0.105, 0.105))
    soft += np.float32(0.35) * _step(v - np.float32(a.dome + 0.1), 0.5)
    if a.breast > 0:
        shadow = _ellipse(side, v, 0.45, a.dome - 0.2, 0.3, 0.3)
        soft += np.float32(a.breast) * _bump(shadow) * _step(v - np.float32(a.dome - 0.3), 0.4)
    if a.chin > 0:
        jaw = _ellipse(side, v, 0, -1.2, 0.42, 0.2 + a.chin)
        soft += np.float32(1.2) * _bump(jaw)
        soft += np.float32(0.4) * _step(0.12 - np.abs(jaw - 0.9), 0.1)
    windpipe = _step(0.05 - np.abs(u - np.float32(a.trachea_u)), 0.04)
    soft -= np.float32(0.40) * windpipe * _step(np.float32(a.top + 0.52) - v, 0.1)
    if a.stomach > 0.05:
        y = a.dome + a.dome_step + 0.10
        bubble = _ellipse(u, v, a.stomach_u, y, a.stomach * 1.3, a.stomach * 0.6)
        soft -= np.float32(0.8) * _bump(bubble) * _step(v - np.float32(y - 0.05), 0.03)
    return soft


def _ribs(a: Anatomy, v: Field, left: Mask, across: Field) -> Field:
    """Twelve pairs: each a tilted ring, seen as a posterior and an anterior arch."""
    rng = np.random.default_rng(a.detail_seed)
    jitter = rng.normal(0, 0.05, (2, 32)) + rng.normal(0, 0.10, (2, 1))
    jitter[:, :4] = jitter[:, 15:] = 99  # no rib there: out of every pixel's reach
    row = left.astype(np.int32) * np.int32(32)
    inside = np.sqrt(np.maximum(1 - np.square(across * np.float32(0.965)), 0))
    level = (v - np.float32(a.top)) * np.float32(1 / a.rib_gap) + np.float32(a.rib_phase + 4)
    # Seen edge-on at the chest wall, a rib is several times as thick along the beam.
    grazing = np.minimum(np.float32(0.8) / (inside + np.float32(0.35)), 1.6)
    total: Field = np.zeros_like(v)
    for arch, strength, last in ((-1.0, 0.42, 14), (1.0, 0.26, 10)):
        shift = np.where(np.arange(32) > last, 99, jitter).astype(np.float32)
        phase = level - np.float32(a.rib_drop / 2) * (1 + np.float32(arch) * inside)
        number = np.rint(phase)
        index = np.clip(number, 0, 31).astype(np.int32) + row
        off = (phase - number - np.take(shift, index)) * np.float32(1 / a.rib_width)
        edge = np.square(off)
        profile = _step(1 - edge, 0.5) * (np.float32(0.5) + np.float32(0.6) * edge)
        # Anterior ends turn to cartilage, which is hardly seen; the posterior reach the spine.
        end = _step(across - 0.55, 0.4) if arch > 0 else _step(across - 0.08, 0.05)
        total += np.float32(strength * a.bone) * profile * end
    wall = np.float32(0.12) * _step(np.float32(0.03) - np.abs(across - 1.02), 0.03)
    wall *= _step(v - np.float32(a.top + 0.12), 0.2)
    bone: Field = (total * grazing + wall) * _step(np.float32(1.04) - across, 0.05)
    return bone


def _spine(a: Anatomy, u: Field, v: Field) -> Field:
    """Vertebral bodies with their discs, pedicles and spinous processes."""
    gap = a.rib_gap * 0.92
    phase = (v + np.float32(0.3 * a.rib_phase)) * np.float32(1 / gap)
    off = phase - np.rint(phase)
    x: Field = np.abs(u) * np.float32(1 / 0.10)
    body = _step(1 - x + np.float32(0.25) * np.square(off), 0.25)
    disc = _step(np.abs(off) - np.float32(0.40), 0.12)
    bone: Field = np.square(x) * np.float32(0.10) - disc * np.float32(0.15) + np.float32(0.30)
    bone *= body
    bone += np.float32(0.13) * _bump(_ellipse(x, off, 0.62, 0.1, 0.2, 0.22))
    bone += np.float32(0.12) * _bump(_ellipse(x, off, 0.0, -0.2, 0.16, 0.3))
    bone *= np.float32(a.bone)
    return bone


def _shoulder_bones(a: Anatomy, side: Field, v: Field) -> Field:
    """Clavicles and shoulder blades."""
    x = (side - np.float32(0.08)) * np.float32(1 / 0.70)
    curve = np.float32(a.clavicle_v) - np.float32(a.clavicle_slope) * x
    curve = curve + np.float32(0.03) * np.sin(np.float32(5.5) * x)
    reach = _step(x, 0.06) * _step(1 - x, 0.06)
    bones: Field = np.float32(0.58) * _tube(v - curve, 0.042) * reach
    # A triangle with bent sides: the medial edge, the lateral edge and the top of the blade.
    du, dv = side - np.float32(0.54 + a.scapula), v - np.float32(a.clavicle_v + 0.05)
    bend = np.float32(0.35) * dv * (np.float32(0.55) - dv)
    medial = du - np.float32(0.16) * dv + bend
    lateral = np.float32(0.27) - du - np.float32(0.26) * dv + bend
    upper = dv - np.float32(0.3) * du
    inside = np.minimum(np.minimum(medial, lateral), np.minimum(upper, np.float32(0.55) - dv))
    bones += np.float32(0.14) * _step(inside, 0.03)
    bones += np.float32(0.12) * _step(0.016 - np.abs(inside - np.float32(0.01)), 0.02)
    bones *= np.float32(a.bone)
    return bones
