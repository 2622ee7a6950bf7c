"""One image file of any format becomes one gray uint8 square: the only decoder there is.

`prepare` and `predict` both call `decode`, so a file gives a model the same pixels, to the
bit, whichever way it comes in.
"""

from __future__ import annotations

import os
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from cxrdiag.errors import DataError

FORMATS = ("JPEG", "PNG")
IMAGE_SUFFIXES = frozenset({".jpeg", ".jpg", ".png"})
"""What is looked for in a folder; a file named outright may have any suffix."""
_ORIENTATION = ExifTags.Base.Orientation
MAX_PIXELS = 100_000_000
"""A chest film scanned at 0.1 mm has 15 million; more than this is refused before it is decoded."""


def find_images(folder: Path) -> list[Path]:
    """Image files below `folder`, sorted; hidden ones (an archive's `._x.jpeg`) are left out."""
    return sorted(
        Path(parent) / name
        for parent, _, names in os.walk(folder)
        for name in names
        if not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
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
        with warnings.catch_warnings():
            # Pillow's warning at half its limit is an error here; ours comes first.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(data), formats=FORMATS) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise DataError(
                        f"{width} x {height} pixels is more than the limit of {MAX_PIXELS:,}",
                        path=path,
                        code="image_too_large",
                    )
                image.draft("L", (size, size))
                upright = ImageOps.exif_transpose(image)
                gray = _to_gray(upright)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError("too many pixels", path=path, code="image_too_large") from error
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
    """Width and height in pixels of the upright picture, without decoding it."""
    with Image.open(BytesIO(data), formats=FORMATS) as image:
        lying = image.getexif().get(_ORIENTATION, 1) >= 5
        width, height = image.size
        return (height, width) if lying else (width, height)


def _to_gray(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit PNG; convert("L") would clip at 255
        wide = np.asarray(image).astype(np.float64)
        return Image.fromarray(np.rint(wide / 257.0).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    return image.convert("L")
