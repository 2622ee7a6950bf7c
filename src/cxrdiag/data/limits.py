"""What is too large to be decoded, told before it is."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image, TiffImagePlugin

from cxrdiag.errors import DataError

MAX_PIXELS = 100_000_000
"""A chest film scanned at 0.1 mm has 15 million; more than this is refused before it is decoded."""
MAX_BYTES = 256 * 2**20
"""Of a file, inflated where it is deflated, and of its decoded picture: MAX_PIXELS of 16 bits are
191 MiB."""
MAX_SCANS = 100
"""A progressive JPEG has ten, or a few more."""
_MARKER = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]", re.DOTALL)
"""All but those that have no length, and FF 00, which is data."""
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_TILE = (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH)


def refuse_large(image: Image.Image, data: bytes) -> None:
    """Raise DataError where decoding would take too much memory, or too long."""
    width, height = image.size
    bytes_a_pixel = 4 if len(image.getbands()) > 1 or image.mode in "IF" else 1  # Pillow's RGB too
    if width * height > MAX_PIXELS or width * height * bytes_a_pixel > MAX_BYTES:
        raise too_large(f"{width} x {height} pixels of {image.mode}")
    tags = getattr(image, "tag_v2", {})
    tile = [int(tags.get(tag, 0)) for tag in _TILE]
    if tile[0] * tile[1] > MAX_PIXELS:
        raise too_large(f"tiles of {tile[0]} x {tile[1]} pixels")
    # The whole picture is gone through for each. One colour that is not progressive has one scan.
    may_have_many = image.format in ("JPEG", "MPO") and (
        len(image.getbands()) > 1 or "progressive" in image.info
    )
    if may_have_many and count_scans(data) > MAX_SCANS:
        what = f"more than {MAX_SCANS} scans"
        raise DataError(what, hint="export it again", code="unreadable_image")


def count_scans(jpeg: bytes) -> int:
    """Those of the first picture in a JPEG stream (ISO/IEC 10918-1, B.1.1)."""
    at, n = 2, 0
    while match := _MARKER.search(jpeg, at):
        marker, at = jpeg[match.end() - 1], match.end()
        if marker == _END_OF_IMAGE:
            break
        n += marker == _START_OF_SCAN
        at += int.from_bytes(jpeg[at : at + 2], "big")  # what belongs to it, a preview in EXIF too
    return n


def too_large(what: str, path: Path | str | None = None) -> DataError:
    """The error of a picture that is not decoded because of its size."""
    message = f"{what}: the limit is {MAX_PIXELS:,} pixels, {MAX_BYTES // 4:,} in colour"
    return DataError(message, path=path, code="image_too_large")
