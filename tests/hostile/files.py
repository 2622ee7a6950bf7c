"""Files that are not what the metadata says: no file at all, or with other contents."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from cxrdiag.data.phantom.dataset import IMAGES
from tests.hostile.place import (
    N_TEST,
    NAME,
    Case,
    N,
    NotHereError,
    Place,
    noise,
)

ROW = 11


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero
    except OSError as error:
        raise NotHereError("no device can be made") from error


def listening(path: Path) -> None:
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(path.parent)  # the whole path may be longer than a socket's may be
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.fchdir(here)
        os.close(here)


def nothing(path: Path) -> None:
    path.symlink_to("nowhere.jpeg")


def itself(path: Path) -> None:
    path.symlink_to(path.name)


KINDS: dict[str, Callable[[Path], None]] = {
    "a pipe": pipe, "a device": device, "a socket": listening, "a folder": Path.mkdir,
    "a link to nothing": nothing, "a link to itself": itself,
}  # fmt: skip


def no_files() -> Iterator[Case]:
    def instead(place: Place, kind: Callable[[Path], None]) -> None:
        film = place.film(ROW)
        film.unlink()
        kind(film)

    def remove(place: Place, lines: range) -> None:
        for line in lines:
            place.film(line).unlink()

    def metadata_is(place: Place, kind: Callable[[Path], None]) -> None:
        place.table.unlink()
        kind(place.table)

    for what, kind in KINDS.items():
        yield Case(
            name=f"image that is {what}", make=partial(instead, kind=kind), n=N - 1, missing=1,
            says="missing, or no file: IM-",
        )  # fmt: skip
        yield Case(
            name=f"metadata that is {what}", make=partial(metadata_is, kind=kind),
            code="unknown_layout", says="neither the CoronaHack layout nor",
        )  # fmt: skip

    yield Case(
        name="two images missing", make=partial(remove, lines=range(20, 22)), n=N - 2, missing=2
    )
    lost = "incomplete_data_set"
    yield Case(
        name="three images missing", make=partial(remove, lines=range(20, 23)), code=lost,
        says="3 images are missing and 0 unreadable of 50",
    )  # fmt: skip
    yield Case(
        name="all test images missing", make=lambda p: shutil.rmtree(p.test), code=lost,
        says=f"{N_TEST} images are missing",
    )  # fmt: skip
    yield Case(
        name="all images missing", make=lambda p: shutil.rmtree(p.source / IMAGES),
        code="no_images", says="no image of the data set is there",
    )  # fmt: skip
    yield Case(name="no metadata", make=lambda p: p.table.unlink(), code="unknown_layout")

    def emptied(place: Place) -> None:
        shutil.rmtree(place.source)
        place.source.mkdir()

    yield Case(
        name="empty folder", make=emptied, code="unknown_layout",
    )  # fmt: skip
    yield Case(name="no folder", make=lambda p: shutil.rmtree(p.source), code="no_such_folder")

    def archive(place: Place) -> None:
        place.source = Path(shutil.make_archive(str(place.root / "a"), "zip", place.source))

    yield Case(name="an archive instead of a folder", make=archive, code="no_such_folder")

    def unlisted(place: Place) -> None:
        for folder in (place.source, place.train, place.train / "more", place.test):
            folder.mkdir(exist_ok=True)
            (folder / "unlisted \x1b[2J.jpeg").write_bytes(noise(3))
        (place.train / "Thumbs.db").write_bytes(b"?")
        pipe(place.train / "pipe.jpeg")
        pipe(place.train / "pipe")

    yield Case(name="files that are not listed, and pipes", make=unlisted)

    def closed(place: Place) -> None:
        if os.geteuid() == 0:
            raise NotHereError("root may read everything")
        place.film(ROW).write_bytes(noise(4))
        place.film(ROW).chmod(0)

    yield Case(name="image that may not be read", make=closed, n=N - 1, unreadable=1)

    def deep(place: Place, levels: int) -> None:
        folder = place.train
        for _ in range(levels):
            folder /= "d"
        folder.mkdir(parents=True)
        place.film(ROW).rename(folder / place.cell(ROW, NAME))

    yield Case(name="image 40 folders deep", make=partial(deep, levels=40))
    yield Case(
        name="image 200 folders deep", make=partial(deep, levels=200), code="unreadable_folder",
        says="nested more than 50 deep",
    )  # fmt: skip

    def named(place: Place, name: str) -> None:
        inner = place.source / name
        inner.mkdir()
        for path in (place.table, place.source / IMAGES.parts[0]):
            path.rename(inner / path.name)

    yield Case(name="in a folder of its own", make=partial(named, name="archive (1)"))
    yield Case(
        name="in a folder with a terminal sequence for a name",
        make=partial(named, name="\x1b[2J"), code="unknown_layout",
    )  # fmt: skip


def contents() -> Iterator[Case]:
    def filled(place: Place, lines: range, data: bytes) -> None:
        for line in lines:
            film = place.film(line)
            film.unlink()
            film.write_bytes(data)

    sound = noise(5)
    for what, data, says in (
        ("no bytes", b"", "the file is empty"),
        ("text", b"not a film", "not a JPEG, PNG"),
        ("half a film", sound[: len(sound) // 2], "damaged image: it ends too early"),
        ("NULs", bytes(1000), "not a JPEG, PNG"),
        ("a script", b"#!/bin/sh\nreboot\n", "not a JPEG, PNG"),
    ):
        yield Case(
            name=f"image of {what}", make=partial(filled, lines=range(ROW, ROW + 1), data=data),
            n=N - 1, unreadable=1, says=says,
        )  # fmt: skip
    yield Case(
        name="three images of no bytes", make=partial(filled, lines=range(20, 23), data=b""),
        code="incomplete_data_set", says="0 images are missing and 3 unreadable of 50",
    )  # fmt: skip

    def large(place: Place) -> None:
        film = place.film(ROW)
        film.unlink()
        with film.open("wb") as file:
            file.truncate(2**40)  # of which the disk holds nothing

    yield Case(name="image of 1 TB", make=large, n=N - 1, unreadable=1, heavy=True)
