"""One image file of any format becomes one gray uint8 square: the only decoder there is.

`prepare` and `predict` both call `decode`, so a file gives a model the same pixels, to the
bit, whichever way it comes in.
"""

from __future__ import annotations

import os
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from cxrdiag.errors import DataError

FORMATS = ("JPEG", "PNG")
IMAGE_SUFFIXES = frozenset({".jpeg", ".jpg", ".png"})
"""What is looked for in a folder; a file named outright may have any suffix."""
_UPRIGHT = {  # EXIF orientation -> what turns the stored picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_FILTERS = threading.Lock()
MAX_PIXELS = 100_000_000
"""A chest film scanned at 0.1 mm has 15 million; more than this is refused before it is decoded."""


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
        if not name.startswith(".")
        and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
        and os.path.isfile(os.path.join(parent, name))  # not a link to nowhere
    )


def read_image(path: Path, size: int) -> NDArray[np.uint8]:
    """Read one file: `decode` of its bytes, and the same errors, with the path in them."""
    return decode(read_bytes(path), size, path)


def read_bytes(path: Path) -> bytes:
    """The file's bytes. Raises DataError when they cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(reason, path=path, code="unreadable_file") from error


def decode(data: bytes, size: int, path: Path | str = "image") -> NDArray[np.uint8]:
    """Decode a JPEG or PNG of any mode to gray.

    Returns uint8 (size, size), 0 black to 255 white: turned upright by its EXIF orientation,
    colour as ITU-R 601 luma, transparency over black, 16 bits scaled to 8. The whole frame is kept
    and its aspect ratio is not: a square crop would cut off lung, and padding would put into the
    picture how wide the film was. Large JPEGs are decoded at a reduced DCT scale, never below
    `size`. Raises DataError (`unreadable_image`, `unsupported_format`, `image_too_large`).
    """
    try:
        with _open(data) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise _too_large(f"{width} x {height} pixels", path)
            image.draft("L", (size, size))
            image.load()
            turn = _turn(image)
            gray = _to_gray(image if turn is None else image.transpose(turn))
    except Image.DecompressionBombError as error:  # Pillow's own limit, higher than ours
        raise _too_large("the picture", path) from error
    except UnidentifiedImageError as error:
        what = "the file is empty" if not data else "not a JPEG or PNG image"
        raise DataError(what, path=path, code="unsupported_format") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        # Pillow reports a broken file as any of these.
        raise DataError(
            f"damaged image: {error}",
            path=path,
            hint="open it in a viewer, or export it again",
            code="unreadable_image",
        ) from error
    return np.asarray(gray.resize((size, size), Image.Resampling.BILINEAR))


def image_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels of the upright picture; for data that `decode` takes."""
    with _open(data) as image:
        width, height = image.size
        lying = _turn(image) in (_UPRIGHT[5], _UPRIGHT[6], _UPRIGHT[7], _UPRIGHT[8])
        return (height, width) if lying else (width, height)


@dataclass(frozen=True)
class Encoding:
    """How a file holds its picture."""

    mode: str
    """Pillow's: L, RGB, RGBA, P, I;16, ..."""
    coarseness: float
    """Mean of JPEG's quantisation table for gray: the larger, the lower the quality; PNG has 0."""


def image_encoding(data: bytes) -> Encoding:
    """The encoding of data that `decode` takes."""
    with _open(data) as image:
        tables = getattr(image, "quantization", None) or {}
        first = tables.get(0, [0])
        return Encoding(image.mode, sum(first) / len(first))


def _open(data: bytes) -> Image.Image:
    with _quiet():
        return Image.open(BytesIO(data), formats=FORMATS)


def _turn(image: Image.Image) -> Image.Transpose | None:
    # Not ImageOps.exif_transpose: it writes the EXIF block anew, and fails where that is damaged.
    with _quiet():
        try:
            return _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
        except (struct.error, SyntaxError, ValueError, TypeError, KeyError, OSError):
            return None  # a damaged block says nothing; the film itself may be sound


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's warnings: of a size that `decode` refuses, of a damaged EXIF block.

    Warning filters are the process's and not the thread's, hence the lock.
    """
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _too_large(what: str, path: Path | str) -> DataError:
    message = f"{what} is more than the limit of {MAX_PIXELS:,} pixels"
    return DataError(message, path=path, code="image_too_large")


def _to_gray(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit PNG; convert("L") would clip at 255
        wide = np.asarray(image).astype(np.float64)
        return Image.fromarray(np.rint(wide / 257.0).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    return image.convert("L")
