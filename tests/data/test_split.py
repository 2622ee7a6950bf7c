"""The validation split: whole patients, whole groups of identical files, drawn once from a seed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from PIL import Image

from cxrdiag.data.kaggle import NORMAL, PNEUMONIA, Record, bare_person_number
from cxrdiag.data.prepare import prepare
from cxrdiag.data.split import Overlap, assign_splits, train_test_overlap
from cxrdiag.errors import DataError

KINDS = [("Normal", ""), ("Pneumonia", "viral"), ("Pneumonia", "bacterial")]


def record(
    name: str, patient: str = "", split: str = "train", kind: tuple[str, str] = KINDS[0]
) -> Record:
    return Record(name, Path(name), kind[0], split, patient, kind[1])


def own_bytes(records: Sequence[Record]) -> list[str]:
    return [f"sha of {r.name}" for r in records]


def cohort(n: int = 60, split: str = "train", prefix: str = "P") -> list[Record]:
    """Patient i has 1 + i % 3 films, all of kind i % 3: kinds have 1/6, 2/6 and 3/6 of them."""
    return [
        record(f"{prefix}{i}-{j}", f"{prefix}{i}", split, KINDS[i % 3])
        for i in range(n)
        for j in range(1 + i % 3)
    ]


@st.composite
def data_sets(draw: st.DrawFn) -> tuple[list[Record], list[str]]:
    """A sound data set: films of 30 patients, then more, some with another's bytes or no patient.

    Patients and bytes are shared within the published train and within test, never across.
    """
    records = [record(f"base{i}", f"P{i}", kind=KINDS[i % 3]) for i in range(30)]
    sha256 = [f"sha{i}" for i in range(30)]
    films = st.tuples(
        st.sampled_from(["train", "train", "train", "test"]),
        st.one_of(st.just(""), st.integers(0, 40).map(str)),
        st.one_of(st.none(), st.integers(0, 40)),
        st.sampled_from(KINDS),
    )
    for i, (split, patient, copied, kind) in enumerate(draw(st.lists(films, max_size=30))):
        key = "P" if split == "train" else "T"
        records.append(record(f"film{i}", patient and key + patient, split, kind))
        own = f"own{i}" if copied is None else f"sha{copied}"
        sha256.append(own if split == "train" else f"test {own}")
    order = draw(st.permutations(range(len(records))))
    return [records[i] for i in order], [sha256[i] for i in order]


@settings(max_examples=100, deadline=None)
@given(data_set=data_sets(), seed=st.integers(0, 5))
def test_a_sound_data_set_is_split_soundly(
    data_set: tuple[list[Record], list[str]], seed: int
) -> None:
    records, sha256 = data_set
    try:
        splits = assign_splits(records, sha256, seed)
    except DataError as error:
        if error.code != "too_few_patients":
            raise  # refused for how the draw came out
        reject()  # so many ties that too few groups are left
    for keys in ([r.patient for r in records], sha256):
        found = defaultdict(set)
        for key, split in zip(keys, splits, strict=True):
            found[key].add(split)
        assert all(len(where) == 1 for key, where in found.items() if key)
    unknown = {digest for r, digest in zip(records, sha256, strict=True) if not r.patient}
    is_tied = any(
        r.patient and digest in unknown for r, digest in zip(records, sha256, strict=True)
    )
    for r, split in zip(records, splits, strict=True):
        assert (split == "test") == (r.split == "test")
        assert r.patient or split != "val" or is_tied  # then too few of a class may be left
    for part in ("train", "val"):
        labels = {r.label for r, split in zip(records, splits, strict=True) if split == part}
        assert labels == {NORMAL, PNEUMONIA}
    assert assign_splits(records, sha256, seed) == splits


def test_one_tenth_is_drawn_and_stratified() -> None:
    records = cohort(600)
    splits = assign_splits(records, own_bytes(records), 0)
    total = Counter((r.label, r.subtype) for r in records)
    drawn = Counter(
        (r.label, r.subtype) for r, split in zip(records, splits, strict=True) if split == "val"
    )
    assert set(total) == set(KINDS)
    for kind in KINDS:
        assert drawn[kind] / total[kind] == pytest.approx(0.1, abs=0.02)


def test_the_seed_alone_decides() -> None:
    records = cohort(60) + cohort(20, "test", "T")
    sha256 = own_bytes(records)
    np.random.seed(7)
    drawn = [assign_splits(records, sha256, seed) for seed in range(6)]
    assert np.random.random() == np.random.RandomState(7).random()  # nobody else's draws change
    assert drawn == [assign_splits(records, sha256, seed) for seed in range(6)]
    assert len({tuple(splits) for splits in drawn}) > 3


def test_images_of_unknown_patient_stay_in_train_with_whoever_shares_their_file() -> None:
    records = cohort(60)
    for i in range(60):
        unknown = [record("unknown")]
        shared = [f"sha of P{i}-0"]
        splits = assign_splits(records + unknown, own_bytes(records) + shared, 0)
        assert splits[-1] == "train"
        of_patient = [s for r, s in zip(records, splits, strict=False) if r.patient == f"P{i}"]
        assert set(of_patient) == {"train"}


def test_where_most_patients_are_unknown_each_file_stands_for_itself() -> None:
    known, unknown = cohort(6), [record(f"u{i}", kind=KINDS[i % 2]) for i in range(90)]
    records = known + unknown
    splits = assign_splits(records, own_bytes(records), 0)
    assert 8 <= splits.count("val") <= 12
    copies = [f"sha{i // 2}" for i in range(len(records))]
    splits = assign_splits(records, copies, 0)
    assert all(splits[i] == splits[i + 1] for i in range(len(known), len(records), 2))
    assert "val" in splits


def test_a_small_published_val_joins_train_and_a_large_one_is_kept() -> None:
    records = cohort(60) + [record(f"v{i}", f"V{i}", "val", KINDS[i % 3]) for i in range(99)]
    splits = assign_splits(records, own_bytes(records), 0)
    assert 15 <= splits.count("val") <= 30
    assert splits[120:] != ["val"] * 99
    records.append(record("v99", "V99", "val"))
    published = [r.split for r in records]
    assert assign_splits(records, own_bytes(records), 0) == published


def test_a_published_val_of_one_class_is_refused() -> None:
    records = cohort(60) + [record(f"v{i}", f"V{i}", "val") for i in range(100)]
    with pytest.raises(DataError, match="val has images of Normal alone") as caught:
        assign_splits(records, own_bytes(records), 0)
    assert caught.value.code == "one_class"


def test_where_all_of_a_class_are_of_unknown_patients_files_stand_for_themselves() -> None:
    normal = [record(f"IM-{i:04}-0001.jpeg", f"IM-{i:04}") for i in range(60)]
    records = normal + [record(f"covid{i}.png", kind=KINDS[1]) for i in range(50)]
    splits = assign_splits(records, own_bytes(records), 0)
    drawn = Counter(r.label for r, split in zip(records, splits, strict=True) if split == "val")
    assert drawn == {NORMAL: 6, PNEUMONIA: 5}


def test_where_few_patients_of_a_class_are_known_files_stand_for_themselves() -> None:
    one = [record(f"one{i}", "P") for i in range(12)]
    unknown = [record(f"unknown{i}") for i in range(60)]
    sick = [record(f"sick{i}", f"S{i}", kind=KINDS[1]) for i in range(100)]
    records = one + unknown + sick
    splits = assign_splits(records, own_bytes(records), seed=0)
    assert len({splits[i] for i in range(12)}) == 1
    drawn = Counter(r.label for r, split in zip(records, splits, strict=True) if split == "val")
    assert drawn["Pneumonia"] == 10
    assert 5 <= drawn["Normal"] <= 14


def test_validation_is_never_one_patient() -> None:
    records = [record(f"{i}-{j}", f"P{i}", kind=KINDS[j % 2]) for i in range(10) for j in range(10)]
    with pytest.raises(DataError, match="is of two or more") as caught:
        assign_splits(records, own_bytes(records), 0)
    assert caught.value.code == "too_few_patients"


@pytest.mark.parametrize("split", ["test", "val"])
def test_a_patient_in_two_published_splits_is_refused(split: str) -> None:
    records = cohort(60) + [record(f"x{i}", f"X{i}", split, KINDS[i % 3]) for i in range(150)]
    records.append(record("again", "P7", split))
    with pytest.raises(DataError, match="'P7' in t") as caught:
        assign_splits(records, own_bytes(records), 0)
    assert (caught.value.code, caught.value.exit_code) == ("straddling_patient", 3)
    assert "1 in all" in caught.value.message


def test_identical_files_in_train_and_test_are_refused() -> None:
    records = cohort(60) + cohort(20, "test", "T")
    sha256 = own_bytes(records)
    sha256[-1] = sha256[0]
    with pytest.raises(DataError, match="such as 'P0-0' in t") as caught:
        assign_splits(records, sha256, 0)
    assert caught.value.code == "straddling_file"
    unknown = [*records, record("u-train"), record("u-test", split="test")]
    with pytest.raises(DataError, match="'u-train' in test and train"):
        assign_splits(unknown, [*own_bytes(records), "same", "same"], 0)


@pytest.mark.parametrize(
    ("records", "said"),
    [
        (cohort(9), "9 patients"),
        ([record(f"n{i}", f"N{i % 2}") for i in range(50)], "2 patients"),
        (
            [record(f"n{i}", f"N{i}") for i in range(40)]
            + [record(f"p{i}", f"Q{i}", kind=KINDS[1]) for i in range(9)],
            "9 Pneumonia images",
        ),
    ],
)
def test_too_few_to_draw_from_are_refused(records: list[Record], said: str) -> None:
    with pytest.raises(DataError, match=f"^{said}") as caught:
        assign_splits(records, own_bytes(records), 0)
    assert caught.value.code == "too_few_patients"


def test_films_of_test_alone_are_not_divided() -> None:
    records = [record("t", "T", "test"), record("u", "T", "test", KINDS[1])]
    assert assign_splits(records, own_bytes(records), 0) == ["test", "test"]
    val = cohort(60, "val", "V")
    with pytest.raises(DataError, match=r"^train has no images \(.*give test alone"):
        assign_splits([*records, *val], own_bytes([*records, *val]), 0)


def test_one_patient_of_very_many_films_is_not_the_validation_split() -> None:
    """Who has the most uneven films is in the first fold of all, whatever the seed."""
    many = [record(f"many{i}", "many", kind=KINDS[1]) for i in range(500)]
    records = [*many, *cohort(60)]
    for seed in range(3):
        splits = assign_splits(records, own_bytes(records), seed)
        assert set(splits[:500]) == {"train"}
        drawn = {r.label for r, split in zip(records, splits, strict=True) if split == "val"}
        assert drawn == {"Normal", "Pneumonia"}


def test_where_no_tenth_has_both_classes_it_is_refused() -> None:
    """All normal films are of one patient: where they are drawn, none is left."""
    normal = [record(f"n{i}", "n") for i in range(30)]
    sick = [record(f"s{i}", f"s{i}", kind=KINDS[1]) for i in range(100)]
    with pytest.raises(DataError) as e:
        assign_splits([*normal, *sick], own_bytes([*normal, *sick]), 0)
    assert e.value.code == "too_few_patients"


def test_rare_subtypes_are_split_with_their_label() -> None:
    rare = [record(f"r{i}", f"R{i}", kind=("Pneumonia", f"rare{i % 3}")) for i in range(9)]
    records = cohort(60) + rare
    drawn = set()
    for seed in range(12):
        splits = assign_splits(records, own_bytes(records), seed)
        drawn |= {r.name for r, s in zip(records, splits, strict=True) if s == "val"}
    assert drawn & {r.name for r in rare}


def test_overlap_counts_patients_and_test_images_under_a_reading() -> None:
    records = [
        record("a", "person1_virus"),
        record("b", "person2_virus"),
        record("c", "person2_virus", "val"),
        record("d", "person1_bacteria", "test"),
        record("e", "person1_bacteria", "test"),
        record("f", "person2_virus", "test"),
        record("g", "person3_virus", "test"),
        record("h"),
        record("i", "", "test"),
        record("j", "IM-1"),
        record("k", "IM-1", "test"),
    ]
    assert train_test_overlap(records, str) == Overlap(patients=2, test_images=2)
    assert train_test_overlap(records, bare_person_number) == Overlap(patients=2, test_images=3)


def test_a_train_that_strict_patients_would_empty_is_refused(tmp_path: Path) -> None:
    for split, scan in (("train", 1), ("test", 2)):
        for n in range(10):
            for name in (
                f"NORMAL/IM-{n:04}-000{scan}.png",
                f"PNEUMONIA/person{n}_virus_{scan}.png",
            ):
                path = tmp_path / "films" / split / name
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.full((4, 4), 20 * n + scan, np.uint8)).save(path)
    with pytest.raises(DataError, match="all films of train") as caught:
        prepare(tmp_path / "films", tmp_path / "store", size=8, strict_patients=True)
    assert caught.value.code == "too_few_patients"
    assert not (tmp_path / "store").exists()
