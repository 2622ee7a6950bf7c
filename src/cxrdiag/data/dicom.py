"""A DICOM file becomes the gray picture that it is meant to be shown as.

Gray pixels are shown as `cxrdiag.data.grayscale` says, colour becomes ITU-R 601 luma. Overlays,
annotations and presentation states are left out, and so is the pixel spacing: the aspect ratio of a
film is not kept anyway. Nothing that a file says of a patient leaves this module, in a message or
otherwise.

Shapes: H rows, W columns.
"""

from __future__ import annotations

import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset, read_preamble
from pydicom.pixels.processing import apply_color_lut
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

from cxrdiag.data.codestream import damaged
from cxrdiag.data.grayscale import show_gray, text_of
from cxrdiag.data.limits import MAX_BYTES, MAX_PIXELS, too_large
from cxrdiag.data.pixels import stored_pixels
from cxrdiag.data.quiet import quiet
from cxrdiag.errors import DataError

RADIOGRAPHY = frozenset({"CR", "DX", "DR", "RG", "OT", "SC", ""})
"""Modalities: plain radiographs, and what may be one (PS3.3 C.7.3.1.1.1)."""
CHEST = ("CHEST", "THORA", "TORA", "LUNG")
"""What a body part examined is called where it is the chest, in several languages."""
LATERAL = frozenset({"LL", "RL", "LAT", "LATERAL", "LLO", "RLO", "LLAT", "RLAT"})
"""View positions, oblique ones too (PS3.3 C.8.1.1.1, C.8.11.5)."""
LATERAL_CODES = frozenset(
    # Lateral, right lateral, left lateral; as SNOMED RT and as SNOMED CT (PS3.16 CID 4010).
    {"R-10236", "R-10232", "R-10228", "399067008", "399198007", "399173006"}
)
_RGB = frozenset({"RGB", "YBR_ICT", "YBR_RCT"})  # the last two are RGB when JPEG 2000 is decoded
_LUMA_FIRST = frozenset({"YBR_FULL", "YBR_FULL_422"})
"""Photometric interpretations whose first component is ITU-R 601 luma (PS3.3 C.7.6.3.1.2)."""
_COLOURS = ("Red", "Green", "Blue")
_NEEDED = (
    *("Modality", "BodyPartExamined", "ViewPosition", "ViewCodeSequence", "PatientOrientation"),
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames"),
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept"),
    *("ModalityLUTSequence", "VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction"),
    *(f"{c}PaletteColorLookupTable{what}" for c in _COLOURS for what in ("Descriptor", "Data")),
    *("PixelData", "FloatPixelData", "DoubleFloatPixelData"),
)
"""What is read; the rest of a file is passed over, and never held."""

_LIMITS = {
    "PixelData": (MAX_BYTES, 100_000),  # some encoders cut a picture into parts of 16 KiB or so
    **dict.fromkeys(("FloatPixelData", "DoubleFloatPixelData"), (MAX_BYTES, MAX_BYTES)),
    **{f"{c}PaletteColorLookupTableData": (2**18, 2**18) for c in _COLOURS},
    **dict.fromkeys(("ViewCodeSequence", "ModalityLUTSequence", "VOILUTSequence"), (2**22, 1000)),
}
_OTHERS = (2**12, 2**12)
"""How many bytes a value may have, and how many items or fragments: a table of 65,536 entries of 16
bits is 128 KiB."""
_ROWS = 256
_MOST_READS = 100_000
"""Three a data element: a film has some hundred elements, and none has ten thousand."""


def read_dicom(data: bytes, path: Path | str) -> NDArray[np.uint8]:
    """The picture of a DICOM file: uint8 (H, W), 0 black to 255 white.

    Of several windows or VOI LUTs the first is taken; without one, the gray levels run from the
    lowest to the highest value that the picture has, padding aside, which is shown black. Raises
    DataError: `not_a_radiograph`, `not_a_chest`, `not_frontal` (by the file's own tags),
    `several_pictures`, `no_picture`, `image_too_large`, `unsupported_pixels`, `missing_codec`,
    `unreadable_dicom`.
    """
    try:
        with quiet():
            dataset = _parse(data)
            _refuse_large(dataset)
            _refuse_others(dataset)
            return _shown(dataset)
    except MemoryError:
        raise
    except Exception as error:  # pydicom raises nearly anything of a file that is damaged
        # Not its words: they hold what the file says.
        unreadable = damaged("its data elements or pixels cannot be read")
        told = error if isinstance(error, DataError) else unreadable
        raise told.at(path) from None


class _Stream(BytesIO):
    """Bytes of a file, for as many data elements as it may have."""

    _reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > _MOST_READS:
            raise damaged("it has more data elements than any film")
        return super().read(size)


