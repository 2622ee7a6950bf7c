"""Pictures that are no upright frontal chest X-ray, made of films and of nothing.

What a detector learns to refuse by: nobody has a collection of all that may be handed in. Kinds of
the first table are films that were turned, cut up or spoilt; those of the second are drawn.

Shapes: N films, n pictures made, S side of a stored square.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Gray = NDArray[np.uint8]
"""(S, S)"""


def negatives(
    films_NSS: NDArray[np.uint8], n: int, seed: int = 0
) -> tuple[NDArray[np.uint8], list[str]]:
    """`n` pictures, uint8 (n, S, S), of each kind in turn, and their kinds.

    The films are drawn from `films_NSS`, which is only read. The same for the same seed.
    """
    rng = np.random.default_rng(seed)
    side = films_NSS.shape[-1]
    made_nSS = np.empty((n, side, side), np.uint8)
    kinds = [*SPOILT, *DRAWN]
    names = [kinds[i % len(kinds)] for i in range(n)]
    for picture, name in zip(made_nSS, names, strict=True):
        if name in SPOILT:
            picture[:] = SPOILT[name](films_NSS[rng.integers(len(films_NSS))], rng)
        else:
            picture[:] = DRAWN[name](side, rng)
    return made_nSS, names


def _inverted(film: Gray, rng: np.random.Generator) -> Gray:
    return 255 - film


def _upside_down(film: Gray, rng: np.random.Generator) -> Gray:
    return film[::-1, :: rng.choice([-1, 1])]


def _lying(film: Gray, rng: np.random.Generator) -> Gray:
    return np.rot90(film, rng.choice([1, 3]))


def _part(film: Gray, rng: np.random.Generator) -> Gray:
    """A fifth to two fifths of each side, enlarged."""
    side = len(film)
    width = int(side * rng.uniform(0.2, 0.4))
    top, left = rng.integers(side - width, size=2)
    return _resized(film[top : top + width, left : left + width], side)


def _shuffled(film: Gray, rng: np.random.Generator) -> Gray:
    n = int(rng.integers(2, 7))
    whole = _resized(film, 60 * n)
    tiles = whole.reshape(n, 60, n, 60).swapaxes(1, 2).reshape(n * n, 60, 60)
    order = rng.permutation(n * n)
    return _resized(
        tiles[order].reshape(n, n, 60, 60).swapaxes(1, 2).reshape(whole.shape), len(film)
    )


def _repeated(film: Gray, rng: np.random.Generator) -> Gray:
    n = int(rng.integers(2, 5))
    return _resized(np.tile(film, (n, n)), len(film))


def _edges(film: Gray, rng: np.random.Generator) -> Gray:
    down, right = np.gradient(film.astype(np.float32))
    return _stretched(np.hypot(down, right))


def _two_tones(film: Gray, rng: np.random.Generator) -> Gray:
    return np.where(film > np.quantile(film, rng.uniform(0.3, 0.7)), 255, 0).astype(np.uint8)


def _phases(film: Gray, rng: np.random.Generator) -> Gray:
    """The film's spectrum and none of its shapes."""
    spectrum = np.abs(np.fft.rfft2(film))
    turn = np.exp(2j * math.pi * rng.random(spectrum.shape))
    return _stretched(np.fft.irfft2(spectrum * turn, film.shape))


def _swirled(film: Gray, rng: np.random.Generator) -> Gray:
    side = len(film)
    y, x = np.mgrid[:side, :side] / side - 0.5
    angle = rng.choice([-1, 1]) * rng.uniform(3, 8) * np.exp(-6 * np.hypot(x, y))
    rows = (np.sin(angle) * x + np.cos(angle) * y + 0.5) * side
    columns = (np.cos(angle) * x - np.sin(angle) * y + 0.5) * side
    inside = [np.clip(at, 0, side - 1).astype(np.int64) for at in (rows, columns)]
    return np.asarray(film[inside[0], inside[1]])


def _blank(side: int, rng: np.random.Generator) -> Gray:
    level, grain = rng.uniform(0, 255), rng.choice([0, rng.uniform(0, 6)])
    return _clipped(level + grain * rng.standard_normal((side, side)))


def _noise(side: int, rng: np.random.Generator) -> Gray:
    return _toned(_cloud(side, rng.uniform(0, 3.5), rng), rng)


def _gradient(side: int, rng: np.random.Generator) -> Gray:
    y, x = np.mgrid[:side, :side] / side - rng.uniform(0, 1, (2, 1, 1))
    angle = rng.uniform(0, 2 * math.pi)
    straight, round_ = math.cos(angle) * x + math.sin(angle) * y, np.hypot(x, y)
    return _toned(round_ if rng.random() < 0.5 else straight, rng)


