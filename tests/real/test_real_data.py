"""The published data, where it is at hand: what it is known to hold is what `prepare` finds."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from cxrdiag.data.audit.near_duplicates import MAX_DISTANCE
from cxrdiag.data.audit.odd import find_odd
from cxrdiag.data.audit.thumbnails import look_at
from cxrdiag.data.batches import Split
from cxrdiag.data.image import read_image
from cxrdiag.data.prepare import prepare
from cxrdiag.data.store import Store
from cxrdiag.model.checkpoint import load_model
from cxrdiag.model.onnx import load_onnx
from cxrdiag.model.probability import probability
from cxrdiag.runs import SHIPPED_FOLDER

DATA = Path(__file__).parents[3] / "shared" / "data"
CORONAHACK, NATIVE = DATA / "coronahack", DATA / "native"
SIZE = 64

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CORONAHACK.is_dir() and NATIVE.is_dir()),
        reason="the published data are not at ../shared/data",
    ),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store, built = prepare(CORONAHACK, tmp_path_factory.mktemp("real") / "store", size=SIZE)
    assert built
    return store


def _paths(store: Store) -> list[Path]:
    images = CORONAHACK / "Coronahack-Chest-XRay-Dataset" / "Coronahack-Chest-XRay-Dataset"
    return [
        images / ("test" if split == "test" else "train") / name
        for name, split in zip(store.records["name"], store.records["split"], strict=True)
    ]


def _splits_of(store: Store, column: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for key, split in zip(store.records[column], store.records["split"], strict=True):
        found[key].add(split)
    return found


def test_the_counts_are_the_published_ones(store: Store) -> None:
    r = store.records
    assert len(r) == len(store.images_NSS) == 5910
    published = r["split"].replace("val", "train")
    assert Counter(zip(published, r["label"], strict=True)) == {
        ("train", "Normal"): 1342,
        ("train", "Pneumonia"): 3944,
        ("test", "Normal"): 234,
        ("test", "Pneumonia"): 390,
    }
    assert Counter(r["subtype"]) == {
        "": 1576,
        "viral": 1493,
        "bacterial": 2772,
        "COVID-19": 58,
        "Streptococcus": 5,
        "SARS": 4,
        "ARDS": 2,
    }
    assert (r["subtype"][r["label"] == "Normal"] == "").all()


def test_the_summary_that_comes_with_the_data_agrees(store: Store) -> None:
    with (CORONAHACK / "Chest_xray_Corona_dataset_Summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = {"Virus": "viral", "bacteria": "bacterial"}
    expected: Counter[tuple[str, bool]] = Counter()
    for row in rows:
        kind = row["Label_2_Virus_category"] or row["Label_1_Virus_category"]
        expected[names.get(kind, kind), False] += int(row["Train_Count"])
        expected[names.get(kind, kind), True] += int(row["Test_Count"])
    test = store.records["split"] == "test"
    assert Counter(zip(store.records["subtype"], test, strict=True)) == +expected


def test_what_is_known_of_the_data_is_found(store: Store) -> None:
    findings = {key: found for key, found in store.info["findings"].items() if key != "audit"}
    assert findings == {
        "duplicate_groups": 30,
        "duplicate_files": 62,
        "duplicates_with_conflicting_labels": 0,
        "unknown_patient": 70,
        "train_test_overlap": {
            "patients": {"patients": 0, "test_images": 0},
            "bare_person_numbers": {"patients": 170, "test_images": 320},
            "bare_normal_numbers": {"patients": 94, "test_images": 96},
        },
        "missing": [],
        "unreadable": [],
        "left_out_by_strict_patients": 0,
    }


def test_the_audit_finds_the_shortcuts_and_the_films_saved_twice(store: Store) -> None:
    """What this data set is known for, by an audit whose false alarms are known to be none."""
    audit = store.info["findings"]["audit"]
    told_by = {told["name"]: told["auroc"] for told in audit["shortcuts"]["told_by"]}
    assert told_by["file size and shape"] == pytest.approx(0.90, abs=0.02)
    assert told_by["borders and corners"] == pytest.approx(0.95, abs=0.02)
    assert told_by["gray levels"] == pytest.approx(0.79, abs=0.03)
    near = audit["near_duplicates"]
    assert near["strangers"] > 17_000_000
    assert near["strangers_near"] == 0
    found = [{pair["first"][:8], pair["second"][:8]} for pair in near["nearest"]]
    assert found == [{"D5ACAA93", "35AF5C3B"}, {"F4341CE7", "E63574A7"}]  # looked at: they are
    assert audit["odd"]["blank"] == audit["odd"]["inverted"] == []
    unlike = {name[:8] for name in audit["odd"]["unlike"]}
    turned = {name[:8] for name in audit["odd"]["turned"]}
    assert {"F63AB6CE", "35AF5C3B"} <= unlike | turned  # badly exposed; lateral
    assert len(unlike) <= 20


def test_a_film_that_was_changed_a_little_is_a_near_duplicate(store: Store) -> None:
    paths = _paths(store)[::30]
    films = [read_image(path, 256) for path in paths]
    hashes = look_at(np.stack(films)).hashes_N4
    for change in (_jpeg, _gamma, _contrast, _cut):
        changed = look_at(np.stack([change(film) for film in films])).hashes_N4
        distances = np.bitwise_count(hashes ^ changed).sum(axis=1)
        assert np.quantile(distances, 0.99) <= MAX_DISTANCE, change.__name__


def _jpeg(film: NDArray[np.uint8]) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(film).resize((150, 150)).save(buffer, "JPEG", quality=40)
    return np.asarray(Image.open(buffer).resize((256, 256)))


def _gamma(film: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return (255 * (film / 255) ** 0.7).astype(np.uint8)


def _contrast(film: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.clip((film.astype(float) - 128) * 1.3 + 128, 0, 255).astype(np.uint8)


def _cut(film: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(film[2:-3, 3:-2]).resize((256, 256)))


def test_an_inverted_film_is_found(store: Store) -> None:
    small = look_at(store.images_NSS).thumbnails_NTT
    turned = np.arange(0, len(small), 50)
    small[turned] = 255 - small[turned]
    found = find_odd(small)["inverted"]
    assert set(found) <= set(turned)
    assert len(found) >= 0.98 * len(turned)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_film_is_found(store: Store, turns: int) -> None:
    small = look_at(store.images_NSS).thumbnails_NTT
    as_they_are = set(find_odd(small)["turned"])
    assert len(as_they_are) <= 15
    rows = np.arange(0, len(small), 50)
    small[rows] = np.rot90(small[rows], turns, axes=(1, 2))
    found = set(find_odd(small)["turned"]) - as_they_are
    assert found <= set(rows)
    assert len(found) >= 0.95 * len(rows)


def test_the_numbers_in_train_and_test_counted_by_another_route(store: Store) -> None:
    test = store.records["split"] == "test"
    for number_in, expected in ((r"(person\d+)_", (170, 320)), (r"(IM-\d+)-", (94, 96))):
        number = store.records["name"].str.extract(number_in, expand=False)
        shared = set(number[test].dropna()) & set(number[~test])
        assert (len(shared), int(number[test].isin(shared).sum())) == expected


def test_no_patient_and_no_file_is_in_two_splits(store: Store) -> None:
    for column in ("patient", "sha256"):
        found = _splits_of(store, column)
        assert all(len(splits) == 1 for key, splits in found.items() if key)


def test_unknown_patients_stay_in_train_and_covid_is_not_in_test(store: Store) -> None:
    assert _splits_of(store, "patient")[""] == {"train"}
    assert _splits_of(store, "subtype")["COVID-19"] == {"train"}


def test_validation_is_a_tenth_of_each_kind(store: Store) -> None:
    r = store.records[(store.records["split"] != "test") & (store.records["patient"] != "")]
    shares = (r["split"] == "val").groupby(r["subtype"]).mean()
    assert set(shares.index) == {"", "viral", "bacterial"}
    assert shares.between(0.08, 0.12).all()


def test_a_second_build_elsewhere_is_byte_identical_and_a_second_call_builds_nothing(
    store: Store, tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "again"
    assert prepare(CORONAHACK, out, size=SIZE)[1]
    assert {p.name for p in out.iterdir()} == {p.name for p in store.path.iterdir()}
    for path in out.iterdir():
        assert path.read_bytes() == (store.path / path.name).read_bytes(), path.name
    assert not prepare(CORONAHACK, out, size=SIZE)[1]


def test_the_store_holds_the_pixels_predict_sees(store: Store) -> None:
    paths = _paths(store)
    odd = store.records.index[store.records["patient"] == ""].tolist()
    for row in [*odd, *range(0, 5910, 200)]:
        pixels = read_image(paths[row], SIZE)
        np.testing.assert_array_equal(store.images_NSS[row], pixels)
        assert pixels.std() > 5  # a picture, whatever its mode


def test_native_class_folders_are_read(store: Store, tmp_path: Path) -> None:
    native, _ = prepare(NATIVE, tmp_path / "store", size=SIZE)
    r = native.records
    assert Counter(r["label"]) == {"Normal": 50, "Pneumonia": 50}
    assert set(r["split"]) == {"train", "val"}
    assert int(r["width"].min()) > 224
    assert all(len(splits) == 1 for key, splits in _splits_of(native, "patient").items() if key)
    # The same films, stored at 224 x 224 in the other set: labels and pictures agree.
    row_of = {name: row for row, name in enumerate(store.records["name"])}
    for i, (_, record) in enumerate(r.iterrows()):
        row = row_of[record["name"].rsplit("/", 1)[1]]
        assert store.records["label"][row] == record["label"]
        assert store.records["subtype"][row] == record["subtype"]
        there, here = store.images_NSS[row].astype(int), native.images_NSS[i].astype(int)
        assert np.abs(there - here).mean() < 3


def test_the_shipped_model_reads_native_files_as_it_reads_small_copies() -> None:
    native = sorted((NATIVE / "chest_xray" / "train").glob("*/*.jpeg"))
    images = CORONAHACK / "Coronahack-Chest-XRay-Dataset" / "Coronahack-Chest-XRay-Dataset"
    copies = [images / "train" / path.name for path in native]
    model = load_model(SHIPPED_FOLDER, torch.device("cpu"))
    there, here = (
        model.logits(np.stack([read_image(path, model.info.image_size) for path in paths]))
        for paths in (native, copies)
    )
    assert len(here) == 100
    assert np.abs(there - here).max() < 0.2
    assert abs((there - here).mean()) < 0.02
    called_there, called_here = (
        probability(logits) >= model.info.threshold for logits in (there, here)
    )
    np.testing.assert_array_equal(called_there, called_here)
    by_onnx = load_onnx(SHIPPED_FOLDER)
    for paths, logits in ((native, there), (copies, here)):
        films_BSS = np.stack([read_image(path, model.info.image_size) for path in paths])
        said = probability(by_onnx.answer(films_BSS).logits_B, model.info.temperature)
        expected = probability(logits, model.info.temperature)
        np.testing.assert_allclose(said, expected, rtol=0, atol=1e-4)


def test_the_shipped_model_reads_the_test_split_as_its_card_says(tmp_path: Path) -> None:
    store, _ = prepare(CORONAHACK, tmp_path / "store")
    cpu = torch.device("cpu")
    model, test = load_model(SHIPPED_FOLDER, cpu), Split(store, "test", cpu)
    pneumonia = test.targets_N.numpy() == 1
    p = probability(model.split_logits(test))
    said = json.loads((SHIPPED_FOLDER / "metrics.json").read_text(encoding="utf-8"))
    hits = (p >= said["threshold"])[pneumonia].mean()
    rejected = (p < said["threshold"])[~pneumonia].mean()
    # By counting pairs, not by the function that metrics.json was made with. Another processor may
    # move a film or two across the threshold.
    ranked = (p[pneumonia][:, None] > p[~pneumonia][None]).mean()
    assert hits == pytest.approx(said["sensitivity"], abs=0.006)
    assert rejected == pytest.approx(said["specificity"], abs=0.01)
    assert ranked == pytest.approx(said["auroc"], abs=1e-3)
    # By which looks at these films are counted on, whatever the rest of a store is.
    films = "".join(sorted(store.records["sha256"][store.records["split"] == "test"]))
    assert said["films_sha256"] == hashlib.sha256(films.encode()).hexdigest()
