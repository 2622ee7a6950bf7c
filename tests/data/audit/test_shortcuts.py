"""What tells the class is found where it was put, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from cxrdiag.data.audit.shortcuts import (
    WARN_FROM,
    borders_and_corners,
    find_shortcuts,
    views_without_lungs,
)
from cxrdiag.data.audit.thumbnails import GRAYS, SIDE
from cxrdiag.data.image import Encoding

N = 400
TARGETS = np.arange(N) % 2
PATIENTS = [f"p{i // 2 % 160}-{i % 2}" for i in range(N)]
FILE, BORDER, GRAY = "file size and shape", "borders and corners", "gray levels"


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thumbnails, gray levels and file facts that have nothing to do with the class."""
    rng = np.random.default_rng(0)
    thumbnails = rng.integers(100, 150, (N, SIDE, SIDE)).astype(np.uint8)
    return (
        thumbnails,
        rng.dirichlet(np.ones(GRAYS), N).astype(np.float32),
        rng.uniform(500, 600, (N, 3)),
    )


def measure(thumbnails: np.ndarray, grays: np.ndarray, facts: np.ndarray) -> dict[str, float]:
    found = find_shortcuts(views_without_lungs(thumbnails, grays, facts), TARGETS, PATIENTS)
    return {shortcut.name: shortcut.auroc for shortcut in found}


def test_without_a_shortcut_none_is_found() -> None:
    assert all(abs(auroc - 0.5) < 0.1 for auroc in measure(*data()).values())


@pytest.mark.parametrize("name", [FILE, BORDER, GRAY])
def test_a_shortcut_is_found_where_it_is(name: str) -> None:
    thumbnails, grays, facts = data()
    if name == FILE:
        facts[:, 0] *= 1 + TARGETS / 2  # wider films
    elif name == BORDER:
        thumbnails[TARGETS == 1, :2, 10:22] += 60  # a bar at the upper edge
    else:
        grays[TARGETS == 1, 3] += 1
    found = measure(thumbnails, grays, facts)
    assert found.pop(name) > 0.95
    assert all(auroc < WARN_FROM for auroc in found.values())


def test_what_is_in_the_middle_is_no_shortcut() -> None:
    thumbnails, grays, facts = data()
    thumbnails[TARGETS == 1, 8:24, 8:24] += 60
    assert measure(thumbnails, grays, facts)[BORDER] < WARN_FROM


def test_patients_are_not_learned_by_heart() -> None:
    """Each patient's border is their own: only who met them before could tell the class by it."""
    thumbnails, grays, facts = data()
    rng = np.random.default_rng(1)
    borders = {patient: rng.integers(0, 250, (SIDE, SIDE)) for patient in sorted(set(PATIENTS))}
    for row, patient in enumerate(PATIENTS):
        thumbnails[row] = borders[patient]
    assert abs(measure(thumbnails, grays, facts)[BORDER] - 0.5) < 0.12


def test_too_few_patients_are_not_measured() -> None:
    patients = [f"p{i}" if target else f"q{i % 4}" for i, target in enumerate(TARGETS)]
    assert find_shortcuts(views_without_lungs(*data()), TARGETS, patients) == []


def test_patients_of_very_unequal_numbers_of_films(recwarn: pytest.WarningsRecorder) -> None:
    """One patient has nearly all films of the one class, and a hundred of the other."""
    patients = [f"q{row}" if row < 9 or row % 40 == 0 else "p" for row in range(N)]
    assert all(
        0 <= found.auroc <= 1
        for found in find_shortcuts(views_without_lungs(*data()), TARGETS, patients)
    )
    assert not recwarn.list


def test_where_a_fold_would_have_one_class_nothing_is_said() -> None:
    """Five patients of either class and more: but a few of them have nearly all films."""
    films = "n7 p6 n2 n6 p0 p7 p7 p7 p7 p1 n2 p6 n4 p10 n7 n1 n6 p7 n1 n3 n7 n7 n3 n2 p7 p6"
    films += " p4 n2 p1 n0 p6 n2 p10 p1 n4 n4"
    targets = np.array([film[0] == "p" for film in films.split()]).astype(np.int64)
    views = {name: x[: len(targets)] for name, x in views_without_lungs(*data()).items()}
    assert find_shortcuts(views, targets, [film[1:] for film in films.split()]) == []
    assert find_shortcuts(views, targets, [str(row) for row in range(len(targets))])


def test_the_mask_leaves_the_lungs_out() -> None:
    mask = borders_and_corners()
    assert mask.shape == (32, 32)
    assert not mask[2:-2, 6:-6].any()
    assert not mask[6:-6, 2:-2].any()
    # Two rings, and of each corner of 6 x 6 what lies inside them.
    assert mask.sum() == 32 * 32 - 28 * 28 + 4 * 4 * 4


def test_how_files_are_stored_is_a_shortcut_of_its_own() -> None:
    def measured(encodings: list[Encoding]) -> dict[str, float]:
        found = find_shortcuts(views_without_lungs(*data(), encodings), TARGETS, PATIENTS)
        return {shortcut.name: shortcut.auroc for shortcut in found}

    alike = measured([Encoding("L", 20.0)] * len(TARGETS))
    assert alike["file mode and quality"] == 0.5
    by_mode = measured([Encoding("RGB" if t else "L", 20.0) for t in TARGETS])
    by_quality = measured([Encoding("L", 20.0 + t) for t in TARGETS])
    assert by_mode["file mode and quality"] == by_quality["file mode and quality"] == 1
    others = {name: auroc for name, auroc in alike.items() if name != "file mode and quality"}
    assert others == {name: auroc for name, auroc in by_mode.items() if name in others}
    assert "file mode and quality" not in measured([])
