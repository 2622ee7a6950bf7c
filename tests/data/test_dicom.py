"""What a DICOM file is shown as, held against pydicom's own processing and against hand."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from io import BytesIO
from threading import Event
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.pixels.processing import apply_windowing
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    MediaStorageDirectoryStorage,
    RLELossless,
)

from cxrdiag.data.codestream import codestream_size, decode_codestream
from cxrdiag.data.dicom import read_dicom
from cxrdiag.data.grayscale import through_window
from cxrdiag.data.image import is_dicom
from cxrdiag.errors import DataError
from tests.corpus.made import SCENE, SYNTAXES, dicom, encoded, saved


@pytest.mark.filterwarnings("ignore:overflow encountered in exp")  # pydicom's
@settings(max_examples=60, deadline=None)
@given(
    centre=st.floats(-3000, 7000),
    width=st.floats(1, 9000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_windows_are_those_of_pydicom(centre: float, width: float, function: str) -> None:
    dataset = Dataset()
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsStored, dataset.PixelRepresentation = 12, 0
    dataset.WindowCenter, dataset.WindowWidth = centre, width
    dataset.VOILUTFunction = function
    values = np.arange(4096)
    theirs = apply_windowing(values, dataset) / 4095  # from 0 to the highest of 12 bits
    ours = through_window(values.astype(np.float64), centre, width, function)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_a_window_of_width_1_is_a_step() -> None:
    shown = through_window(np.array([9.0, 9.4, 9.5, 9.6, 10.0]), 10, 1, "LINEAR")
    np.testing.assert_array_equal(shown, [0, 0, 0, 1, 1])


def test_a_window_clips_what_is_beyond_it() -> None:
    shown = read_dicom(dicom(SCENE, WindowCenter=100.5, WindowWidth=51), "x")  # 75 to 125
    by_hand = np.clip((SCENE.astype(float) - 75) / 50, 0, 1) * 255
    np.testing.assert_allclose(shown, np.rint(by_hand), atol=1)


def test_padding_is_black_where_0_is_white_too() -> None:
    pixels = SCENE.astype(np.uint16)
    pixels[10:20] = 40_000
    tags = {"PhotometricInterpretation": "MONOCHROME1"}
    shown = read_dicom(dicom(pixels, PixelPaddingValue=40_000, **tags), "x")  # type: ignore[arg-type]
    assert (shown[10:20] == 0).all()
    np.testing.assert_allclose(np.delete(shown, range(10, 20), 0).max(), 255)


def test_a_picture_of_one_value_and_one_of_padding_alone_are_black() -> None:
    flat = np.full((8, 8), 77, np.uint8)
    assert (read_dicom(dicom(flat), "x") == 0).all()
    assert (read_dicom(dicom(flat, PixelPaddingValue=77), "x") == 0).all()


def test_colours_become_luma() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    luma = np.asarray(Image.fromarray(rgb).convert("L"))
    np.testing.assert_array_equal(read_dicom(dicom(rgb), "x"), luma)


def _coloured() -> Iterator[tuple[str, bytes, int]]:
    """One picture in colours; how far it may be from its luma."""
    shifted = np.roll(SCENE, 9, axis=1)
    rgb = np.stack([SCENE, 255 - SCENE, shifted], axis=-1)
    ybr = np.asarray(Image.fromarray(rgb).convert("YCbCr"))
    for photometric, pixels in (("RGB", rgb), ("YBR_FULL", ybr)):
        lossless = {
            JPEGLSLossless: imagecodecs.jpegls_encode(pixels),
            JPEG2000Lossless: imagecodecs.jpeg2k_encode(
                pixels, codecformat="j2k", reversible=True, mct=False
            ),
            JPEGLosslessSV1: imagecodecs.jpeg8_encode(
                pixels, lossless=True, predictor=1, colorspace="RGB", outcolorspace="RGB"
            ),
        }
        as_stored = bytes(
            imagecodecs.jpeg8_encode(
                pixels, level=98, colorspace="YCbCr", outcolorspace="YCbCr", subsampling="444"
            )
        )
        tags: dict[str, Any] = {"PhotometricInterpretation": photometric}
        for syntax in (ExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless):
            yield f"{photometric} {syntax.name}", dicom(pixels, syntax=syntax, **tags), 1
        for syntax, frame in lossless.items():
            data = dicom(pixels, syntax=syntax, frame=bytes(frame), **tags)
            yield f"{photometric} {syntax.name}", data, 1
        for syntax in (JPEGBaseline8Bit, JPEGExtended12Bit):
            data = dicom(pixels, syntax=syntax, frame=as_stored, **tags)
            yield f"{photometric} {syntax.name}", data, 3
    picture = Image.fromarray(rgb)
    for syntax in (JPEGBaseline8Bit, JPEGExtended12Bit):
        for photometric, told in (("YBR_FULL_422", False), ("RGB", True)):
            tags = {"PhotometricInterpretation": photometric}
            jpeg = saved(picture, "JPEG", quality=98, keep_rgb=told)
            data = dicom(rgb, syntax=syntax, frame=jpeg, **tags)
            yield f"{photometric} of a camera, {syntax.name}", data, 3
    for photometric, syntax in (("YBR_RCT", JPEG2000Lossless), ("YBR_ICT", JPEG2000)):
        frame = imagecodecs.jpeg2k_encode(
            rgb, level=None if syntax == JPEG2000Lossless else 60, codecformat="j2k",
            reversible=syntax == JPEG2000Lossless, mct=True,
        )  # fmt: skip
        tags = {"PhotometricInterpretation": photometric}
        yield photometric, dicom(rgb, syntax=syntax, frame=bytes(frame), **tags), 2


@pytest.mark.parametrize(
    ("data", "lossy"),
    [pytest.param(data, lossy, id=name) for name, data, lossy in _coloured()],
)
def test_colours_become_luma_whatever_codec_holds_them(data: bytes, lossy: int) -> None:
    rgb = np.stack([SCENE, 255 - SCENE, np.roll(SCENE, 9, axis=1)], axis=-1)
    luma = np.asarray(Image.fromarray(rgb).convert("L")).astype(int)
    np.testing.assert_allclose(read_dicom(data, "x").astype(int), luma, atol=lossy)


def test_the_index_of_a_disc_is_no_damaged_film() -> None:
    index = Dataset()
    index.FileSetID = "DISC"
    index.file_meta = FileMetaDataset()
    index.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    index.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    index.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = BytesIO()
    index.save_as(file, enforce_file_format=True)
    with pytest.raises(DataError, match="DICOMDIR") as e:
        read_dicom(file.getvalue(), "DICOMDIR")
    assert e.value.code == "no_picture"


def test_pixels_that_are_no_integers_are_not_supported() -> None:
    floats = np.zeros((600, 500), np.float32).tobytes()  # of a real film's size
    data = dicom(SCENE, without=("PixelData",), FloatPixelData=floats)
    with pytest.raises(DataError, match="no integers") as e:
        read_dicom(data, "film.dcm")
    assert e.value.code == "unsupported_pixels"


def test_other_files_are_not_taken_for_dicom() -> None:
    picture = Image.fromarray(SCENE)
    for fmt in ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "ICO", "TGA", "PDF"):
        assert not is_dicom(saved(picture, fmt))
    assert not is_dicom(b"")
    assert is_dicom(dicom(SCENE))


@pytest.mark.parametrize("syntax", [s for s, _ in SYNTAXES if s.is_encapsulated][1:])
def test_the_size_of_a_codestream_is_read_without_a_codec(syntax) -> None:
    frame = encoded(SCENE, syntax)
    assert codestream_size(frame) == (*SCENE.shape, 1)
    assert codestream_size(frame[:12]) is None or codestream_size(frame[:12]) != (*SCENE.shape, 1)


def test_a_compressed_file_without_the_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(DataError, match="pip install imagecodecs") as caught:
        read_dicom(dicom(SCENE, syntax=JPEGLSLossless), "x")
    assert caught.value.code == "missing_codec"


def test_a_codec_without_memory_says_nothing_of_the_file() -> None:
    def failing(data: bytes, is_rgb: bool) -> NDArray[np.uint8]:
        raise MemoryError

    with pytest.raises(MemoryError):
        decode_codestream(encoded(SCENE, JPEGLSLossless), failing, SCENE.shape, False)


def test_a_codec_that_takes_too_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxrdiag.data.codestream._SECONDS", 0.05)
    monkeypatch.setattr(
        "cxrdiag.data.codestream._MOST_SECONDS", 1.0
    )  # it waits, and computes nothing
    frame = encoded(SCENE, JPEGLSLossless)
    over = Event()

    def endless(data: bytes, is_rgb: bool) -> NDArray[np.uint8]:
        over.wait()
        return SCENE

    with pytest.raises(DataError, match="was not decoded in 0 s"):
        decode_codestream(frame, endless, (48, 40))
    over.set()
    assert decode_codestream(frame, lambda data, is_rgb: SCENE, (48, 40)) is not None
