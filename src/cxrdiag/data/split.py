"""The validation split: drawn once from the training patients, stratified, saved in the store."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrdiag.data.folds import stratified_group_folds
from cxrdiag.data.kaggle import Record, bare_normal_number, bare_person_number
from cxrdiag.errors import DataError

FOLDS = 10
"""One fold of ten is the validation split."""
MIN_PUBLISHED_VAL = 100
"""Fewer images than this choose nothing: Kaggle's chest-xray-pneumonia has a val/ of 16."""


@dataclass(frozen=True)
class Overlap:
    """Patients found in both train and test under one reading of their numbers."""

    patients: int
    test_images: int


def assign_splits(records: Sequence[Record], sha256: Sequence[str], seed: int) -> list[str]:
    """The final split of each record: `train`, `val` or `test`.

    A published val/ of at least 100 images is kept; a smaller one joins train. Otherwise one
    tenth of the training images, or up to two, is drawn for validation, stratified by label and
    subtype, whole patients and byte-identical files together. Images of unknown patient stay in
    train, unless most are, or too few of a class would be left: then each file stands for itself.
    Where all are of test, to evaluate a model that is there, none is drawn.

    Raises DataError where a patient or a byte-identical file is in more than one split, train or
    val has one class only, or train too few patients.
    """
    published = [record.split for record in records]
    if set(published) == {"test"}:
        return published
    if published.count("val") >= MIN_PUBLISHED_VAL:
        splits = published
    else:
        splits = ["train" if split == "val" else split for split in published]
        for row in _draw(records, sha256, splits, seed):
            splits[row] = "val"
    for split in ("train", "val"):
        _refuse_one_class(records, splits, split)
    _refuse_straddling([record.patient for record in records], splits, "patient")
    _refuse_straddling(sha256, splits, "byte-identical file", [record.name for record in records])
    return splits


def train_test_overlap(records: Sequence[Record], key: Callable[[str], str]) -> Overlap:
    """Patients in both train and test, where `key` reads an identity from `Record.patient`.

    An identity of "" is nobody's and counts for nothing.
    """
    identities = [key(record.patient) for record in records]
    test = [who for who, record in zip(identities, records, strict=True) if record.split == "test"]
    rest = {who for who, record in zip(identities, records, strict=True) if record.split != "test"}
    shared = (set(test) & rest) - {""}
    return Overlap(len(shared), sum(who in shared for who in test))


def drop_shared_numbers(records: Sequence[Record]) -> list[Record]:
    """The records without those films of train and val whose bare patient number test has too.

    Whether the published numbers restart for each kind of film is not known: if they do not, these
    are films of the test split's patients.
    """

    def bare(record: Record) -> str:
        return bare_person_number(record.patient) or bare_normal_number(record.patient)

    tested = {bare(r) for r in records if r.split == "test"} - {""}
    return [r for r in records if r.split == "test" or bare(r) not in tested]


def _draw(
    records: Sequence[Record], sha256: Sequence[str], splits: Sequence[str], seed: int
) -> list[int]:
    train = [row for row, split in enumerate(splits) if split == "train"]
    who = [records[row].patient or records[row].name for row in train]
    group_of = dict(zip(train, _groups(who, [sha256[row] for row in train]), strict=True))
    unknown = [row for row in train if not records[row].patient]
    # With them stays whoever shares a file with one of them.
    staying = {group_of[row] for row in unknown}
    known = [row for row in train if group_of[row] not in staying]
    # As many of a class as there are patients: films of one are never divided.
    n_known = Counter(label for label, _ in {(records[row].label, group_of[row]) for row in known})
    is_enough = all(n_known[records[row].label] >= FOLDS for row in unknown)
    if 2 * len(unknown) <= len(train) and is_enough:
        train = known
    groups = [group_of[row] for row in train]
    _refuse_few(len(set(groups)), "patients, or files of unknown patients,")
    for label, n in Counter(records[row].label for row in train).items():
        _refuse_few(n, f"{label} images")
    strata = [f"{records[row].label} {records[row].subtype}" for row in train]
    labels, whose = np.array([records[row].label for row in train]), np.array(groups)
    for chosen in stratified_group_folds(_merge_rare(strata), groups, FOLDS, seed):
        if _is_fair(labels, whose, chosen):
            return [train[position] for position in chosen]
    raise DataError(
        "no tenth of the patients in train is of two or more, has films of both classes and leaves "
        "both",
        hint="films of more patients are needed, or a val/ of your own of 100 films or more",
        code="too_few_patients",
    )


def _is_fair(labels: NDArray[np.str_], groups: NDArray[np.str_], chosen: NDArray[np.int64]) -> bool:
    """Whether both sides have all labels, and one patient does not make up the drawn one."""
    drawn, left = set(labels[chosen]), set(np.delete(labels, chosen))
    is_one = len(set(groups[chosen])) == 1
    return drawn == left and len(chosen) <= 2 * len(labels) / FOLDS and not is_one


def _refuse_few(n: int, what: str) -> None:
    if n < FOLDS:
        raise DataError(
            f"{n} {what} in train are too few to draw a validation split",
            hint=f"at least {FOLDS} are needed",
            code="too_few_patients",
        )


def _merge_rare(strata: Sequence[str]) -> list[str]:
    """Strata of fewer than FOLDS images cannot be spread over the folds.

    They join the commonest stratum of their label.
    """
    n = Counter(strata)
    commonest: dict[str, str] = {}
    for name, _ in n.most_common():
        commonest.setdefault(name.split(" ")[0], name)
    return [name if n[name] >= FOLDS else commonest[name.split(" ")[0]] for name in strata]


def _groups(patients: Sequence[str], sha256: Sequence[str]) -> list[str]:
    """One name for all images tied by a patient or by identical bytes."""
    parent = {patient: patient for patient in patients}

    def root(patient: str) -> str:
        while parent[patient] != patient:
            patient = parent[patient]
        return patient

    first: dict[str, str] = {}
    for patient, digest in zip(patients, sha256, strict=True):
        parent[root(patient)] = root(first.setdefault(digest, patient))
    return [root(patient) for patient in patients]


def _refuse_one_class(records: Sequence[Record], splits: Sequence[str], which: str) -> None:
    labels = {r.label for r, split in zip(records, splits, strict=True) if split == which}
    if len(labels) < 2:
        only = f"images of {min(labels)} alone" if labels else "no images"
        raise DataError(
            f"{which} has {only}",
            hint="a classifier needs both Normal and Pneumonia"
            + ("" if labels else "; to evaluate one, give test alone"),
            code="one_class",
        )


def _refuse_straddling(
    keys: Sequence[str], splits: Sequence[str], what: str, names: Sequence[str] | None = None
) -> None:
    seen: dict[str, set[str]] = defaultdict(set)
    for key, split in zip(keys, splits, strict=True):
        seen[key].add(split)
    straddling = [row for row, key in enumerate(keys) if key and len(seen[key]) > 1]
    if straddling:
        row = straddling[0]
        example = (names or keys)[row]
        raise DataError(
            f"{what} in more than one split, {len({keys[row] for row in straddling})} in all, "
            f"such as {example!r} in {' and '.join(sorted(seen[keys[row]]))}",
            hint="a test that shares them measures memory: move or remove them in the source",
            code="straddling_" + what.replace("byte-identical ", ""),
        )
