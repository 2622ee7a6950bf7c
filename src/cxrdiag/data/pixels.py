"""The pixels that a DICOM file holds, as they are stored (PS3.5 section 8 and Annexes A and G).

Shapes: H rows, W columns.
"""

from __future__ import annotations

import struct
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from cxrdiag.data.codestream import damaged, decode_codestream, find_codec

_PLAIN = frozenset({ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian})


def stored_pixels(dataset: Dataset) -> NDArray[Any]:
    """Of 8 or 16 bits: (H, W), or (H, W, 3) of the photometric interpretation.

    Colours are RGB where that is YBR_ICT or YBR_RCT, and their luma (H, W) where that is
    YBR_FULL_422, or the file of JPEG baseline or extended. Not by pydicom's decoders: the one for
    RLE takes 10 s for a large film, and gdcm, which they prefer where it is installed, is made by
    some damaged files to end the whole process. Raises DataError `unreadable_dicom` where there are
    too few of them, `missing_codec`.
    """
    if dataset.SamplesPerPixel not in (1, 3):
        raise damaged(f"{dataset.SamplesPerPixel} samples a pixel")
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in _PLAIN:
        return _plain(dataset, is_big=syntax == ExplicitVRBigEndian)
    if syntax == RLELossless:
        return _run_lengths(dataset)
    codec = find_codec(syntax)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    is_rgb = dataset.PhotometricInterpretation == "RGB"
    return decode_codestream(frame, codec, (dataset.Rows, dataset.Columns), is_rgb)


def _plain(dataset: Dataset, is_big: bool) -> NDArray[Any]:
    height, width, n_samples = dataset.Rows, dataset.Columns, dataset.SamplesPerPixel
    n_bytes = dataset.BitsAllocated // 8
    is_422 = dataset.PhotometricInterpretation == "YBR_FULL_422"
    count = height * width * (2 if is_422 else n_samples)
    data = np.frombuffer(dataset.PixelData, np.uint8)
    if len(data) < count * n_bytes:
        raise damaged(f"{len(data)} bytes of pixels where {count * n_bytes} belong")
    if is_big and n_bytes == 1 and dataset["PixelData"].VR == "OW":  # two of them in a word
        data = data[: len(data) // 2 * 2].reshape(-1, 2)[:, ::-1].ravel()
    pixels: NDArray[Any] = data[: count * n_bytes].view(np.uint8 if n_bytes == 1 else np.uint16)
    if n_bytes == 2 and is_big != (sys.byteorder == "big"):
        pixels = pixels.byteswap()
    if is_422:  # Y Y Cb Cr (PS3.3 C.7.6.3.1.2)
        if width % 2 or n_samples != 3:
            raise damaged("its colours do not fit its columns")
        return pixels.reshape(height, width // 2, 4)[..., :2].reshape(height, width)
    if n_samples == 1:
        return pixels.reshape(height, width)
    if dataset.get("PlanarConfiguration"):
        return pixels.reshape(3, height, width).transpose(1, 2, 0)
    return pixels.reshape(height, width, 3)


def _run_lengths(dataset: Dataset) -> NDArray[Any]:
    """RLE (PS3.5 Annex G): each byte of each sample is a segment, the highest byte first."""
    height, width, n_samples = dataset.Rows, dataset.Columns, dataset.SamplesPerPixel
    n_bytes = dataset.BitsAllocated // 8
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    n_segments, *starts = struct.unpack_from("<16I", frame)
    if n_segments != n_samples * n_bytes:
        raise damaged(f"{n_segments} segments where {n_samples * n_bytes} belong")
    ends = [*starts[1:n_segments], len(frame)]
    dtype = np.dtype(np.uint8 if n_bytes == 1 else np.uint16)
    pixels = np.empty((height * width, n_samples), dtype)
    by_byte = pixels.view(np.uint8).reshape(height * width, n_samples, n_bytes)
    if sys.byteorder == "little":
        by_byte = by_byte[..., ::-1]
    for segment, end in enumerate(ends):
        # As one row, because in some files a run goes on into the next.
        size, packed = (height * width, 1), frame[starts[segment] : end]
        row = Image.frombytes("L", size, packed, "packbits", "L")
        by_byte[:, segment // n_bytes, segment % n_bytes] = np.asarray(row)[0]
    return pixels.reshape((height, width) if n_samples == 1 else (height, width, 3))
