"""JPEG, JPEG-LS and JPEG 2000 codestreams of up to 16 bits, as a DICOM file holds them.

JPEG baseline is decoded by Pillow, all else by the optional package imagecodecs (BSD-3-Clause),
which wraps libjpeg-turbo, CharLS and OpenJPEG. A picture's size is read before any of them is let
near it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from queue import Empty, SimpleQueue
from threading import Thread, get_ident
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from cxrdiag.data.limits import MAX_SCANS, count_scans
from cxrdiag.errors import DataError

_CODEC = {
    JPEGExtended12Bit: "jpeg8",
    JPEGLossless: "jpeg8",
    JPEGLosslessSV1: "jpeg8",
    JPEGLSLossless: "jpegls",
    JPEGLSNearLossless: "jpegls",
    JPEG2000Lossless: "jpeg2k",
    JPEG2000: "jpeg2k",
}
_SECONDS, _MOST_SECONDS = 4.0, 60.0
"""Of computing, a chest film takes a tenth of it; and in all, however busy the machine is."""
_SOI = b"\xff\xd8"
"""Start of a JPEG or JPEG-LS codestream."""
_SIZ = b"\xff\x4f\xff\x51"
"""Start of a JPEG 2000 codestream and the marker of its size (ISO/IEC 15444-1, A.5.1)."""
_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_NOT_A_FRAME = frozenset({0xC4, 0xC8, 0xCC})
"""DHT, JPG and DAC: between the markers that start a frame (ISO/IEC 10918-1, B.1.1.3)."""


Codec = Callable[[bytes, bool], NDArray[Any]]
"""Of a frame, and of whether it says that its colours are RGB."""


def find_codec(syntax: UID) -> Codec:
    """What decodes a transfer syntax. Raises DataError `missing_codec` where nothing does."""
    if syntax == JPEGBaseline8Bit:
        return _jpeg_baseline
    name = _CODEC.get(syntax)
    if name is None:
        raise DataError(
            "a DICOM file of a transfer syntax that is not read",
            hint="export it uncompressed, or as PNG",
            code="missing_codec",
        )
    try:
        import imagecodecs
    except ImportError as error:
        raise DataError(
            f"a compressed DICOM file ({syntax.name})",
            hint="pip install imagecodecs brings what reads it",
            code="missing_codec",
        ) from error
    decode = getattr(imagecodecs, f"{name}_decode")
    if syntax == JPEGExtended12Bit:  # colours as their luma; those of JPEG lossless are as stored
        return lambda frame, is_rgb: np.asarray(
            decode(frame, colorspace="RGB" if is_rgb else None, outcolorspace="GRAYSCALE")
        )
    return lambda frame, is_rgb: np.asarray(decode(frame))


def decode_codestream(
    frame: bytes, codec: Codec, shape: tuple[int, int], is_rgb: bool = False
) -> NDArray[Any]:
    """Decode one frame: (H, W), or (H, W, 3) of colours.

    `shape` is what the file says of H and W. Raises DataError `unreadable_dicom` where the
    codestream is damaged, or of another size.
    """
    if codestream_size(frame) not in ((*shape, 1), (*shape, 3)):
        raise damaged("its codestream is of another size than it says")
    if frame.startswith(_SOI) and count_scans(frame) > MAX_SCANS:
        raise damaged(f"its codestream has more than {MAX_SCANS} scans")
    pixels = _in_time(codec, frame, is_rgb)
    if pixels.shape[:2] != shape or pixels.dtype.itemsize > 2:
        raise damaged("its codestream is of another size than it says")
    return np.ascontiguousarray(pixels)


def _jpeg_baseline(frame: bytes, is_rgb: bool) -> NDArray[Any]:
    """By Pillow, which is there in any case: gray (H, W), colours as their luma."""
    with Image.open(BytesIO(frame), formats=["JPEG"]) as image:
        # Without a marker that tells, colours are taken for YCbCr. As such they are left as stored.
        is_untold_rgb = is_rgb and "adobe_transform" not in image.info
        image.draft("YCbCr" if is_untold_rgb else "L", image.size)
        return np.asarray(image)


def _in_time(codec: Codec, frame: bytes, is_rgb: bool) -> NDArray[Any]:
    """Of damaged codestreams some keep CharLS busy for long, far too long where they are large."""
    results: SimpleQueue[NDArray[Any] | Exception] = SimpleQueue()
    clocks: list[int] = []

    def decode() -> None:
        if hasattr(time, "pthread_getcpuclockid"):  # which macOS lacks
            clocks.append(time.pthread_getcpuclockid(get_ident()))
        try:
            results.put(codec(frame, is_rgb))
        except Exception as error:  # each codec has errors of its own
            results.put(error)

    # Not of a pool, which would be waited for: what it is left to do ends with the process.
    thread = Thread(target=decode, daemon=True)
    started = time.monotonic()
    thread.start()
    while _cpu_seconds(clocks) < _SECONDS and time.monotonic() - started < _MOST_SECONDS:
        with suppress(Empty):
            pixels = results.get(timeout=0.5)
            if isinstance(pixels, MemoryError):  # which says nothing of the file
                raise pixels
            if isinstance(pixels, Exception):
                raise damaged("its codestream cannot be decoded") from pixels
            return pixels
    raise damaged(f"its codestream was not decoded in {_SECONDS:.0f} s")


def _cpu_seconds(clocks: list[int]) -> float:
    """What a thread has computed: on a busy machine much less than has passed."""
    try:
        return time.clock_gettime(clocks[0]) if clocks else 0.0
    except OSError:  # it has just ended
        return 0.0


def codestream_size(frame: bytes) -> tuple[int, int, int] | None:
    """Rows, columns and components, or None where it does not tell."""
    if not frame.startswith(_SOI):
        at = frame.find(_SIZ, 0, 4096)  # after the boxes of a JP2 file, where there are any
        if at < 0:
            return None
        sizes = [int.from_bytes(frame[at + i : at + i + 4], "big") for i in (8, 12, 16, 20)]
        return (
            sizes[1] - sizes[3],
            sizes[0] - sizes[2],
            int.from_bytes(frame[at + 40 : at + 42], "big"),
        )
    at = 2
    while at + 9 < len(frame) and frame[at] == 0xFF:
        marker, length = frame[at + 1], int.from_bytes(frame[at + 2 : at + 4], "big")
        is_frame = 0xC0 <= marker <= 0xCF and marker not in _NOT_A_FRAME
        if is_frame or marker == 0xF7:  # 0xF7 of JPEG-LS (ISO/IEC 14495-1, C.2.2)
            rows, columns = (int.from_bytes(frame[at + i : at + i + 2], "big") for i in (5, 7))
            return rows, columns, frame[at + 9]
        at += 1 if marker == 0xFF else 2 if marker in _NO_LENGTH else 2 + length
    return None


def damaged(what: str) -> DataError:
    """The error of a DICOM file that is damaged, and in what."""
    return DataError(
        f"damaged DICOM file: {what}",
        hint="open it in a viewer, or export it again",
        code="unreadable_dicom",
    )