def _waves(side: int, rng: np.random.Generator) -> Gray:
    y, x = np.mgrid[:side, :side] / side
    total = np.zeros((side, side))
    for _ in range(rng.integers(1, 4)):
        down, right = rng.uniform(-20, 20, 2)
        total += np.sin(2 * math.pi * (down * y + right * x + rng.random()))
    return _toned(np.sign(total) if rng.random() < 0.5 else total, rng)


def _shapes(side: int, rng: np.random.Generator) -> Gray:
    """Plain figures, few or many, on a plain ground or a cloudy one."""
    cloudy = rng.random() < 0.3
    ground = _noise(side, rng) if cloudy else np.full((side, side), rng.integers(256), np.uint8)
    picture = Image.fromarray(ground)
    draw = ImageDraw.Draw(picture)
    for _ in range(int(2 ** rng.uniform(0, 5))):
        centre, size = rng.uniform(0, side, 2), side * rng.uniform(0.03, 0.5)
        corners = rng.uniform(-size, size, (int(rng.integers(3, 9)), 2)) + centre
        box = [tuple(corners.min(axis=0)), tuple(corners.max(axis=0))]
        fill = int(rng.integers(256))
        if rng.random() < 0.4:
            draw.ellipse(box, fill=fill)
        elif rng.random() < 0.5:
            draw.rectangle(box, fill=fill)
        else:
            draw.polygon([tuple(corner) for corner in corners], fill=fill)
    return np.asarray(picture)


def _strokes(side: int, rng: np.random.Generator) -> Gray:
    """Curved lines, thin or thick, dark on bright or bright on dark."""
    ground = int(rng.integers(-256, 512).clip(0, 255))  # black and white often
    picture = Image.new("L", (side, side), ground)
    draw = ImageDraw.Draw(picture)
    for _ in range(int(2 ** rng.uniform(1, 7))):
        start, step = rng.uniform(0, side, 2), rng.uniform(-1, 1, 2) * side / 8
        turns = np.cumsum(rng.normal(0, side / 16, (int(rng.integers(2, 9)), 2)) + step, axis=0)
        points = [tuple(point) for point in start + turns]
        draw.line(points, fill=255 - ground, width=int(2 ** rng.uniform(0, 4)))
    return np.asarray(picture)


def _body(side: int, rng: np.random.Generator) -> Gray:
    """One or a few clouded bodies with soft or hard rims, on black or on white."""
    y, x = np.mgrid[:side, :side] / side
    inside = np.zeros((side, side))
    for _ in range(rng.integers(1, 4)):
        cy, cx = rng.uniform(0.25, 0.75, 2)
        reach, squeeze = rng.uniform(0.12, 0.5), rng.uniform(0.5, 2)
        rim = _cloud(side, 3, rng) * 0.15
        inside = np.maximum(inside, reach - np.hypot((y - cy) * squeeze, x - cx) + rim * reach)
    mask = np.clip(inside * rng.choice([20, 200]), 0, 1)
    tone = _toned(_cloud(side, rng.uniform(1, 3), rng), rng).astype(np.float64)
    return _clipped(mask * tone + (1 - mask) * rng.choice([0, 0, 255]))


SPOILT: dict[str, Callable[[Gray, np.random.Generator], Gray]] = {
    "inverted": _inverted,
    "upside down": _upside_down,
    "lying": _lying,
    "part": _part,
    "shuffled": _shuffled,
    "repeated": _repeated,
    "edges": _edges,
    "two tones": _two_tones,
    "phases": _phases,
    "swirled": _swirled,
}
DRAWN: dict[str, Callable[[int, np.random.Generator], Gray]] = {
    "blank": _blank,
    "noise": _noise,
    "gradient": _gradient,
    "waves": _waves,
    "shapes": _shapes,
    "strokes": _strokes,
    "body": _body,
}


def _cloud(side: int, steepness: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise whose amplitude falls with frequency to the power of `steepness`; deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    frequency[0, 0] = np.inf
    white = np.fft.rfft2(rng.standard_normal((side, side)))
    cloud = np.fft.irfft2(white / frequency**steepness, (side, side))
    return np.asarray(cloud / cloud.std())


def _toned(values: NDArray[np.float64], rng: np.random.Generator) -> Gray:
    """Brought to a range of gray drawn anew, either way up."""
    low, high = np.quantile(values, [0.01, 0.99])
    ends = rng.uniform(0, 255, 2)
    part = (values - low) / max(high - low, 1e-9)
    return _clipped(ends[0] + (ends[1] - ends[0]) * part)


def _stretched(values: NDArray[np.floating]) -> Gray:
    low, high = np.quantile(values, [0.01, 0.99])
    return _clipped((values - low) / max(high - low, 1e-9) * 255)


def _clipped(values: NDArray[np.floating]) -> Gray:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def _resized(picture: Gray, side: int) -> Gray:
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BILINEAR))
