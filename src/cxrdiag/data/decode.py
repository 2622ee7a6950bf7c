"""Every file of a data set, decoded on all cores, into images.npy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from cxrdiag.cores import n_cores
from cxrdiag.data.findings import Unreadable
from cxrdiag.data.image import Encoding, Picture, read_bytes, read_picture
from cxrdiag.data.kaggle import Record
from cxrdiag.errors import DataError

_CHUNK = 256  # images in flight: bounds the memory, whatever the size of the data set


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file is besides its picture. Recorded, and never shown to a model."""

    width: int
    height: int
    bytes: int
    sha256: str


def write_images(
    path: Path, records: Sequence[Record], size: int, progress: Callable[[int, int], None]
) -> tuple[list[Record], list[FileFacts], list[Encoding], list[Unreadable]]:
    """Decode every record into `path`, uint8 (N, size, size), in order.

    What cannot be decoded is left out and listed. `progress(done, total)` counts records. Raises
    OSError where `path` cannot be written.
    """
    kept: list[Record] = []
    facts: list[FileFacts] = []
    encodings: list[Encoding] = []
    unreadable: list[Unreadable] = []
    with path.open("wb") as file:
        _write_header(file, len(records), size)
        for done, (record, result) in enumerate(_decode_all(records, size), start=1):
            if isinstance(result, DataError):
                unreadable.append(Unreadable(record.name, result.code, result.message))
            else:
                picture, fact = result
                file.write(picture.pixels_SS.tobytes())
                kept.append(record)
                facts.append(fact)
                encodings.append(picture.encoding)
            progress(done, len(records))
        # NumPy pads its header so that another count fits in the same place.
        file.seek(0)
        _write_header(file, len(kept), size)
    return kept, facts, encodings, unreadable


def _write_header(file: BinaryIO, n: int, size: int) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (n, size, size)}
    np.lib.format.write_array_header_1_0(file, header)


_Result = tuple[Picture, FileFacts] | DataError


def _decode_all(records: Sequence[Record], size: int) -> Iterator[tuple[Record, _Result]]:
    # Threads: Pillow decodes and resizes, and hashlib hashes, without holding the GIL.
    with ThreadPoolExecutor(n_cores()) as pool:
        for start in range(0, len(records), _CHUNK):
            chunk = records[start : start + _CHUNK]
            yield from zip(chunk, pool.map(lambda record: _read(record, size), chunk), strict=True)


def _read(record: Record, size: int) -> _Result:
    try:
        data = read_bytes(record.path)
        picture = read_picture(data, size, record.path)
        return picture, FileFacts(picture.width, picture.height, len(data), sha256_of(data))
    except DataError as error:
        return error


def sha256_of(data: bytes) -> str:
    """Of a file's bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
