"""Links: out of the data set, within it, and in a circle."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cxrdiag.data.kaggle import METADATA
from tests.hostile.place import (
    N_TRAIN,
    NAME,
    Case,
    Make,
    N,
    Place,
)

ROW = 11


def links() -> Iterator[Case]:
    code, says = "outside_folder", "link out of the data set's folder"

    def image(place: Place, target: str, forbid: bool = False) -> None:
        place.link(place.film(ROW), target)
        if forbid:
            place.forbidden.append(Path(target))

    def bad(name: str, make: Make) -> Case:
        return Case(name=name, make=make, row=ROW, column=NAME, code=code, says=says)

    yield bad("image that is a link out", lambda p: p.link(p.film(ROW), p.secret))
    yield bad(
        "image that is a relative link out",
        lambda p: p.link(p.film(ROW), os.path.relpath(p.secret, p.train)),
    )
    for path in ("/etc/passwd", "/proc/self/environ"):
        yield bad(f"image that is a link to {path}", partial(image, target=path, forbid=True))

    def hops(place: Place) -> None:
        place.link(place.source / "hop", place.outside)
        place.link(place.source / "hop.jpeg", place.source / "hop" / place.secret.name)
        place.link(place.film(ROW), place.source / "hop.jpeg")

    yield bad("image that is a link out by way of others", hops)
    yield Case(
        name="image that is a link to /dev/zero", make=partial(image, target="/dev/zero"),
        n=N - 1, missing=1,
    )  # fmt: skip

    def twin(place: Place) -> None:
        place.link(place.source / place.cell(ROW, NAME), place.secret)

    yield Case(name="link out that has the name of an image of another folder", make=twin)

    def inside(place: Place) -> None:
        film = place.film(ROW)
        kept = place.source / "kept"
        kept.mkdir()
        film.rename(kept / "film")
        place.link(film, os.path.relpath(kept / "film", film.parent))

    yield Case(name="image that is a link within the data set", make=inside)

    def hard(place: Place) -> None:
        place.film(ROW).unlink()
        place.film(ROW).hardlink_to(place.secret)
        place.outside.rename(place.root / "elsewhere")

    yield Case(name="image that is a hard link", make=hard)

    def unlisted(place: Place) -> None:
        for name in ("README", "scan.jpeg", "1.2.840", "notes.txt"):
            place.link(place.train / name, place.secret)
        place.link(place.train / "kernel", "/proc/kmsg")  # whose reader waits
        place.forbidden.append(Path("/proc/kmsg"))

    yield Case(name="links out that are not listed", make=unlisted)

    def loops(place: Place) -> None:
        place.link(place.train / "above", "..")
        place.link(place.train / "all", "/")
        place.link(place.source / "beside", place.outside)
        place.link(place.source / "loop", place.source)

    yield Case(name="folders that are links to those above them, and out", make=loops)

    def folder(place: Place) -> None:
        place.train.rename(place.outside / "train")
        place.link(place.train, place.outside / "train")

    yield Case(
        name="images behind a link out", make=folder, code="incomplete_data_set",
        says=f"{N_TRAIN} images are missing",
    )  # fmt: skip

    def all_of_it(place: Place) -> None:
        place.link(place.root / "link", place.source)
        place.source = place.root / "link"

    yield Case(name="data set that is a link", make=all_of_it)

    def wrapped(place: Place) -> None:
        place.source.rename(place.outside / "data set")
        place.source.mkdir()
        place.link(place.source / "coronahack", place.outside / "data set")

    yield Case(name="data set behind a link in the folder", make=wrapped, code="unknown_layout")
    yield Case(
        name="metadata that is a link out",
        make=lambda p: p.link(p.table, p.outside / METADATA),
        code=code,
        says=says,
    )
    yield Case(
        name="metadata that is a link to /dev/zero", make=lambda p: p.link(p.table, "/dev/zero"),
        code="unknown_layout",
    )  # fmt: skip

    def moved(place: Place) -> None:
        place.table.rename(place.source / "metadata.csv")
        place.link(place.table, "metadata.csv")

    yield Case(name="metadata that is a link within the data set", make=moved)
