"""The layout of chest-xray-pneumonia: folders by split and class, without metadata."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unicodedata import normalize

from cxrdiag.data.phantom.dataset import IMAGES
from tests.hostile.files import KINDS, pipe
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

CLASSES = {"Normal": "NORMAL", "Pnemonia": "PNEUMONIA"}


def sort_into_folders(place: Place) -> None:
    """The data set in this layout."""
    for line in range(FIRST, LAST + 1):
        split, label = place.cell(line, SPLIT).lower(), CLASSES[place.cell(line, LABEL)]
        folder = place.source / split / label
        folder.mkdir(parents=True, exist_ok=True)
        place.film(line).rename(folder / place.cell(line, NAME))
    shutil.rmtree(place.source / IMAGES.parts[0])
    place.table.unlink()


def case(
    name: str, make: Callable[[Path, Place], object], code: str = "", says: str = "",
    n: int = N, missing: int = 0,
) -> Case:  # fmt: skip
    """A case in this layout; `make` is given the data set's folder, too."""

    def made(place: Place) -> None:
        sort_into_folders(place)
        make(place.source, place)

    return Case(name=f"folders: {name}", make=made, code=code, says=says, n=n, missing=missing)


def put(path: Path, seed: int = 20) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(noise(seed))


def class_folders() -> Iterator[Case]:
    yield case("as published", lambda root, _: None)
    yield case("in folders of their own", lambda root, _: nest(root))
    yield from unknown()
    yield from out()
    yield from odd_files()

    yield case(
        "empty class", lambda root, _: empty(root / "train/NORMAL"),
        "one_class", "Pneumonia alone",
    )  # fmt: skip
    yield case(
        "no class", lambda root, _: shutil.rmtree(root / "train/NORMAL"),
        "one_class", "Pneumonia alone",
    )  # fmt: skip
    yield case("no train", lambda root, _: shutil.rmtree(root / "train"), n=N_TEST)
    yield case(
        "the other class missing", lambda root, _: shutil.rmtree(root / "train/PNEUMONIA"),
        "too_few_patients", "are too few",
    )  # fmt: skip
    yield case("no test", lambda root, _: shutil.rmtree(root / "test"), n=N_TRAIN)
    yield case(
        "no normal film in test", lambda root, _: shutil.rmtree(root / "test/NORMAL"),
        n=N_TRAIN + 6,
    )  # fmt: skip
    yield case(
        "empty folders",
        lambda root, _: empty(*root.glob("*/*")), "no_images",
    )  # fmt: skip
    yield case(
        "one film in train and test",
        lambda root, _: shutil.copy(next((root / "train/NORMAL").iterdir()), root / "test/NORMAL"),
        "straddling_patient", "in test and train",
    )  # fmt: skip
    yield case(
        "one file in train and test, renamed",
        lambda root, _: shutil.copy(
            next((root / "train/NORMAL").iterdir()), root / "test/NORMAL/copy.jpeg"
        ),
        "straddling_file", "in test and train",
    )  # fmt: skip


def empty(*folders: Path) -> None:
    for folder in folders:
        for path in folder.iterdir():
            path.unlink()


def files_in(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if Path(folder, name).is_file()]


def nest(root: Path) -> None:
    (root / "archive" / "chest_xray").mkdir(parents=True)
    for split in ("train", "test"):
        (root / split).rename(root / "archive" / "chest_xray" / split)


