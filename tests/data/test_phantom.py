"""The phantoms: reproducible, laid out as the published data set, disease only in the lungs."""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrdiag.data.kaggle import METADATA
from cxrdiag.data.phantom.anatomy import draw_anatomy
from cxrdiag.data.phantom.chest import Mask, build_chest
from cxrdiag.data.phantom.dataset import HEADER, IMAGES, render, write_coronahack
from cxrdiag.data.phantom.film import draw_view, patient_grid
from cxrdiag.data.phantom.findings import Finding

SIZE = 48


def _tree(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def _rows(root: Path) -> list[dict[str, str]]:
    with (root / METADATA).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _path(root: Path, row: dict[str, str]) -> Path:
    return root / IMAGES / row["Dataset_type"].lower() / row["X_ray_image_name"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantoms") / "coronahack"
    return write_coronahack(out, n_train=120, n_test=40, size=SIZE)


def test_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    first, again, other = (
        _tree(write_coronahack(tmp_path / name, n_train=12, n_test=5, seed=seed, size=SIZE))
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    assert first == again
    assert not set(first.values()) & set(other.values())


def test_metadata_is_spelled_as_published(dataset: Path) -> None:
    published = ",X_ray_image_name,Label,Dataset_type,Label_2_Virus_category,Label_1_Virus_category"
    assert published == HEADER
    assert (dataset / METADATA).read_text(encoding="utf-8").splitlines()[0] == published
    rows = _rows(dataset)
    assert [row[""] for row in rows] == [str(i) for i in range(160)]
    assert {
        (row["Label"], row["Label_1_Virus_category"], row["Label_2_Virus_category"]) for row in rows
    } == {
        ("Normal", "", ""),
        ("Pnemonia", "bacteria", ""),
        ("Pnemonia", "Virus", ""),
        ("Pnemonia", "Virus", "COVID-19"),
    }


def test_every_row_has_its_file_and_every_file_its_row(dataset: Path) -> None:
    listed = [_path(dataset, row) for row in _rows(dataset)]
    assert len(set(listed)) == len(listed)
    assert set(listed) == {path for path in (dataset / IMAGES).rglob("*") if path.is_file()}


def test_classes_are_imbalanced_as_asked(dataset: Path) -> None:
    count: dict[tuple[str, str], int] = defaultdict(int)
    for row in _rows(dataset):
        count[row["Dataset_type"], row["Label"]] += 1
    assert count == {
        ("TRAIN", "Normal"): 40,
        ("TRAIN", "Pnemonia"): 80,
        ("TEST", "Normal"): 16,
        ("TEST", "Pnemonia"): 24,
    }


def test_no_patient_is_in_both_splits(dataset: Path) -> None:
    films: dict[str, list[str]] = defaultdict(list)
    for row in _rows(dataset):
        name = row["X_ray_image_name"]
        if row["Label_2_Virus_category"] == "COVID-19":
            assert row["Dataset_type"] == "TRAIN"
            continue
        key = name.rsplit("_" if name.startswith("person") else "-", 1)[0]
        films[key].append(row["Dataset_type"])
    assert all(len(set(splits)) == 1 for splits in films.values())
    assert max(len(splits) for splits in films.values()) in {2, 3, 4}


def test_train_has_byte_identical_files_of_one_class(dataset: Path) -> None:
    twins: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in _rows(dataset):
        digest = hashlib.sha256(_path(dataset, row).read_bytes()).hexdigest()
        twins[digest].append((row["Dataset_type"], row["Label"]))
    shared = [rows for rows in twins.values() if len(rows) > 1]
    assert shared
    assert all(len(set(rows)) == 1 and rows[0][0] == "TRAIN" for rows in shared)


def test_only_covid_films_come_in_mixed_formats(dataset: Path) -> None:
    formats: dict[bool, set[tuple[str | None, str]]] = defaultdict(set)
    for row in _rows(dataset):
        with Image.open(_path(dataset, row)) as image:
            covid = row["Label_2_Virus_category"] == "COVID-19"
            formats[covid].add((image.format, image.mode))
    assert formats[False] == {("JPEG", "L")}
    assert {("JPEG", "RGB"), ("PNG", "RGBA"), ("PNG", "P")} <= formats[True]


def test_progress_counts_every_film(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_coronahack(
        tmp_path / "out",
        n_train=4,
        n_test=3,
        size=32,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(done, 7) for done in range(1, 8)]


def test_a_second_data_set_is_not_mixed_into_the_first(dataset: Path) -> None:
    with pytest.raises(FileExistsError):
        write_coronahack(dataset, n_train=1, n_test=1, size=32)


@pytest.mark.parametrize("size", [64, 97, 256])
def test_render_gives_a_gray_square_with_dark_lungs_between_bright_bodies(size: int) -> None:
    film = render(np.random.default_rng(3), "normal", size)
    assert film.shape == (size, size)
    assert film.dtype == np.uint8
    lung, spine, _ = _regions(3, size)
    assert film[lung].mean() + 40 < film[spine].mean()


@pytest.mark.parametrize("finding", ["consolidation", "interstitial", "diffuse"])
def test_disease_changes_the_lungs_and_little_else(finding: Finding) -> None:
    inside, outside, brighter = [], [], []
    for seed in range(6):
        normal = render(np.random.default_rng(seed), "normal", 128).astype(float)
        ill = render(np.random.default_rng(seed), finding, 128).astype(float)
        lung, _, elsewhere = _regions(seed, 128)
        inside.append(np.abs(ill - normal)[lung].mean())
        outside.append(np.abs(ill - normal)[elsewhere].mean())
        brighter.append((ill - normal)[lung].mean())
    # Outside, only scattered light and the noise that follows it differ.
    assert np.mean(inside) > 5 * np.mean(outside)
    assert np.mean(brighter) > 3


def _regions(seed: int, size: int) -> tuple[Mask, Mask, Mask]:
    """Masks of the open lung, the spine below it and everything but the lungs."""
    body, pose, _ = np.random.default_rng(seed).spawn(3)
    u, v = patient_grid(draw_view(pose), size)
    chest = build_chest(draw_anatomy(body), u, v)
    spine = (np.abs(u) < 0.06) & (v > 0.3) & (v < 0.7)
    return (chest.air > 1.0), spine, chest.lung == 0
