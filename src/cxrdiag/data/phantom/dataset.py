"""Synthetic chest X-ray phantoms in the CoronaHack Kaggle layout, for the demo and the tests."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from cxrdiag.cores import n_cores
from cxrdiag.data.kaggle import METADATA
from cxrdiag.data.phantom.anatomy import Anatomy, draw_anatomy, vessel_tree
from cxrdiag.data.phantom.chest import build_chest
from cxrdiag.data.phantom.film import View, draw_leads, draw_view, expose, patient_grid, project
from cxrdiag.data.phantom.findings import Finding, draw_opacity

HEADER = ",X_ray_image_name,Label,Dataset_type,Label_2_Virus_category,Label_1_Virus_category"
IMAGES = Path("Coronahack-Chest-XRay-Dataset", "Coronahack-Chest-XRay-Dataset")

# How often each cause of pneumonia looks like what.
_FINDINGS: dict[str, tuple[list[Finding], list[float]]] = {
    "bacteria": (["consolidation", "interstitial", "diffuse"], [0.85, 0.10, 0.05]),
    "virus": (["interstitial", "diffuse", "consolidation"], [0.75, 0.15, 0.10]),
    "COVID-19": (["diffuse", "interstitial"], [0.85, 0.15]),
}
_COVID_FORMATS = [("jpeg", "RGB"), ("png", "RGBA"), ("png", "P"), ("jpeg", "L"), ("png", "RGB")]


def render(rng: np.random.Generator, finding: Finding, size: int = 256) -> npt.NDArray[np.uint8]:
    """Return one frontal chest radiograph: uint8 (size, size), bone white, air black.

    Patient, pose, exposure and noise do not depend on `finding`: a generator seeded the same
    gives the same film with other lungs.
    """
    body, view, film = rng.spawn(3)
    return _shoot(draw_anatomy(body), draw_view(view), film, finding, size)


def write_coronahack(
    out: Path,
    *,
    n_train: int,
    n_test: int,
    seed: int = 0,
    size: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a data set of phantoms laid out as Kaggle's CoronaHack, and return `out`.

    A third of train and two fifths of test are normal. As in the original, a patient may have
    several films but none in both splits, a few train files are byte-identical, and COVID-19 is
    in train only, in mixed file formats. The test films come from a slightly different
    department. The same arguments give the same bytes. Films are up to `size` pixels wide and
    high. `progress` is told (films done, films in all).

    Raises FileExistsError when `out` holds such a data set already.
    """
    films = _plan(n_train, n_test, seed)
    for split in ("train", "test"):
        (out / IMAGES / split).mkdir(parents=True)
    # Threads, not processes: a caller's script then needs no guard against being imported anew.
    with ThreadPoolExecutor(min(4, n_cores())) as pool:
        jobs = pool.map(lambda film: _write(out, film, seed, size), films)
        for done, _ in enumerate(jobs, start=1):
            if progress:
                progress(done, len(films))
    rows = [",".join([str(row), *film.row()]) for row, film in enumerate(films)]
    (out / METADATA).write_bytes("\n".join([HEADER, *rows, ""]).encode())
    return out


@dataclass(frozen=True)
class _Film:
    """One file of the data set, before it is rendered."""

    name: str
    split: str
    cause: str
    """`Normal` or a key of `_FINDINGS`."""
    patient: int
    """Seeds the anatomy: the number of the patient's first film."""
    number: int
    """Seeds all the rest; byte-identical films share it."""
    mode: str = "L"

    def row(self) -> list[str]:
        """The metadata after the row number, in the published spelling."""
        label = "Normal" if self.cause == "Normal" else "Pnemonia"
        covid = "COVID-19" if self.cause == "COVID-19" else ""
        kind = {"Normal": "", "bacteria": "bacteria"}.get(self.cause, "Virus")
        return [self.name, label, self.split.upper(), covid, kind]


