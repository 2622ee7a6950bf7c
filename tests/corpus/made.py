"""The scene that the files show, and how a file of any kind is made of it."""

from __future__ import annotations

from io import BytesIO
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

HEIGHT, WIDTH = 48, 40
_Y, _X = np.mgrid[:HEIGHT, :WIDTH]
SCENE: NDArray[np.uint8] = np.rint(
    127.5 + 60 * np.sin(_X / 7 + 1) + 60 * np.cos(_Y / 9) + 7 * (_X > 25)
).astype(np.uint8)
SCENE[0, 0], SCENE[0, 1], SCENE[-1, -1] = 0, 255, 0  # the ends of the gray levels are there
"""Gray uint8 (HEIGHT, WIDTH), 0 black, unlike its mirror images and turns."""


class Case(NamedTuple):
    """One file."""

    name: str
    data: bytes
    code: str | None = None
    lossy: int = 0
    """How far its gray levels may be from SCENE."""


def saved(image: Image.Image, fmt: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, fmt, **options)
    return file.getvalue()


def dicom(
    pixels: NDArray[Any],
    *,
    syntax: UID = ExplicitVRLittleEndian,
    frame: bytes | None = None,
    without: tuple[str, ...] = (),
    **tags: Any,
) -> bytes:
    """A film of these pixels, MONOCHROME2 where the tags do not tell otherwise."""
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    dataset.SOPInstanceUID = "1.2.3.4"
    dataset.Modality = "CR"
    dataset.BodyPartExamined = "CHEST"
    dataset.ViewPosition = "PA"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    bits = 8 * pixels.itemsize
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = tags.get("BitsStored", bits) - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    stored = pixels.byteswap() if syntax == ExplicitVRBigEndian else pixels
    if syntax.is_encapsulated:
        dataset.PixelData = encapsulate(
            [frame or encoded(pixels, syntax, tags.get("BitsStored", bits))]
        )
        dataset["PixelData"].is_undefined_length = True
    else:
        dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW" if pixels.itemsize > 1 else "OB"
    for keyword in without:
        delattr(dataset, keyword)
    return written(dataset, syntax)


def written(dataset: Dataset, syntax: UID) -> bytes:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    file = BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def encoded(pixels: NDArray[Any], syntax: UID, bits: int = 0) -> bytes:
    bits = bits or 8 * pixels.itemsize
    if syntax == RLELossless:
        return get_encoder(syntax).encode(
            pixels, rows=pixels.shape[0], columns=pixels.shape[1],
            samples_per_pixel=1 if pixels.ndim == 2 else 3, planar_configuration=0,
            bits_allocated=8 * pixels.itemsize, bits_stored=bits, pixel_representation=0,
            photometric_interpretation="MONOCHROME2" if pixels.ndim == 2 else "RGB",
            number_of_frames=1,
        )  # fmt: skip
    if syntax == JPEGBaseline8Bit:
        return saved(Image.fromarray(pixels), "JPEG", quality=98)
    if syntax == JPEGExtended12Bit:
        return bytes(imagecodecs.jpeg8_encode(pixels, level=100, bitspersample=bits))
    if syntax in (JPEGLossless, JPEGLosslessSV1):
        predictor = 1 if syntax == JPEGLosslessSV1 else 4
        return bytes(
            imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=predictor, bitspersample=bits)
        )
    if syntax in (JPEGLSLossless, JPEGLSNearLossless):
        return bytes(imagecodecs.jpegls_encode(pixels, level=2 * (syntax == JPEGLSNearLossless)))
    reversible = syntax == JPEG2000Lossless
    level = None if reversible else 60
    return bytes(
        imagecodecs.jpeg2k_encode(pixels, level=level, codecformat="j2k", reversible=reversible)
    )


SYNTAXES = (
    (ImplicitVRLittleEndian, 0), (ExplicitVRLittleEndian, 0), (ExplicitVRBigEndian, 0),
    (DeflatedExplicitVRLittleEndian, 0), (RLELossless, 0), (JPEGLossless, 0), (JPEGLosslessSV1, 0),
    (JPEGLSLossless, 0), (JPEGLSNearLossless, 2), (JPEG2000Lossless, 0), (JPEG2000, 3),
)  # fmt: skip
"""Each with how far a gray level of 8 bits may come out from what went in."""


def dicom_of(shape_of: NDArray[Any], pixel_data: bytes, **tags: Any) -> bytes:
    """As `dicom`, of these bytes of pixels."""
    whole = dicom(shape_of, **tags)
    dataset = dcmread(BytesIO(whole))
    dataset.PixelData = pixel_data
    return written(dataset, ExplicitVRLittleEndian)
