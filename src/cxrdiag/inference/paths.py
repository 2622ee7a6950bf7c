"""Which files are meant, what each is called, and where its map goes."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from cxrdiag.data.find import find_images, has_no_suffix_but_a_number, is_map
from cxrdiag.errors import DataError


def anonymous_name(data: bytes) -> str:
    """The first 16 digits of the SHA-256 of a file's bytes, by which its owner finds it again.

    Not of its name, which can be guessed.
    """
    return hashlib.sha256(data).hexdigest()[:16]


def expand(files: Sequence[Path]) -> list[Path]:
    """Files as they are, folders as the images below them; a folder without any, as it is.

    A folder below that cannot be listed stands for itself, behind them.
    """
    paths: list[Path] = []
    for file in files:
        unlisted: list[Path] = []
        try:
            found = find_images(file, unlisted=unlisted) if os.path.isdir(file) else []
        except DataError:  # said where the file is read
            found = []
        paths += [*found, *unlisted] or [file]
    return paths


def heatmap_paths(paths: Sequence[Path], folder: Path | None) -> list[Path | None]:
    """A PNG for each file, named after it, with a number where an input or another has the name.

    Where an earlier map lies there it is replaced, and nothing else is.
    """
    if folder is None:
        return [None] * len(paths)
    root = os.path.realpath(folder)  # Path.resolve raises on a loop of links
    # Some file systems tell no upper case from lower.
    taken = {os.path.realpath(path).casefold() for path in paths}
    left: dict[str, Iterator[Path]] = {}
    heatmaps: list[Path | None] = []
    for path in paths:
        # Of 1.2.840.17, as DICOM files are called, the last part is no suffix.
        name = path.name if has_no_suffix_but_a_number(path) else path.stem
        places = left.setdefault(name, _free_places(name, folder))
        place = next(p for p in places if os.path.join(root, p.name).casefold() not in taken)
        taken.add(os.path.join(root, place.name).casefold())
        heatmaps.append(place)
    return heatmaps


def anonymous_heatmap_path(name: str, folder: Path) -> Path:
    """As in `heatmap_paths`, for a file of that name; two of one content have one map."""
    return next(_free_places(name, folder))


def _free_places(name: str, folder: Path) -> Iterator[Path]:
    """`name.png`, `name-2.png`, ... where nothing is, or an earlier map."""
    for number in itertools.count(1):
        place = folder / (f"{name}-{number}.png" if number > 1 else f"{name}.png")
        if not os.path.lexists(place) or is_map(place):
            yield place
