"""What a DICOM file is shown as, held against pydicom's own processing and against hand."""

from __future__ import annotations

import sys
from threading import Event

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.pixels.processing import apply_windowing
from pydicom.uid import JPEGLSLossless

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
    with pytest.raises(DataError, match=r"pip install 'cxrdiag\[dicom\]'") as caught:
        read_dicom(dicom(SCENE, syntax=JPEGLSLossless), "x")
    assert caught.value.code == "missing_codec"


def test_a_codec_that_takes_too_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxrdiag.data.codestream._SECONDS", 0.05)
    frame = encoded(SCENE, JPEGLSLossless)
    over = Event()

    def endless(data: bytes) -> NDArray[np.uint8]:
        over.wait()
        return SCENE

    with pytest.raises(DataError, match="was not decoded in 0 s"):
        decode_codestream(frame, endless, (48, 40))
    over.set()
    assert decode_codestream(frame, lambda data: SCENE, (48, 40)) is not None
