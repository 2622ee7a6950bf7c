"""A sound data set in a place of its own, and what a hostile one is made with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from cxrdiag.data.kaggle import METADATA
from cxrdiag.data.phantom.dataset import IMAGES, write_coronahack

NAME, LABEL, SPLIT = "X_ray_image_name", "Label", "Dataset_type"
KIND, CAUSE = "Label_1_Virus_category", "Label_2_Virus_category"
COLUMNS = ("", NAME, LABEL, SPLIT, CAUSE, KIND)
"""In the order of the published file."""
N_TRAIN, N_TEST = 40, 10
N = N_TRAIN + N_TEST
FIRST, LAST = 2, N + 1
"""The lines of the first and of the last image in the metadata."""


class NotHereError(Exception):
    """This machine, or this user, cannot make the case."""


def write_sound(folder: Path) -> Path:
    """The data set that every case begins with."""
    return write_coronahack(folder, n_train=N_TRAIN, n_test=N_TEST, size=32)


@dataclass
class Place:
    """Where a case happens."""

    root: Path
    source: Path
    """What --kaggle-dir names."""
    out: Path
    """What --out names."""
    max_bytes: int = 0
    """Of a file that the command writes; 0 for any number."""
    forbidden: list[Path] = field(default_factory=list)
    """What must not be opened, besides `outside`."""
    undo: list[Callable[[], object]] = field(default_factory=list)

    @property
    def outside(self) -> Path:
        """A folder beside the data set, with a film and metadata that would do."""
        return self.root / "outside"

    @property
    def secret(self) -> Path:
        return self.outside / "secret.jpeg"

    @property
    def table(self) -> Path:
        return self.source / METADATA

    @property
    def train(self) -> Path:
        return self.source / IMAGES / "train"

    @property
    def test(self) -> Path:
        return self.source / IMAGES / "test"

    def bytes(self, change: Callable[[bytes], bytes]) -> None:
        """Change the metadata as bytes."""
        self.table.write_bytes(change(self.table.read_bytes()))

    def text(self, change: Callable[[str], str]) -> None:
        """Change the metadata as text."""
        self.bytes(lambda data: change(data.decode()).encode("utf-8", "surrogatepass"))

    def rows(self, change: Callable[[list[list[str]]], list[list[str]]]) -> None:
        """Change the metadata as cells, written as they are, without quotation marks."""
        self.text(
            lambda text: "".join(
                ",".join(row) + "\n"
                for row in change([line.split(",") for line in text.splitlines()])
            )
        )

    def cell(self, line: int, column: str) -> str:
        return self.table.read_text().splitlines()[line - 1].split(",")[COLUMNS.index(column)]

    def put(self, line: int, column: str, value: str) -> None:
        """Put a value into a cell, as it is."""

        def change(rows: list[list[str]]) -> list[list[str]]:
            rows[line - 1][COLUMNS.index(column)] = value
            return rows

        self.rows(change)

    def film(self, line: int) -> Path:
        """The file of an image of the metadata."""
        folder = self.train if self.cell(line, SPLIT) == "TRAIN" else self.test
        return folder / self.cell(line, NAME)

    def rename(self, line: int, stored: str, listed: str | None = None) -> None:
        """Give an image another name, on the disk and in the metadata."""
        film = self.film(line)
        film.rename(film.with_name(stored))
        self.put(line, NAME, stored if listed is None else listed)

    def line_of(self, label: str, split: str) -> int:
        """The first line of such an image."""
        lines = range(FIRST, LAST + 1)
        wanted = (label, split)
        return next(n for n in lines if (self.cell(n, LABEL), self.cell(n, SPLIT)) == wanted)

    def keep(self, wanted: Callable[[list[str]], bool]) -> None:
        """Keep the header and the rows that are wanted."""
        self.rows(lambda rows: [rows[0], *filter(wanted, rows[1:])])

    def link(self, path: Path, target: Path | str) -> None:
        """A link at `path`, in place of what is there."""
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    def is_vacant(self) -> bool:
        """Whether an earlier store could be where the store is to be."""
        return self.out == self.root / "stores" / "store" and not os.path.lexists(self.out)

    def close(self) -> None:
        """Undo what a case did outside of its place."""
        for step in reversed(self.undo):
            step()


def noise(seed: int) -> bytes:
    """A film that is like no other."""
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def open_place(root: Path, sound: Path) -> Place:
    """A place with a copy of the sound data set. Its images are hard links: never write in one."""
    place = Place(root, root / "data set", root / "stores" / "store")
    shutil.copytree(sound, place.source, copy_function=os.link)
    place.table.unlink()
    shutil.copy(sound / METADATA, place.table)
    place.outside.mkdir()
    place.secret.write_bytes(noise(1))
    shutil.copy(sound / METADATA, place.outside / METADATA)
    place.out.parent.mkdir()
    return place


Make = Callable[[Place], object]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One hostile data set, and the outcome."""

    name: str
    make: Make
    code: str = ""
    """Of the error; "" where a store is made."""
    row: int = 0
    column: str = ""
    """As the error names them, where it is about a cell."""
    says: str = ""
    """Words of the error, or of what is printed about the store."""
    n: int = N
    """Images in the store, with those that are ..."""
    missing: int = 0
    unreadable: int = 0
    """... left out."""
    heavy: bool = False
    """Takes too long, or too much of the machine, for the tests."""
    holds: Make | None = None
    """What else is true of the store."""

    @property
    def exit_code(self) -> int:
        return {"": 0, "file_error": 1}.get(self.code, 3)