def unknown() -> Iterator[Case]:
    """Folders whose name is no published label or split."""

    def bad(name: str, path: str, says: str) -> Case:
        return case(name, lambda root, _: put(root / path), "unknown_value", says)

    yield bad("another class", "train/TUBERCULOSIS/x.jpeg", "'TUBERCULOSIS'")
    yield bad("class in lower case", "train/normal/x.jpeg", "'normal'")
    yield bad("class misspelt in test", "test/PNEMONIA/x.jpeg", "'PNEMONIA'")
    yield bad("class in lookalike letters", "train/N\u041eRMAL/x.jpeg", r"'N\u041eRMAL'")
    yield bad("class with a terminal sequence", "train/\x1b[2J/x.jpeg", r"'\x1b[2J'")
    yield bad("film of no class", "train/x.jpeg", "'x.jpeg'")
    yield bad("another split", "validation/NORMAL/x.jpeg", "'validation'")
    yield bad("split in upper case", "TEST/PNEUMONIA/x.jpeg", "'TEST'")

    def respelt(split: str, *classes: str) -> Case:
        def make(root: Path) -> None:
            (root / "train").rename(root / split)
            for folder, name in zip(("NORMAL", "PNEUMONIA"), classes, strict=True):
                (root / split / folder).rename(root / split / name)

        name = f"train as {split}, of {' and '.join(classes)}, beside test"
        return case(name, lambda root, _: make(root), "unknown_value", repr(split))

    yield respelt("Train", "Normal", "Pneumonia")
    yield respelt("Train", "well", "sick")
    yield respelt("training", "Normal", "Pneumonia")
    yield case(
        "folders beside, without films",
        lambda root, _: shutil.copytree(root / "train", root / "train/more/a", ignore=files_in),
    )
    yield case("film beside the splits", lambda root, _: put(root / "x.jpeg"))


def out() -> Iterator[Case]:
    """Links."""
    code, says = "outside_folder", "link out of the data set's folder"

    def linked(root: Path, place: Place, path: str, keep: bool = False) -> None:
        target = (root / "kept" if keep else place.outside) / "moved"
        target.parent.mkdir(exist_ok=True)
        (root / path).rename(target)
        (root / path).symlink_to(os.path.relpath(target, (root / path).parent))

    for path in ("train", "test", "train/NORMAL", "test/PNEUMONIA"):
        yield case(f"{path} is a link out", partial(linked, path=path), code, says)
    yield case("train/NORMAL is a link within", partial(linked, path="train/NORMAL", keep=True))

    def link(root: Path, place: Place, name: str) -> None:
        place.link(root / "train/NORMAL" / name, place.secret)

    yield case("film that is a link out", partial(link, name="x.jpeg"), code, says)
    yield case("link out that is no film by its name", partial(link, name="README"))
    yield case(
        "folder that is a link out",
        lambda root, place: place.link(root / "train/NORMAL/more", place.outside),
    )
    yield case(
        "folder that is a link to the one above it",
        lambda root, place: place.link(root / "train/NORMAL/more", ".."),
    )


def odd_files() -> Iterator[Case]:
    def instead(root: Path, _: Place, kind: Callable[[Path], None]) -> None:
        film = min((root / "train/NORMAL").iterdir())
        film.unlink()
        kind(film)

    for what, kind in KINDS.items():
        missing = int(what != "a folder")
        yield case(f"film that is {what}", partial(instead, kind=kind), n=N - 1, missing=missing)

    def named(name: bytes | str) -> Callable[[Path, Place], object]:
        path = os.path.join("train/NORMAL", os.fsdecode(name))
        return lambda root, _: put(root / path)

    for what, name in (
        ("a terminal sequence", "\x1b[2J.jpeg"),
        ("right-to-left", "\u202egepj.jpeg"),
        ("a line end", "a\nb.jpeg"),
        ("latin-1", b"m\xfcller.jpeg"),
    ):
        says = ascii(os.fsdecode(name))[1:-1]
        yield case(f"name of {what}", named(name), "bad_name", says)
    for what in ("=cmd().jpeg", "-rf.jpeg", "a\\b.jpeg", "CON.jpeg", "🫁.jpeg", "a, b.jpeg"):
        yield case(f"name {what!a}", named(what), n=N + 1)

    def both(root: Path, _: Place) -> None:
        for seed, form in ((21, "NFC"), (22, "NFD")):
            put(root / "train/NORMAL" / normalize(form, "é.jpeg"), seed)  # type: ignore[arg-type]

    yield case("names composed and decomposed", both, n=N + 2)

    def hidden(root: Path, _: Place) -> None:
        folder = root / "train/NORMAL"
        for name in (".ipynb_checkpoints", ".a/b"):
            shutil.copytree(folder, folder.parent / "PNEUMONIA" / name, dirs_exist_ok=True)
        put(folder / "._x.jpeg")
        pipe(folder / ".pipe.jpeg")

    yield case("hidden files and folders", hidden)

    def store(root: Path, _: Place) -> None:
        for name in ("images.npy", "records.csv", "store.json", "odd.png"):
            put(root / "train/NORMAL/prepared" / name)

    yield case("a store among the films", store)