def _parse(data: bytes) -> Dataset:
    stream = _Stream(data)
    read_preamble(stream, force=True)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, *_: tag.group != 2)
    begin, syntax = stream.tell(), meta.get("TransferSyntaxUID")
    tags: list[BaseTag | int] = [Tag(keyword) for keyword in _NEEDED]
    if syntax is None:
        # Guessed from the first data element, which is not to name another syntax by then.
        if data[begin : begin + 2] == b"\x02\x00":
            raise damaged("its meta information cannot be read")
        dataset: Dataset = dcmread(_Stream(data[begin:]), force=True, specific_tags=tags)
        implicit, little = dataset.original_encoding
        plain = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        syntax = ImplicitVRLittleEndian if implicit else plain
    else:
        if syntax == DeflatedExplicitVRLittleEndian:
            stream, syntax = _Stream(_inflate(data[begin:])), ExplicitVRLittleEndian
        implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
        dataset = read_dataset(stream, implicit, little, specific_tags=tags)
    if meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        what = "a DICOMDIR, the index of a disc, and no picture"
        raise DataError(what, hint="name the disc's folder", code="no_picture")
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def _inflate(deflated: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    plain = inflater.decompress(deflated, MAX_BYTES)
    if inflater.unconsumed_tail:
        what = f"inflated it has more than {MAX_BYTES // 2**20} MiB"
        raise DataError(what, code="image_too_large")
    return plain


def _refuse_large(dataset: Dataset) -> None:
    """Raise DataError where a value is longer than it can be: made a list, it would fill memory."""
    is_big = dataset.file_meta.TransferSyntaxUID == ExplicitVRBigEndian
    item = b"\xff\xfe\xe0\x00" if is_big else b"\xfe\xff\x00\xe0"
    for raw in dataset.values():  # as they are in the file, where that is not yet parsed
        name, value = keyword_for_tag(raw.tag), raw.value
        if not isinstance(value, bytes):
            continue
        most_bytes, most_items = _LIMITS.get(name, _OTHERS)
        if len(value) > most_bytes or value.count(item) > most_items:
            raise damaged(f"{name} is longer than it can be")
        if name == "PixelData" and raw.VR not in (None, "OB", "OW", "OB or OW", "UN"):
            raise damaged("its pixels are of another type")


def _refuse_others(dataset: Dataset) -> None:
    """Raise DataError where the tags tell that it is no frontal film of a chest."""
    hint = "where the tag is wrong, export the picture as PNG"

    def refuse(what: str, keyword: str, code: str) -> DataError:
        return DataError(f"{what}, as its tag {keyword} tells", hint=hint, code=code)

    if text_of(dataset, "Modality") not in RADIOGRAPHY:
        raise refuse("not a radiograph", "Modality", "not_a_radiograph")
    part = text_of(dataset, "BodyPartExamined")
    if part and ("SPINE" in part or not any(name in part for name in CHEST)):
        raise refuse("not of the chest", "BodyPartExamined", "not_a_chest")
    if text_of(dataset, "ViewPosition") in LATERAL:
        raise refuse("not a frontal view", "ViewPosition", "not_frontal")
    codes = {text_of(item, "CodeValue") for item in dataset.get("ViewCodeSequence") or ()}
    if codes & LATERAL_CODES:
        raise refuse("not a frontal view", "ViewCodeSequence", "not_frontal")
    # The rows of a frontal film run to the patient's left or right, not to the front or back.
    if text_of(dataset, "PatientOrientation")[:1] in ("A", "P"):
        raise refuse("not a frontal view", "PatientOrientation", "not_frontal")


def _shown(dataset: Dataset) -> NDArray[np.uint8]:
    if "PixelData" not in dataset:
        if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
            raise _unsupported("pixels that are no integers")
        if "Rows" in dataset or not dataset:  # pydicom passes over pixels that end too early
            raise damaged("its pixels are missing, or end too early")
        raise DataError("a DICOM file without a picture", code="no_picture")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames != 1:
        hint = "export the one that is meant"
        raise DataError("several pictures in one file", hint=hint, code="several_pictures")
    for keyword in ("Rows", "Columns", "BitsAllocated", "PhotometricInterpretation"):
        if not dataset.get(keyword):
            raise damaged(f"{keyword} is missing")
    for keyword in ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit"):
        if not isinstance(dataset.get(keyword, 1), int):  # words, where another type is claimed
            raise damaged(f"{keyword} is no number")
    if dataset.BitsAllocated not in (8, 16):
        raise _unsupported(f"{dataset.BitsAllocated} bits a pixel")
    photometric = str(dataset.PhotometricInterpretation)
    dataset.setdefault("SamplesPerPixel", 1)
    n_pixels = dataset.Rows * dataset.Columns
    samples = dataset.SamplesPerPixel
    has_colours = samples > 1 or photometric == "PALETTE COLOR"
    bytes_a_pixel = max(4, samples) if has_colours else 1  # as of other files
    if n_pixels > MAX_PIXELS or n_pixels * bytes_a_pixel > MAX_BYTES:
        raise too_large(f"{dataset.Columns} x {dataset.Rows} pixels")
    dataset.setdefault("PixelRepresentation", 0)
    dataset.setdefault("BitsStored", dataset.BitsAllocated)
    dataset.setdefault("HighBit", dataset.BitsStored - 1)
    stored = stored_pixels(dataset)
    if photometric in ("MONOCHROME1", "MONOCHROME2") and stored.ndim == 2:
        return show_gray(dataset, stored, inverted=photometric == "MONOCHROME1")
    if photometric == "PALETTE COLOR" and stored.ndim == 2:
        rgb_HW3 = apply_color_lut(stored, dataset)
        return _luma(rgb_HW3, 8 * rgb_HW3.itemsize)
    if photometric in _RGB or photometric in _LUMA_FIRST:
        is_luma = photometric in _LUMA_FIRST and stored.ndim == 3
        return _luma(stored[..., 0] if is_luma else stored, dataset.BitsStored)
    raise _unsupported("pixels of this photometric interpretation")


def _luma(colours: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Of RGB (H, W, 3), or of luma (H, W), in `bits` bits."""
    if not 8 <= bits <= 8 * colours.itemsize:
        raise _unsupported(f"colours of {bits} bits")
    shift = colours.dtype.type(bits - 8)
    # By rows: Pillow would make of a large film another of 350 MB.
    return np.concatenate(
        [
            np.asarray(Image.fromarray((rows >> shift).astype(np.uint8)).convert("L"))
            for rows in np.array_split(colours, -(-len(colours) // _ROWS))
        ]
    )


def _unsupported(what: str) -> DataError:
    hint = "export the picture as PNG"
    return DataError(f"a DICOM file with {what}", hint=hint, code="unsupported_pixels")
