"""Images, and patients, of which too many are in a split, or too few."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial

from cxrdiag.data.phantom.dataset import IMAGES
from tests.hostile.place import (
    FIRST,
    LABEL,
    LAST,
    N_TEST,
    N_TRAIN,
    NAME,
    SPLIT,
    Case,
    N,
    Place,
    noise,
)


def splits() -> Iterator[Case]:
    def same_name(place: Place) -> None:
        (place.test / place.cell(FIRST, NAME)).write_bytes(noise(6))
        (place.train / place.cell(LAST, NAME)).write_bytes(noise(7))

    def right_ones(place: Place) -> bool:
        from cxrdiag.data.store import open_store

        records = open_store(place.out).records
        sizes = {path.name: path.stat().st_size for path in (place.film(FIRST), place.film(LAST))}
        found = dict(zip(records["name"], records["bytes"], strict=True))
        return all(found[name] == size for name, size in sizes.items())

    yield Case(name="one name in train and test", make=same_name, holds=right_ones)

    def more(place: Place, copy: bool) -> None:
        film = place.film(FIRST)
        other = place.source / "again" / "train" / film.name
        other.parent.mkdir(parents=True)
        other.write_bytes(film.read_bytes() if copy else noise(8))

    yield Case(
        name="one name in two folders of train", make=partial(more, copy=False), row=FIRST,
        column=NAME, code="ambiguous_name", says="two different files",
    )  # fmt: skip
    yield Case(name="one file in two folders of train", make=partial(more, copy=True))
    yield Case(
        name="unzipped twice",
        make=lambda p: shutil.copytree(p.source / IMAGES, p.source / "copy" / IMAGES),
    )

    def same(place: Place, hard: bool) -> None:
        place.film(LAST).unlink()
        if hard:
            place.film(LAST).hardlink_to(place.film(FIRST))
        else:
            shutil.copy(place.film(FIRST), place.film(LAST))

    for hard in (False, True):
        yield Case(
            name=f"one {'file by hard link' if hard else 'file, copied'} in train and test",
            make=partial(same, hard=hard), code="straddling_file", says="in more than one split",
        )  # fmt: skip

    def both_labels(place: Place) -> None:
        first, other = place.line_of("Normal", "TRAIN"), place.line_of("Pnemonia", "TRAIN")
        film = place.film(other)
        film.unlink()
        shutil.copy(place.film(first), film)

    yield Case(
        name="one file with two labels in train", make=both_labels,
        says="with conflicting labels",
        holds=lambda p: '"duplicates_with_conflicting_labels": 1' in
        (p.out / "store.json").read_text(),
    )  # fmt: skip

    def patient(place: Place) -> None:
        place.rename(place.line_of("Pnemonia", "TRAIN"), "person900_virus_1.jpeg")
        place.rename(place.line_of("Pnemonia", "TEST"), "person900_virus_2.jpeg")

    yield Case(
        name="one patient in train and test", make=patient, code="straddling_patient",
        says="'person900_virus' in test and train",
    )  # fmt: skip

    def of(label: str, split: str) -> Callable[[list[str]], bool]:
        return lambda row: row[2:4] == [label, split]

    def without(name: str, label: str, split: str, code: str = "", says: str = "") -> Case:
        n = {"TRAIN": N_TRAIN // 3, "TEST": 2 * N_TEST // 5}[split]
        return Case(
            name=name, make=lambda p: p.keep(lambda row: not of(label, split)(row)), code=code,
            says=says, n=N - (n if label == "Normal" else 6),
        )  # fmt: skip

    yield without("no normal film in train", "Normal", "TRAIN", "one_class", "Pneumonia alone")
    # Of so few normal films that this is said first.
    yield without("no pneumonia in train", "Pnemonia", "TRAIN", "too_few_patients", "are too few")
    yield without("no normal film in test", "Normal", "TEST")
    yield without("no pneumonia in test", "Pnemonia", "TEST")
    yield Case(
        name="no test", make=lambda p: p.keep(lambda row: row[3] == "TRAIN"), n=N_TRAIN
    )  # fmt: skip
    yield Case(name="no train", make=lambda p: p.keep(lambda row: row[3] == "TEST"), n=N_TEST)
    few = "too_few_patients"
    yield Case(name="one image", make=lambda p: p.rows(lambda rows: rows[:2]), code=few)

    def one_patient(place: Place) -> None:
        for n in range(FIRST, N_TRAIN + FIRST):
            stem = "IM-0900-" if place.cell(n, LABEL) == "Normal" else "person900_virus_"
            if place.cell(n, SPLIT) == "TRAIN":
                place.rename(n, f"{stem}{n:04}.jpeg")

    yield Case(name="one patient of each class", make=one_patient, code=few, says="2 patients")

    def few_images(place: Place) -> None:
        place.keep(lambda row: row[3] == "TRAIN" and int(row[0]) % 5 == 0)

    yield Case(name="eight images", make=few_images, code=few, says="are too few")
