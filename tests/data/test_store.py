"""A store opens as it was written, and is refused where it is not what was written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrdiag.data.phantom.dataset import write_coronahack
from cxrdiag.data.prepare import prepare
from cxrdiag.data.store import COLUMNS, check_findings, open_store
from cxrdiag.errors import DataError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    write_coronahack(folder / "raw", n_train=80, n_test=20, size=32)
    prepare(folder / "raw", folder / "store", size=32)
    return folder / "store"


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "store")


def test_it_opens_as_it_was_written(made: Path) -> None:
    store = open_store(made)
    assert tuple(store.records.columns) == COLUMNS
    assert store.image_size == 32
    assert store.images_NSS.shape == (100, 32, 32)
    assert store.images_NSS.dtype == np.uint8
    assert isinstance(store.images_NSS, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        store.images_NSS[0] = 0
    np.testing.assert_array_equal(store.images_NSS, np.load(made / "images.npy"))
    # "" and names such as "NA" are text, never a missing number.
    assert all(isinstance(cell, str) for name in COLUMNS[:5] for cell in store.records[name])
    assert set(store.records["subtype"]) >= {"", "viral", "bacterial"}


def test_splits_share_the_rows_out_and_targets_are_the_labels(made: Path) -> None:
    store = open_store(made)
    rows = {split: store.rows(split) for split in ("train", "val", "test")}
    assert sorted(np.concatenate(list(rows.values()))) == list(range(100))
    assert len(rows["test"]) == 20
    for split, chosen in rows.items():
        assert set(store.records["split"].iloc[chosen]) == {split}
        labels = store.records["label"].iloc[chosen]
        assert store.targets(chosen).tolist() == [int(label == "Pneumonia") for label in labels]
    backwards = rows["test"][::-1]
    assert store.targets(backwards).tolist() == store.targets(rows["test"]).tolist()[::-1]


def test_a_split_without_an_image_is_refused(made: Path) -> None:
    with pytest.raises(DataError, match="no image in split 'validation'") as caught:
        open_store(made).rows("validation")
    assert caught.value.code == "empty_split"
    assert caught.value.hint == "the store has test, train, val"


def test_the_fingerprint_is_the_sources_and_the_splits(made: Path, tmp_path: Path) -> None:
    raw = made.parent / "raw"
    same, _ = prepare(raw, tmp_path / "larger", size=48)
    other, _ = prepare(raw, tmp_path / "other", size=32, seed=1)
    assert same.fingerprint == open_store(made).fingerprint != other.fingerprint


@pytest.mark.parametrize("name", ["absent", "file", "empty"])
def test_no_store_says_how_to_make_one(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="cxrdiag prepare") as caught:
        open_store(tmp_path / name)
    assert (caught.value.code, caught.value.path) == ("no_store", tmp_path / name)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version_is_refused(copy: Path, version: object) -> None:
    info = json.loads((copy / "store.json").read_text())
    (copy / "store.json").write_text(json.dumps({**info, "version": version}))
    with pytest.raises(DataError, match="store version") as caught:
        open_store(copy)
    assert (caught.value.code, caught.value.hint) == ("store_version", "prepare it again")


def _change(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(store: Path) -> None:
        (store / name).write_bytes(change((store / name).read_bytes()))

    return damage


def _save(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Callable[[Path], None]:
    return lambda store: np.save(store / "images.npy", array)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "info is half": _change("store.json", lambda b: b[: len(b) // 2]),
    "info is a list": _change("store.json", lambda b: b"[]"),
    "info is no text": _change("store.json", lambda b: b"\xff\xfe"),
    "no records": lambda store: (store / "records.csv").unlink(),
    "records are empty": _change("records.csv", lambda b: b""),
    "records are cut": _change("records.csv", lambda b: b[: len(b) // 2]),
    "a record is gone": _change("records.csv", lambda b: b[: b.rindex(b"\n", 0, -1) + 1]),
    "a label is another": _change("records.csv", lambda b: b.replace(b",Pneumonia,", b",X,", 1)),
    "a split is another": _change("records.csv", lambda b: b.replace(b",test,", b",train,", 1)),
    "no images": lambda store: (store / "images.npy").unlink(),
    "images are empty": _change("images.npy", lambda b: b""),
    "images are cut": _change("images.npy", lambda b: b[:-1]),
    "images have no header": _change("images.npy", lambda b: b[6:]),
    "images are a zip": _change("images.npy", lambda b: b"PK\x03\x04" + b),
    "images are too few": _save(np.zeros((99, 32, 32), np.uint8)),
    "images are flat": _save(np.zeros((100, 1024), np.uint8)),
    "images are floats": _save(np.zeros((100, 32, 32), np.float32)),
    "images are objects": _save(np.array([None] * 100, dtype=object)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_store_is_refused(copy: Path, damage: str) -> None:
    DAMAGE[damage](copy)
    with pytest.raises(DataError) as caught:
        open_store(copy)
    error = caught.value
    assert (error.code, error.path, error.exit_code) == ("damaged_store", copy, 3)
    assert error.hint == "prepare it again"


def test_an_array_of_objects_or_with_a_damaged_header_is_refused(copy: Path) -> None:
    path = copy / "images.npy"
    sound = path.read_bytes()
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    headers = [path.read_bytes()]
    headers += [sound[:10] + bad + sound[10 + len(bad) :] for bad in (b"{(", b"[[[", b"lambda:0")]
    for data in headers:
        path.write_bytes(data)
        with pytest.raises(DataError) as e:
            open_store(copy)
        assert e.value.code == "damaged_store"


def _keys(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Every key of every object in a document; of a list those of the first item."""
    if isinstance(value, list):
        yield from _keys(value[0] if value else None)
    if isinstance(value, dict):
        for key, inner in value.items():
            yield value, key
            yield from _keys(inner)


def test_whatever_is_read_of_the_findings_is_missed_where_it_lacks(made: Path) -> None:
    """And `prepare` builds such a store anew."""
    store = open_store(made)
    check_findings(store)
    optional = {"audit", "nearest", "distance", "first", "second", "blank", "inverted", "turned"}
    optional |= {"unlike", "n"}  # of films that shortcuts were sought in; that of counts is below
    info = store.info
    n_missed = 0
    for parent, key in [*_keys(info["findings"]), *_keys(info["counts"])]:
        value = parent.pop(key)
        if key not in optional or parent is info["counts"][0]:
            with pytest.raises(DataError, match="its findings") as e:
                check_findings(store)
            assert e.value.code == "damaged_store"
            n_missed += 1
        else:
            check_findings(store)
        parent[key] = value
    assert n_missed > 30
    audit = info["findings"]["audit"]
    for holder, key, value in (
        (info["findings"], "duplicate_files", float("nan")),
        (audit["near_duplicates"], "strangers_near", 10**400),
        (audit, "odd", []),
    ):
        sound, holder[key] = holder[key], value
        with pytest.raises(DataError, match="its findings"):
            check_findings(store)
        holder[key] = sound
    del info["findings"]["unknown_patient"]
    (made / "store.json").write_text(json.dumps(info))
    rebuilt, was_built = prepare(made.parent / "raw", made, size=32)
    assert was_built
    check_findings(rebuilt)
