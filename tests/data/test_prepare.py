"""A raw folder becomes a store: the pixels `predict` sees, all or nothing, the same every time."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxrdiag.data import decode
from cxrdiag.data.audit.report import audit
from cxrdiag.data.findings import ENCODING
from cxrdiag.data.image import read_image
from cxrdiag.data.kaggle import METADATA
from cxrdiag.data.prepare import prepare
from cxrdiag.data.store import keep_findings, open_store
from cxrdiag.errors import DataError
from cxrdiag.inference.predictor import Predictor
from cxrdiag.runs import SHIPPED_FOLDER

HEADER = "X_ray_image_name,Label,Dataset_type,Label_1_Virus_category,Label_2_Virus_category"
SIZE = 16
TRAIN, TEST = 24, 6


def picture(seed: int, shape: tuple[int, ...] = (20, 26)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def add_row(source: Path, *cells: str) -> None:
    with (source / METADATA).open("a") as file:
        file.write(",".join(cells) + "\n")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """24 patients in train and 6 in test, half of them Normal, one noisy PNG each."""
    return write_source(tmp_path / "raw")


def write_source(folder: Path, train: int = TRAIN) -> Path:
    folder.mkdir()
    add_row(folder, *HEADER.split(","))
    for i in range(train + TEST):
        split = "TRAIN" if i < train else "TEST"
        if i % 2:
            name, cells = f"person{i}_virus_{i}.png", ("Pnemonia", split, "Virus", "")
        else:
            name, cells = f"IM-{i:04}-0001.png", ("Normal", split, "", "")
        picture(i).save(folder / name)
        add_row(folder, name, *cells)
    return folder


def tree(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def rows(store: Path) -> list[dict[str, str]]:
    with (store / "records.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def refused(source: Path, out: Path, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        prepare(source, out, size=SIZE, **options)
    return caught.value


def test_records_say_what_each_file_is(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    seen: list[tuple[int, int]] = []
    store, built = prepare(source, out, size=SIZE, progress=lambda *counted: seen.append(counted))
    assert built
    assert seen == [(done, 30) for done in range(1, 31)]
    assert store.images_NSS.shape == (30, SIZE, SIZE)
    for i, row in enumerate(rows(out)):
        data = (source / row["name"]).read_bytes()
        normal = row["name"].startswith("IM")
        assert row == {
            "name": f"IM-{i:04}-0001.png" if normal else f"person{i}_virus_{i}.png",
            "label": "Normal" if normal else "Pneumonia",
            "split": row["split"],
            "patient": f"IM-{i:04}" if normal else f"person{i}_virus",
            "subtype": "" if normal else "viral",
            "width": "26", "height": "20", "bytes": str(len(data)),
            "sha256": hashlib.sha256(data).hexdigest(),
        }  # fmt: skip
        assert (row["split"] == "test") == (i >= TRAIN)
    info = json.loads((out / "store.json").read_text())
    assert {c["split"]: 0 for c in info["counts"]} == {"train": 0, "val": 0, "test": 0}
    assert sum(c["n"] for c in info["counts"]) == info["n"] == 30
    assert {"split": "test", "label": "Normal", "subtype": "", "n": 3} in info["counts"]


def test_a_file_gives_predict_and_the_store_the_same_pixels(source: Path, tmp_path: Path) -> None:
    """Over all modes and formats."""
    gray, rgb = picture(100), picture(101, (40, 31, 3))
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = Image.fromarray(np.asarray(gray).astype(np.uint16) * 200)
    odd: list[tuple[str, Image.Image, dict[str, Any]]] = [
        ("one.png", gray.convert("1"), {}),
        ("la.png", rgb.convert("LA"), {}),
        ("p.png", rgb.quantize(16), {}),
        ("p-transparent.png", rgb.quantize(16), {"transparency": 3}),
        ("rgb.png", rgb, {"exif": exif}),
        ("rgba.png", picture(102, (9, 60, 4)), {}),
        ("wide.png", wide, {}),
        ("gray.jpeg", picture(103, (300, 200)), {"quality": 75}),
        ("colour.JPG", picture(104, (300, 200, 3)), {"exif": exif}),
        ("cmyk.jpg", rgb.convert("CMYK"), {}),
    ]
    for name, image, options in odd:
        image.save(source / name, **options)
        add_row(source, name, "Normal", "TRAIN", "", "")
    model = Predictor(SHIPPED_FOLDER)
    store, _ = prepare(source, tmp_path / "store", size=model.classifier.info.image_size)
    assert len(store.records) == 40
    for name, pixels_SS in zip(store.records["name"], store.images_NSS, strict=True):
        film = model._decode(name, (source / name).read_bytes(), drawn=False)
        np.testing.assert_array_equal(pixels_SS, film.image_SS)
    sizes = {row["name"]: (row["width"], row["height"]) for row in rows(tmp_path / "store")}
    assert sizes["rgb.png"] == ("40", "31")  # upright: it lies in the file
    assert sizes["colour.JPG"] == ("300", "200")
    assert sizes["gray.jpeg"] == ("200", "300")


def test_same_input_same_bytes_wherever_it_lies(source: Path, tmp_path: Path) -> None:
    shutil.copytree(source, tmp_path / "elsewhere" / "copy")
    prepare(source, tmp_path / "a", size=SIZE)
    prepare(tmp_path / "elsewhere" / "copy", tmp_path / "b", size=SIZE)
    prepare(source, tmp_path / "c", size=SIZE, seed=1)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert (tmp_path / "a/records.csv").read_text() != (tmp_path / "c/records.csv").read_text()
    assert (tmp_path / "a/images.npy").read_bytes() == (tmp_path / "c/images.npy").read_bytes()
    assert str(tmp_path) not in (tmp_path / "a" / "store.json").read_text()


def test_an_unchanged_source_is_not_prepared_again(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    prepare(source, out, size=SIZE)
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    for path in source.glob("*.png"):
        os.utime(path)  # touched, and the same bytes
    store, built = prepare(source, out, size=SIZE)
    assert not built
    assert len(store.records) == 30
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_a_film_that_is_replaced_while_others_are_decoded_is_seen_the_next_time(
    source: Path, tmp_path: Path
) -> None:
    first = source / "IM-0000-0001.png"

    def replace(done: int, total: int) -> None:
        if done == total:  # of the same size
            data = first.read_bytes()
            first.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    assert prepare(source, tmp_path / "store", size=SIZE, progress=replace)[1]
    assert prepare(source, tmp_path / "store", size=SIZE)[1]
    assert not prepare(source, tmp_path / "store", size=SIZE)[1]


def test_a_shortcut_that_only_prepare_can_look_for_is_found_in_the_end(
    source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "store"
    store, _ = prepare(source, out, size=SIZE, audited=False)
    keep_findings(store, {**store.info["findings"], "audit": _audit_of(out)})
    assert ENCODING not in _told_by(out)
    assert prepare(source, out, size=SIZE)[1]
    assert ENCODING in _told_by(out)
    assert not prepare(source, out, size=SIZE)[1]


def _audit_of(out: Path) -> dict[str, Any]:
    store = open_store(out)
    return audit(store.images_NSS, store.records, out)


def _told_by(out: Path) -> list[str]:
    told_by = open_store(out).info["findings"]["audit"]["shortcuts"]["told_by"]
    return [told["name"] for told in told_by]


def test_whatever_changes_the_store_builds_it_again(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"

    def built(size: int = SIZE, seed: int = 0) -> bool:
        again = prepare(source, out, size=size, seed=seed)[1]
        assert not prepare(source, out, size=size, seed=seed)[1]
        return again

    assert built()
    assert built(size=24)
    assert built(size=24, seed=5)
    # The same length, other bytes, and a modification time from before the store was built.
    path = source / "IM-0000-0001.png"
    data, stat = bytearray(path.read_bytes()), path.stat()
    other = bytes(data[:-1]) + b"\x00"
    path.write_bytes(other)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert built(size=24, seed=5)
    (out / "images.npy").write_bytes(b"damaged")
    assert built(size=24, seed=5)
    (source / "IM-0002-0001.png").unlink()
    assert built(size=24, seed=5)
    assert open_store(out).info["findings"]["missing"] == ["IM-0002-0001.png"]


def _forget_images(source: Path) -> str:
    for i in range(2):
        (source / f"person{2 * i + 1}_virus_{2 * i + 1}.png").unlink()
    return "incomplete_data_set"


def _spoil_images(source: Path) -> str:
    for path in sorted(source.glob("*.png"))[:2]:
        path.write_bytes(path.read_bytes()[:300])
    return "incomplete_data_set"


def _repeat_patient(source: Path) -> str:
    picture(500).save(source / "person1_virus_999.png")
    add_row(source, "person1_virus_999.png", "Pnemonia", "TEST", "Virus", "")
    return "straddling_patient"


def _repeat_file(source: Path) -> str:
    shutil.copy(source / "person1_virus_1.png", source / "person999_virus_1.png")
    add_row(source, "person999_virus_1.png", "Pnemonia", "TEST", "Virus", "")
    return "straddling_file"


def _misspell(source: Path) -> str:
    add_row(source, "x.png", "Neumonia", "TEST", "Virus", "")
    return "unknown_value"


@pytest.mark.parametrize(
    "spoil", [_forget_images, _spoil_images, _repeat_patient, _repeat_file, _misspell]
)
@pytest.mark.parametrize("earlier", [False, True])
def test_a_refused_data_set_leaves_no_trace(
    source: Path, tmp_path: Path, spoil: Any, earlier: bool
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    if earlier:
        prepare(source, work / "store", size=SIZE)
    before = tree(work)
    code = spoil(source)
    assert refused(source, work / "store").code == code
    assert tree(work) == before
    assert [path.name for path in work.iterdir()] == ["store"] * earlier


@pytest.mark.parametrize("name", [".git", ".gitkeep", "images.npy", "store.json", "notes.txt"])
def test_a_folder_that_holds_something_else_is_never_replaced(
    source: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / name).write_text("somebody's")
    (out / ".DS_Store").touch()
    error = refused(source, out)
    assert (error.code, error.path) == ("not_a_store", out)
    assert name in error.message
    assert (out / name).read_text() == "somebody's"


def test_an_interruption_leaves_no_trace(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "work" / "store"
    prepare(source, out, size=SIZE)
    before = tree(out.parent)

    class Stop(BaseException):
        pass

    def stop(done: int, total: int) -> None:
        if done == 20:
            raise Stop

    with pytest.raises(Stop):
        prepare(source, out, size=24, progress=stop)
    assert tree(out.parent) == before
    assert [path.name for path in out.parent.iterdir()] == ["store"]


def test_a_few_lost_files_are_left_out_and_listed(tmp_path: Path) -> None:
    source = write_source(tmp_path / "raw", train=54)
    (source / "IM-0010-0001.png").unlink()
    (source / "person5_virus_5.png").write_text("not an image")
    (source / "person7_virus_7.png").write_bytes(b"")
    store, _ = prepare(source, tmp_path / "store", size=SIZE)
    findings = store.info["findings"]
    assert findings["missing"] == ["IM-0010-0001.png"]
    assert findings["unreadable"] == [
        {
            "name": "person5_virus_5.png",
            "code": "unsupported_format",
            "message": "not a JPEG, PNG, TIFF, WebP, BMP or DICOM file",
        },
        {
            "name": "person7_virus_7.png",
            "code": "unsupported_format",
            "message": "the file is empty",
        },
    ]
    # Rows and pixels belong together still.
    assert len(store.records) == len(store.images_NSS) == 57
    for name, pixels_SS in zip(store.records["name"], store.images_NSS, strict=True):
        np.testing.assert_array_equal(pixels_SS, read_image(source / name, SIZE))
    (source / "person9_virus_9.png").unlink()
    error = refused(source, tmp_path / "store")
    assert error.code == "incomplete_data_set"
    assert error.message.startswith("2 images are missing and 2 unreadable of 60")


def test_a_count_of_fewer_digits_fits_the_header(tmp_path: Path) -> None:
    source = write_source(tmp_path / "raw", train=94)
    (source / "person5_virus_5.png").write_bytes(b"")
    store, _ = prepare(source, tmp_path / "store", size=SIZE)
    assert np.load(tmp_path / "store" / "images.npy").shape == (99, SIZE, SIZE)
    np.testing.assert_array_equal(
        store.images_NSS[-1], read_image(source / store.records["name"].iloc[-1], SIZE)
    )


def test_more_images_than_are_in_flight_keep_their_order(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(source, tmp_path / "a", size=SIZE)
    monkeypatch.setattr(decode, "_CHUNK", 7)
    prepare(source, tmp_path / "b", size=SIZE)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_findings_count_copies_unknown_patients_and_numbers_in_both(
    source: Path, tmp_path: Path
) -> None:
    for name, label, split, original in [
        ("a.png", "Pnemonia", "TRAIN", "person1_virus_1.png"),
        ("b.png", "Normal", "TRAIN", "person1_virus_1.png"),
        ("c.png", "Normal", "TRAIN", "IM-0002-0001.png"),
    ]:
        shutil.copy(source / original, source / name)
        add_row(source, name, label, split, "", "")
    picture(700).save(source / "person1_bacteria_1.png")
    add_row(source, "person1_bacteria_1.png", "Pnemonia", "TEST", "bacteria", "")
    picture(701).save(source / "NORMAL2-IM-0004-0001.png")
    add_row(source, "NORMAL2-IM-0004-0001.png", "Normal", "TEST", "", "")
    store, _ = prepare(source, tmp_path / "store", size=SIZE, audited=False)
    assert store.info["findings"] == {
        "duplicate_groups": 2,
        "duplicate_files": 5,
        "duplicates_with_conflicting_labels": 1,
        "unknown_patient": 3,
        "train_test_overlap": {
            "patients": {"patients": 0, "test_images": 0},
            "bare_person_numbers": {"patients": 1, "test_images": 1},
            "bare_normal_numbers": {"patients": 1, "test_images": 1},
        },
        "missing": [],
        "unreadable": [],
        "left_out_by_strict_patients": 0,
    }
    strict, _ = prepare(source, tmp_path / "strict", size=SIZE, strict_patients=True, audited=False)
    # The first film of person1 and its two copies stay or go by their own names; IM-0004 goes.
    gone = set(store.records["name"]) - set(strict.records["name"])
    assert gone == {"person1_virus_1.png", "IM-0004-0001.png"}
    findings = strict.info["findings"]
    assert findings["left_out_by_strict_patients"] == 2
    assert findings["train_test_overlap"]["bare_person_numbers"]["patients"] == 0
    assert findings["train_test_overlap"]["bare_normal_numbers"]["patients"] == 0
    split_of = dict(zip(store.records["name"], store.records["split"], strict=True))
    together = ("a.png", "b.png", "c.png", "person1_virus_1.png", "IM-0002-0001.png")
    assert {split_of[name] for name in together} == {"train"}


@pytest.mark.parametrize("out", ["raw", ".", "notes.txt"])
def test_a_folder_that_is_no_store_is_never_replaced(
    source: Path, tmp_path: Path, out: str
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    before = tree(tmp_path)
    error = refused(source, tmp_path / out)
    assert (error.code, error.path) == ("not_a_store", tmp_path / out)
    assert tree(tmp_path) == before


def test_a_store_with_something_else_in_it_is_never_replaced(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    out.mkdir()
    prepare(source, out, size=SIZE)  # an empty folder is fine
    (out / "runs").mkdir()
    assert not prepare(source, out, size=SIZE)[1]
    assert refused(source, out, seed=1).code == "not_a_store"
    assert (out / "runs").is_dir()
