"""The audit of a whole store: phantoms with a copy, an inverted and a blank film among them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrdiag.data.audit.report import audit
from cxrdiag.data.phantom.dataset import IMAGES
from cxrdiag.data.prepare import prepare
from cxrdiag.data.store import Store


@pytest.fixture(scope="module")
def doctored(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[str]]:
    """A store, and the names of the test film that is saved again in train, of it there, odd ones.

    None of the films that are overwritten has an identical one elsewhere.
    """
    folder = tmp_path_factory.mktemp("audit")
    source = folder / "source"
    shutil.copytree(phantoms, source)
    train, test = (sorted((source / IMAGES / part).glob("IM-*")) for part in ("train", "test"))
    again, inverted, blank = train[0], train[1], train[2]
    Image.open(test[0]).convert("L").save(again, quality=50)
    Image.fromarray(255 - np.asarray(Image.open(inverted).convert("L"))).save(inverted)
    Image.new("L", (96, 96), 99).save(blank)
    store, _ = prepare(source, folder / "store", size=96)
    return store, [path.name for path in (test[0], again, inverted, blank)]


def test_what_was_put_in_is_found(doctored: tuple[Store, list[str]]) -> None:
    store, (original, again, inverted, blank) = doctored
    findings = store.info["findings"]["audit"]
    near, odd = findings["near_duplicates"], findings["odd"]
    assert near["nearest"][0]["distance"] <= near["max_distance"]
    assert {near["nearest"][0][which] for which in ("first", "second")} == {original, again}
    assert (near["pairs"], near["across_splits"], near["conflicting_labels"]) == (1, 1, 0)
    assert near["strangers_near"] == 1  # their names are of different patients
    assert (odd["blank"], odd["inverted"]) == ([blank], [inverted])
    assert findings["shortcuts"]["n"] == (store.records["split"] != "test").sum()


def test_there_is_a_sheet_of_each(doctored: tuple[Store, list[str]]) -> None:
    store, _ = doctored
    sheets = []
    for name in ("near-duplicates.png", "odd.png"):
        with Image.open(store.path / name) as sheet:
            sheets.append(np.asarray(sheet, dtype=float))
    assert [sheet.shape[1] for sheet in sheets] == [2 * 168, 2 * 168]  # two pictures each
    left, right = sheets[0][:160, :160].ravel(), sheets[0][:160, 168:328].ravel()
    assert np.corrcoef(left, right)[0, 1] > 0.95


def test_classes_of_test_films_are_not_read(
    tmp_path: Path, doctored: tuple[Store, list[str]]
) -> None:
    """The test split's labels turned round: the same shortcuts."""
    store, _ = doctored
    records = store.records.copy()
    test = records["split"] == "test"
    turned = records.loc[test, "label"].map({"Normal": "Pneumonia", "Pneumonia": "Normal"})
    records.loc[test, "label"] = turned
    found = audit(store.images_NSS, records, tmp_path)
    known = store.info["findings"]["audit"]["shortcuts"]
    *of_pictures, of_files = known["told_by"]
    assert of_files["name"] == "file mode and quality"  # which a store does not keep
    assert found["shortcuts"] == {**known, "told_by": of_pictures}


def test_a_store_prepared_without_is_prepared_again_with(phantoms: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    store, built = prepare(phantoms, out, size=64, audited=False)
    assert built
    assert "audit" not in store.info["findings"]
    assert prepare(phantoms, out, size=64, audited=False)[1] is False
    store, built = prepare(phantoms, out, size=64)
    assert built
    assert "audit" in store.info["findings"]
    assert prepare(phantoms, out, size=64)[1] is False
    assert prepare(phantoms, out, size=64, audited=False)[1] is False


def test_the_findings_are_json(small_store: Store, tmp_path: Path) -> None:
    found = audit(small_store.images_NSS, small_store.records, tmp_path)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
