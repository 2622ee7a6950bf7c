"""One image file of any format becomes one gray uint8 square: the only decoder there is.

`prepare` and `predict` both call `read_picture`, so a file gives a model the same pixels, to the
bit, whichever way it comes in. Only the formats below are opened, whatever a file's name says.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from cxrdiag.data.find import MAP_MARK
from cxrdiag.data.limits import MAX_BYTES, refuse_large, too_large
from cxrdiag.data.quiet import quiet
from cxrdiag.errors import DataError

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP")
"""Pillow's names; DICOM besides."""
_ORIENTATION = 0x0112
"""The EXIF tag. Pillow's list of all of them takes a while to import."""
_UPRIGHT = {  # EXIF orientation -> what turns the stored picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_MARKS = (b"\xff\xd8\xff", b"\x89PNG", b"II*\0", b"MM\0*", b"RIFF", b"BM")
"""What a file of these formats begins with, however damaged the rest."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a file holds its picture."""

    mode: str
    """Pillow's: L, RGB, RGBA, P, I;16, ...; or DICOM."""
    coarseness: float
    """Mean of JPEG's quantisation table for gray: the larger, the lower the quality; others, 0."""


@dataclass(frozen=True)
class Picture:
    """What a file shows, and how it holds it."""

    pixels_SS: NDArray[np.uint8]
    """0 black to 255 white."""
    width: int
    """Pixels of the upright picture in the file."""
    height: int
    encoding: Encoding


def read_image(path: Path, size: int) -> NDArray[np.uint8]:
    """Read one file: the pixels of `read_picture`, and its errors."""
    return read_picture(read_bytes(path), size, path).pixels_SS


def read_bytes(path: Path) -> bytes:
    """The file's bytes. Raises DataError when they cannot be read, or are more than MAX_BYTES."""
    try:
        with path.open("rb") as file:
            # What it says its size is first: to ask for more takes longer than to read it.
            size = os.fstat(file.fileno()).st_size
            data = file.read(min(size, MAX_BYTES) + 1)
            if len(data) > size:  # a pipe, or it has grown
                data += file.read(MAX_BYTES + 1 - len(data))
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(reason, path=path, code="unreadable_file") from error
    if len(data) > MAX_BYTES:
        message = f"more than the limit of {MAX_BYTES // 2**20} MiB"
        raise DataError(message, path=path, code="image_too_large")
    return data


def read_picture(data: bytes, size: int, path: Path | str = "image") -> Picture:
    """Decode a file of any mode to a gray square (size, size).

    It is turned upright by its EXIF orientation; colour becomes ITU-R 601 luma, transparency lies
    over black, 16 bits are scaled to 8; a DICOM file is shown as `cxrdiag.data.dicom` says. The
    whole frame is kept and its aspect ratio is not: a square crop would cut off lung, and padding
    would put into the picture how wide the film was. Large JPEGs are decoded at a reduced DCT
    scale, never below `size`. Raises DataError: `unreadable_image`, `unsupported_format`,
    `unsupported_pixels`, `several_pictures`, `image_too_large`, `not_a_radiograph` of a map that
    cxrdiag drew, and those of `read_dicom`.
    """
    if is_dicom(data):
        # Half a second of imports that nobody needs who has no DICOM files.
        from cxrdiag.data.dicom import read_dicom

        gray = Image.fromarray(read_dicom(data, path))
        (width, height), encoding = gray.size, Encoding("DICOM", 0)
    else:
        with quiet():  # of sizes, EXIF blocks, damaged data: it may be in the file's words
            gray, (width, height), encoding = _read_other(data, size, path)
    pixels_SS = np.asarray(gray.resize((size, size), Image.Resampling.BILINEAR))
    return Picture(pixels_SS, width, height, encoding)


def is_dicom(data: bytes) -> bool:
    """Whether it is a DICOM file: with its preamble or, as old ones are, without."""
    little = data[:2] in (b"\x02\x00", b"\x08\x00") and data[3:4] == b"\0"
    return data[128:132] == b"DICM" or little or data[:3] == b"\x00\x08\x00"


def _read_other(
    data: bytes, size: int, path: Path | str
) -> tuple[Image.Image, tuple[int, int], Encoding]:
    """The gray picture, perhaps smaller than it is in the file, its size there, its encoding."""
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            refuse_large(image, data)
            # A camera puts a preview behind a JPEG (MPO); of others, nobody knows which is meant.
            n_frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
            if n_frames > 1:
                hint = "export the one that is meant"
                message = "several pictures in one file, or an animated one"
                raise DataError(message, hint=hint, code="several_pictures")
            if image.info.get(MAP_MARK[0]) == MAP_MARK[1]:
                hint = "name the X-ray that it was drawn over"
                raise DataError("an activation map", hint=hint, code="not_a_radiograph")
            encoding = Encoding(image.mode, _coarseness(image))
            image.draft("L", (size, size))
            image.load()
            turn = _turn(image)
            gray = _to_gray(image)
            upright = gray if turn is None else gray.transpose(turn)
    except Image.DecompressionBombError as error:  # Pillow's own limit, higher than ours
        raise too_large("the picture", path) from error
    except DataError as error:
        raise error.at(path) from None
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises nearly anything of a file that is damaged
        if isinstance(error, UnidentifiedImageError) and not data.startswith(_MARKS):
            what = "not a JPEG, PNG, TIFF, WebP, BMP or DICOM file" if data else "the file is empty"
            raise DataError(what, path=path, code="unsupported_format") from error
        # Not its words: they may hold what the file says.
        why = "it ends too early" if "truncated" in str(error) else "it cannot be decoded"
        raise DataError(
            f"damaged image: {why}",
            path=path,
            hint="open it in a viewer, or export it again",
            code="unreadable_image",
        ) from error
    is_lying = turn in (_UPRIGHT[5], _UPRIGHT[6], _UPRIGHT[7], _UPRIGHT[8])
    return upright, (height, width) if is_lying else (width, height), encoding


def _coarseness(image: Image.Image) -> float:
    tables = getattr(image, "quantization", None) or {}
    first = tables.get(0, [0])
    return float(sum(first) / len(first))


def _turn(image: Image.Image) -> Image.Transpose | None:
    # Not ImageOps.exif_transpose: it writes the EXIF block anew, and fails where that is damaged.
    try:
        return _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    except (struct.error, SyntaxError, ValueError, TypeError, KeyError, OSError):
        return None  # a damaged block says nothing; the film itself may be sound


def _to_gray(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return _from_16_bits(image)  # convert("L") would clip at 255
    if image.mode in ("I", "F"):
        raise DataError(
            "pixels of 32 bits, of which black and white are not known",
            hint="export it with 8 or 16 bits",
            code="unsupported_pixels",
        )
    if image.has_transparency_data:
        image = image.convert("RGBA")
        # Of the luma, not of each colour: a large film in colours takes 256 MiB, and each copy.
        over_black = Image.new("L", image.size)
        over_black.paste(image.convert("L"), mask=image.getchannel("A"))
        return over_black
    return image.convert("L")


def _from_16_bits(image: Image.Image) -> Image.Image:
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0]
    # By a table: as floating point numbers a large film would take a gigabyte.
    shown = np.rint(np.arange(65536) * (255 / (2**bits - 1))).clip(0, 255).astype(np.uint8)
    if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
        shown = 255 - shown  # 0 is white, which Pillow sees to for fewer bits alone
    return Image.fromarray(look_up(shown, np.asarray(image).astype(np.uint16, copy=False)))


def look_up(shown_V: NDArray[np.uint8], values_HW: NDArray[Any]) -> NDArray[np.uint8]:
    """What each value is shown as (H, W).

    By rows: an index of 16 bits is made one of 64, four times the size of a large film.
    """
    return np.stack([shown_V[row] for row in values_HW])
