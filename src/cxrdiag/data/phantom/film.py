"""How a phantom is put on film: pose, exposure, scatter, noise, film curve, marker, tubes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from cxrdiag.data.phantom.anatomy import Field, Strokes
from cxrdiag.data.phantom.chest import enlarge


@dataclass(frozen=True, kw_only=True)
class View:
    """One exposure of a patient. Nothing in it knows the finding."""

    angle: float
    """Rotation in radians."""
    scale_u: float
    scale_v: float
    """Patient coordinates per half film: large is a small patient."""
    shift_u: float
    shift_v: float
    turn: float
    """Turn of the patient to one side, as the midline's shift in u."""
    exposure: float
    """Optical depth that comes out mid-gray."""
    contrast: float
    """Slope of the film curve there."""
    gamma: float
    scatter: float
    """Scattered light over direct light."""
    noise: float
    """Deviation of the quantum noise at full exposure, in optical depth."""
    grain: float
    """Deviation of the film grain, in gray levels of 1."""
    slant: float
    """Exposure difference over the film's width (heel effect), in optical depth."""
    blur: float
    """Deviation of the focal spot's blur, in 1/256 of the film."""
    black: float
    """Gray of the unshielded film, 0 to 1."""
    border: tuple[float, float, float, float]
    """Collimated share of the film at the left, top, right and bottom; 0 for none."""
    marker: str
    """The burnt-in letter, or nothing."""
    marker_at: tuple[float, float]
    marker_size: float
    leads: int
    """Number of electrodes with their wires; negative adds a tube down the windpipe."""


def draw_view(rng: np.random.Generator, shift: float = 0.0) -> View:
    """Return a random exposure; `shift` moves its style, 0 for one department, 1 for another."""
    side = "R" if rng.random() < 0.75 else "L"
    x = rng.uniform(0.02, 0.12) if side == "R" else rng.uniform(0.86, 0.94)
    border = rng.uniform(0.0, 0.05, 4) * (rng.random(4) < 0.6 * (rng.random() < 0.25))
    return View(
        angle=float(rng.normal(0, 0.035)),
        scale_u=float(rng.uniform(0.92, 1.12)),
        scale_v=float(rng.uniform(0.88, 1.04)),
        shift_u=float(rng.normal(0, 0.03)),
        shift_v=float(rng.normal(0.0, 0.04)),
        turn=float(rng.normal(0, 0.025)),
        exposure=float(rng.normal(1.62 + 0.06 * shift, 0.17)),
        contrast=float(rng.uniform(1.15, 1.9) - 0.08 * shift),
        gamma=float(rng.uniform(0.85, 1.2)),
        scatter=float(rng.uniform(0.05, 0.22 + 0.04 * shift)),
        noise=float(rng.uniform(0.004, 0.016)),
        grain=float(rng.uniform(0.003, 0.010)),
        slant=float(rng.normal(0, 0.10)),
        blur=float(rng.uniform(0.45, 0.85)),
        black=float(rng.uniform(0.0, 0.07)),
        border=(float(border[0]), float(border[1]), float(border[2]), float(border[3])),
        marker=side if rng.random() < 0.7 else "",
        marker_at=(float(x), float(rng.uniform(0.03, 0.5))),
        marker_size=float(rng.uniform(0.045, 0.075)),
        leads=int(rng.choice([0, 0, 0, 0, 0, 1, 2, 3, -1])),
    )


def patient_grid(view: View, size: int) -> tuple[Field, Field]:
    """Return the patient coordinates (u, v) of each pixel, both (size, size)."""
    axis = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(2 / size) - 1
    x, y = axis[None, :], axis[:, None]
    c, s = np.float32(np.cos(view.angle)), np.float32(np.sin(view.angle))
    u = np.float32(view.scale_u) * (c * x + s * y) - np.float32(view.shift_u)
    v = np.float32(view.scale_v) * (c * y - s * x) - np.float32(view.shift_v)
    # What lies in the middle moves, the outline stays.
    u += np.float32(view.turn) * np.maximum(1 - np.square(u), 0)
    return u, v


def project(strokes: Strokes, view: View, size: int) -> Field:
    """Return the attenuation of thin things, (size, size), 0 to 1."""
    fine = 2 * size  # drawn at twice the size and averaged: half-pixel widths show
    canvas = Image.new("L", (fine, fine))
    draw = ImageDraw.Draw(canvas)
    c, s = np.cos(view.angle), np.sin(view.angle)
    order = np.argsort(strokes.density, kind="stable")  # dense over faint
    a = strokes.ends[order, :, 0]
    a = (a - view.turn * np.maximum(1 - a**2, 0) + view.shift_u) / view.scale_u
    b = (strokes.ends[order, :, 1] + view.shift_v) / view.scale_v
    xy = (np.stack([c * a - s * b, s * a + c * b], axis=2) + 1) * (fine / 2)
    width = np.maximum(np.rint(strokes.width[order] * size / view.scale_u), 1).astype(int)
    gray = (255 * strokes.density[order]).astype(int)
    for line, w, g in zip(xy.reshape(-1, 4).tolist(), width.tolist(), gray.tolist(), strict=True):
        draw.line(line, g, w)
    return np.asarray(canvas.reduce(2), np.float32) * np.float32(1 / 255)


