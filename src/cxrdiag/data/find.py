"""Which files below a folder are images."""

from __future__ import annotations

import os
from pathlib import Path

from cxrdiag.errors import DataError

IMAGE_SUFFIXES = frozenset(
    {".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".dcm", ".dicom"}
)
"""What is looked for in a folder; a file named outright may have any suffix."""


def find_images(folder: Path) -> list[Path]:
    """Image files below `folder`, sorted; hidden ones (an archive's `._x.jpeg`) are left out.

    None where there is no folder. Raises DataError (`unreadable_folder`) when it, or a folder in
    it, cannot be listed.
    """

    def refuse(error: OSError) -> None:
        if isinstance(error, FileNotFoundError):
            return
        raise DataError(
            f"the folder cannot be listed: {error.strerror}",
            path=error.filename,
            code="unreadable_folder",
        ) from error

    return sorted(
        Path(parent) / name
        for parent, _, names in os.walk(folder, onerror=refuse)
        for name in names
        if not name.startswith(".") and _looks_like_image(os.path.join(parent, name))
    )


def _looks_like_image(path: str) -> bool:
    """By its suffix; where there is none, or but a number, by the mark that DICOM files have."""
    suffix = os.path.splitext(path)[1].lower()
    if not os.path.isfile(path):  # a link to nowhere
        return False
    if suffix in IMAGE_SUFFIXES:
        return True
    if suffix[1:].strip("0123456789"):
        return False
    try:
        with open(path, "rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False
