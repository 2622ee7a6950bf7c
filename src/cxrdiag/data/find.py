"""Which files below a folder are images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from cxrdiag.errors import DataError

DICOM_SUFFIXES = frozenset({".dcm", ".dicom"})
IMAGE_SUFFIXES = DICOM_SUFFIXES | {".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp", ".bmp"}
"""What is looked for in a folder; a file named outright may have any suffix."""
MAP_MARK = ("Software", "cxrdiag, an activation map")
"""What the PNG of an activation map says of itself, so that it is not taken for a film."""
MAX_DEPTH = 50
"""Folders in folders; some tools, and Python 3.11 itself, cannot walk through a thousand."""
_MARKED = b"tEXt%s\0%s" % tuple(text.encode() for text in MAP_MARK)
STORE_FILES = frozenset({"images.npy", "records.csv", "store.json"})
"""Of a store, by which it is known."""


def find_images(
    folder: Path, inside: Path | None = None, unlisted: list[Path] | None = None
) -> list[Path]:
    """Image files below `folder`, sorted.

    Hidden files (an archive's `._x.jpeg`) and folders are left out, a store with its sheets of many
    films too, the maps that `predict` draws, and folders that are links. None where there is no
    folder. What a link leads to out of `inside`, where that is given, is not read, so such a link
    is told by its suffix alone. A folder that cannot be listed is put into `unlisted`; where that
    is not given, and where folders are nested too deep, DataError (`unreadable_folder`) is raised.
    """
    return [path for path in _visible(folder, unlisted) if _looks_like_image(path, inside)]


def find_lost(folder: Path) -> list[Path]:
    """What below `folder` has an image's suffix and is no regular file: a dangling link, a pipe."""
    return [
        path
        for path in _visible(folder)
        if path.suffix.lower() in IMAGE_SUFFIXES and not os.path.isfile(path)
    ]


def leads_out(path: Path, folder: Path) -> bool:
    """Whether links on the way to `path`, or `path` itself, lead out of `folder`."""
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _visible(folder: Path, unlisted: list[Path] | None = None) -> list[Path]:
    return sorted(_walk(folder, unlisted))


def _walk(folder: Path, unlisted: list[Path] | None) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        if isinstance(error, FileNotFoundError):
            return
        if unlisted is None:
            where = error.filename if error.filename.isprintable() else folder
            raise _unreadable(where, str(error.strerror)) from error
        unlisted.append(Path(error.filename))

    top = len(folder.parts)
    for parent, folders, names in os.walk(folder, onerror=refuse):
        if len(Path(parent).parts) - top > MAX_DEPTH:
            raise _unreadable(folder, f"folders in it are nested more than {MAX_DEPTH} deep")
        folders[:] = [name for name in folders if not name.startswith(".")]
        if not set(names) >= STORE_FILES:
            yield from (Path(parent, name) for name in names if not name.startswith("."))


def _unreadable(folder: Path | str, why: str) -> DataError:
    return DataError(f"the folder cannot be listed: {why}", path=folder, code="unreadable_folder")


def _looks_like_image(path: Path, inside: Path | None) -> bool:
    """By its suffix, but for maps; where there is none, or but a number, by the mark of DICOM."""
    suffix = path.suffix.lower()
    if not os.path.isfile(path):  # a link to nowhere
        return False
    if path.name.upper() == "DICOMDIR":  # the index of a disc
        return False
    may_be_dicom = has_no_suffix_but_a_number(path)
    may_be_map = suffix == ".png"
    is_known = suffix in IMAGE_SUFFIXES
    if not (may_be_map or may_be_dicom) or (inside is not None and leads_out(path, inside)):
        return is_known
    head = _head(path)
    if head is None:  # said where it is read as an image
        return is_known
    return head[128:] == b"DICM" if may_be_dicom else _MARKED not in head


def has_no_suffix_but_a_number(path: PurePath) -> bool:
    """Whether a name has no suffix, or a number for one, as those of DICOM files may."""
    return not path.suffix[1:].strip("0123456789")


def is_map(path: Path) -> bool:
    """Whether the file is an activation map that `predict` drew."""
    return os.path.isfile(path) and _MARKED in (_head(path) or b"")  # a pipe would be waited for


def _head(path: Path) -> bytes | None:
    """What a file begins with, as far as it takes to see a mark; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(132)
    except OSError:
        return None