def draw_leads(rng: np.random.Generator, count: int) -> Strokes:
    """Return `count` wires from electrodes on the chest to the film's edge, or one tube."""
    t = np.linspace(0, 1, 14)
    if count < 0:
        x = np.interp(t, [0, 0.4, 0.7, 1], rng.normal(0, 0.012, 4))
        tube = np.stack([x, -1.3 + t * rng.uniform(0.9, 1.05)], axis=1)
        return _join([tube, tube], [0.030, 0.008], [0.30, 0.55])
    paths, widths, densities = [], [], []
    for _ in range(count):
        side = rng.choice([-1, 1])
        start = np.array([side * rng.uniform(0.3, 0.75), rng.uniform(-0.5, 0.5)])
        end = np.array([side * 1.3, start[1] + rng.normal(0, 0.7)])
        bow = rng.normal(0, 0.25) * np.sin(np.pi * t)
        paths.append(start + t[:, None] * (end - start) + bow[:, None] * np.array([0.4, 1.0]))
        turn = 2 * np.pi * t
        paths.append(start + 0.014 * np.stack([np.cos(turn), np.sin(turn)], axis=1))
        widths += [0.009, 0.03]
        densities += [0.5, 0.9]
    return _join(paths, widths, densities)


def _join(
    paths: list[npt.NDArray[np.float64]], widths: list[float], densities: list[float]
) -> Strokes:
    """Cut polylines of equally many points into straight strokes."""
    ends = np.concatenate([np.stack([path[:-1], path[1:]], axis=1) for path in paths])
    each = len(ends) // len(paths)
    return Strokes(ends, np.repeat(widths, each), np.repeat(densities, each))


def expose(rng: np.random.Generator, depth: Field, view: View) -> npt.NDArray[np.uint8]:
    """Turn optical depth (size, size) into the developed film: uint8, bone white, air black."""
    size = depth.shape[0]
    light = np.exp(-np.maximum(depth, 0))
    # Scatter is smooth: blur an eighth of the film.
    coarse = max(size // 8, 1)
    small = np.asarray(Image.fromarray(light).resize((coarse, coarse), Image.Resampling.BOX))
    light += np.float32(view.scatter) * enlarge(ndimage.gaussian_filter(small, coarse / 16), size)
    quanta = rng.standard_normal((size, size), np.float32) * np.float32(view.noise)
    seen = -np.log(light + np.sqrt(light) * quanta + np.float32(1e-3))
    seen = ndimage.gaussian_filter(seen, view.blur * size / 256, truncate=2.5)
    seen += np.linspace(-view.slant, view.slant, size, dtype=np.float32)
    gray = 1 / (1 + np.exp(np.float32(-view.contrast) * (seen - np.float32(view.exposure))))
    low = 1 / (1 + np.exp(view.contrast * view.exposure))
    gray = np.clip((gray - np.float32(low)) * np.float32(1 / (0.97 - low)), 0, 1)
    gray **= np.float32(view.gamma)
    half = rng.standard_normal((size // 2, size // 2), np.float32) * np.float32(view.grain)
    gray += enlarge(half, size)
    gray = np.float32(view.black) + np.float32(1 - view.black) * gray
    _collimate(gray, view)
    film = np.clip(gray * 255 + np.float32(0.5), 0, 255).astype(np.uint8)
    return _burn_in(film, view)


def _collimate(gray: Field, view: View) -> None:
    """Blacken the borders that the collimator shielded, in place."""
    left, top, right, bottom = (round(share * gray.shape[0]) for share in view.border)
    for edge in (np.s_[:, :left], np.s_[:top], np.s_[:, gray.shape[1] - right :]):
        gray[edge] *= np.float32(0.08)
    gray[gray.shape[0] - bottom :] *= np.float32(0.08)


def _burn_in(film: npt.NDArray[np.uint8], view: View) -> npt.NDArray[np.uint8]:
    """Write the side marker."""
    if not view.marker:
        return film
    size = film.shape[0]
    image = Image.fromarray(film)
    font = ImageFont.load_default(max(6.0, view.marker_size * size))
    at = (view.marker_at[0] * size, view.marker_at[1] * size)
    ImageDraw.Draw(image).text(at, view.marker, fill=235, font=font, anchor="lt")
    return np.array(image)