def _plan(n_train: int, n_test: int, seed: int) -> list[_Film]:
    """Decide every file's name, split, cause and patient."""
    rng = np.random.default_rng(np.random.SeedSequence([seed]))
    # Each kind has its own numbers and hands each out once, so no patient is in two splits.
    kinds = ("IM", "NORMAL2-IM", "bacteria", "virus")
    unused = {kind: rng.permutation(n_train + n_test + 100).tolist() for kind in kinds}
    serials: Counter[str] = Counter()
    films: list[_Film] = []
    for split, total, normal in (("train", n_train, n_train / 3), ("test", n_test, n_test * 0.4)):
        first = len(films)
        n_normal = round(normal)
        n_covid = min(total - n_normal, 2 + total // 100) if split == "train" else 0
        n_virus = round((total - n_normal - n_covid) * 0.36)
        n_bacteria = total - n_normal - n_covid - n_virus
        for cause, count in (("Normal", n_normal), ("bacteria", n_bacteria), ("virus", n_virus)):
            goal = len(films) + count
            while len(films) < goal:
                kind = str(rng.choice(kinds[:2])) if cause == "Normal" else cause
                who, patient = unused[kind].pop() + 1, len(films)
                for view in range(min(int(rng.choice([1, 1, 1, 2, 3, 4])), goal - len(films))):
                    serials[kind] += 1
                    name = f"person{who}_{kind}_{serials[kind]}.jpeg"
                    if cause == "Normal":
                        name = f"{kind}-{who:04d}-{view + 1:04d}.jpeg"
                    films.append(_Film(name, split, cause, patient, len(films)))
        if split == "train" and total >= 100:
            _duplicate(films, first, max(1, total // 200))
        for i in range(n_covid):
            ending, mode = _COVID_FORMATS[i % len(_COVID_FORMATS)]
            digits = rng.bytes(16).hex().upper()
            cuts = (0, 8, 12, 16, 20, 32)
            name = "-".join(digits[a:b] for a, b in pairwise(cuts))
            at = len(films)
            films.append(_Film(f"{name}.{ending}", split, "COVID-19", at, at, mode))
    return films


def _duplicate(films: list[_Film], first: int, count: int) -> None:
    """Make `count` films byte-identical to the one of the same cause 12 places before."""
    for i in range(count):
        at = first + 12 + (i * 29) % (len(films) - first - 12)
        while films[at].cause != films[at - 12].cause:
            at += 1
        original = films[at - 12]
        films[at] = replace(films[at], patient=original.patient, number=original.number)


def _write(out: Path, film: _Film, seed: int, size: int) -> None:
    """Render and store one film; its bytes depend on the seed and the film's numbers alone."""
    body = np.random.default_rng(np.random.SeedSequence([seed, film.patient, 1]))
    rng = np.random.default_rng(np.random.SeedSequence([seed, film.number, 2]))
    finding: Finding = "normal"
    if film.cause != "Normal":
        findings, odds = _FINDINGS[film.cause]
        finding = findings[int(rng.choice(len(findings), p=odds))]
    view = draw_view(rng, shift=float(film.split == "test"))
    pixels = _shoot(draw_anatomy(body), view, rng, finding, size)
    top, bottom, left, right = (round(size * x) for x in rng.uniform(0, [0.05, 0.15, 0.04, 0.04]))
    pixels = pixels[top : size - bottom, left : size - right]
    quality = int(rng.integers(75, 91))
    image = Image.fromarray(pixels).convert(film.mode)
    buffer = io.BytesIO()
    if film.name.endswith(".png"):
        image.save(buffer, "PNG")
    else:
        image.save(buffer, "JPEG", quality=quality)
    (out / IMAGES / film.split / film.name).write_bytes(buffer.getvalue())


def _shoot(
    anatomy: Anatomy, view: View, rng: np.random.Generator, finding: Finding, size: int
) -> npt.NDArray[np.uint8]:
    """Put one patient on film."""
    lesion, leads, noise = rng.spawn(3)
    u, v = patient_grid(view, size)
    chest = build_chest(anatomy, u, v)
    air = chest.air * (1 - draw_opacity(lesion, finding, chest))
    # A vessel takes the place of air, so it fades with the lung's depth and drowns in fluid.
    air *= 1 - np.float32(0.5) * project(vessel_tree(anatomy), view, size)
    depth = chest.tissue - air
    if view.leads:
        depth += project(draw_leads(leads, view.leads), view, size)
    return expose(noise, depth, view)
