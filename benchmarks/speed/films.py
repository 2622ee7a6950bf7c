"""Many films to measure with: phantoms that differ, laid out as chest-xray-pneumonia of Kaggle."""

import itertools
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from cxrdiag.data.phantom.dataset import render

BASES, SIDE = 200, 224
_FINDINGS = ("normal", "consolidation", "interstitial", "diffuse")
_PART = 1000


def write_films(folder: Path, n: int) -> None:
    """Write `n` films, two of each patient, every tenth block of 400 films into test.

    Drawing a phantom takes longer than to decode one: each film is one of BASES of them, moved,
    turned a little, and exposed anew. Nothing is written where the folder is there.
    """
    if folder.exists():
        return
    bases = [render(np.random.default_rng(i), _FINDINGS[i % 4]) for i in range(BASES)]
    unfinished = folder.with_name(f"{folder.name}.part")
    for split, label in itertools.product(("train", "test"), ("NORMAL", "PNEUMONIA")):
        (unfinished / split / label).mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor() as pool:
        starts = range(0, n, _PART)
        ends = [min(start + _PART, n) for start in starts]
        list(pool.map(_write_part, itertools.repeat(unfinished), starts, ends, [bases] * len(ends)))
    unfinished.rename(folder)


def _write_part(folder: Path, start: int, end: int, bases: list[np.ndarray]) -> None:
    for number in range(start, end):
        rng = np.random.default_rng(number)
        base = number % BASES
        film = Image.fromarray(bases[base]).rotate(
            rng.uniform(-8, 8), Image.Resampling.BILINEAR, translate=tuple(rng.uniform(-12, 12, 2))
        )
        gray = np.asarray(film.resize((SIDE, SIDE)), np.float32) / 255
        gray = gray ** rng.uniform(0.7, 1.4) * rng.uniform(0.8, 1.1)
        gray = (gray + rng.normal(0, 0.02, gray.shape)).clip(0, 1) * 255
        split = "test" if number // (2 * BASES) % 10 == 0 else "train"
        is_normal = base % 4 == 0
        patient = number // (2 * BASES) * BASES + base
        name = f"IM-{patient:06}-{number:06}" if is_normal else f"person{patient}_virus_{number}"
        label = "NORMAL" if is_normal else "PNEUMONIA"
        path = folder / split / label / f"{name}.jpeg"
        Image.fromarray(gray.astype(np.uint8)).save(path, quality=75)
