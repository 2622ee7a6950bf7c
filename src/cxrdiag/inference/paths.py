"""Which files are meant, what each is called, and where its map goes."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cxrdiag.data.find import find_images, is_map
from cxrdiag.data.image import read_bytes
from cxrdiag.errors import DataError


def anonymous_name(path: Path) -> str:
    """The first 16 digits of the SHA-256 of its bytes, by which its owner finds it again.

    Not of its name, which can be guessed. Of a file that cannot be read, "unreadable".
    """
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()[:16]
    except DataError:
        return "unreadable"


def expand(files: Sequence[Path]) -> list[Path]:
    """Files as they are, folders as the images below them; a folder without any, as it is."""
    paths: list[Path] = []
    for file in files:
        try:
            found = find_images(file) if file.is_dir() else []
        except DataError:  # said where the file is read
            found = []
        paths += found or [file]
    return paths


def heatmap_paths(paths: Sequence[Path], folder: Path | None) -> list[Path | None]:
    """A PNG for each file, named after it, with a number where an input or another has the name.

    Where an earlier map lies there it is replaced, and nothing else is.
    """
    if folder is None:
        return [None] * len(paths)
    root = folder.resolve()
    # Some file systems tell no upper case from lower.
    taken = {str(path.resolve()).casefold() for path in paths}
    used: Counter[str] = Counter()
    heatmaps: list[Path | None] = []
    for path in paths:
        name = ""
        while not name or str(root / name).casefold() in taken or not _is_free(folder / name):
            used[path.stem] += 1
            number = f"-{used[path.stem]}" if used[path.stem] > 1 else ""
            name = f"{path.stem}{number}.png"
        taken.add(str(root / name).casefold())
        heatmaps.append(folder / name)
    return heatmaps


def anonymous_heatmap_path(name: str, folder: Path) -> Path:
    """As in `heatmap_paths`, for a file of that name; two of one content have one map."""
    places = (folder / f"{name}{f'-{n}' if n > 1 else ''}.png" for n in itertools.count(1))
    return next(place for place in places if _is_free(place))


def _is_free(place: Path) -> bool:
    return not os.path.lexists(place) or is_map(place)
