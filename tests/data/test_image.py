"""Any image becomes the gray square computed by hand; anything else is one clear error."""

from __future__ import annotations

import struct
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

from cxrdiag.data.image import Encoding, read_image, read_picture
from cxrdiag.data.limits import count_scans
from cxrdiag.errors import DataError

RNG = np.random.default_rng(0)
N = 12
GRAY: NDArray[np.uint8] = RNG.integers(0, 256, (N, N), dtype=np.uint8)
RGB = RNG.integers(0, 256, (N, N, 3), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (N, N), dtype=np.uint8)
ALPHA[0, 0], ALPHA[0, 1] = 0, 255
WIDE = RNG.integers(0, 65536, (N, N), dtype=np.uint16)
WIDE[0, :5] = 0, 128, 129, 257, 65535
INDEX = RNG.integers(0, 4, (N, N), dtype=np.uint8)
PALETTE = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 200, 200)], np.uint8)


def decode(data: bytes, size: int) -> NDArray[np.uint8]:
    return read_picture(data, size).pixels_SS


def image_size(data: bytes) -> tuple[int, int]:
    picture = read_picture(data, 8)
    return picture.width, picture.height


def image_encoding(data: bytes) -> Encoding:
    return read_picture(data, 8).encoding


def encode(image: Image.Image, fmt: str = "PNG", **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, fmt, **options)
    return file.getvalue()


def luma(rgb: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    """ITU-R 601, rounded: 0.299 red + 0.587 green + 0.114 blue."""
    return np.rint(rgb.astype(np.float64) @ (0.299, 0.587, 0.114)).astype(np.uint8)


def over_black(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.rint(rgb * (alpha[..., None] / 255.0)).astype(np.uint8)


def _palette() -> Image.Image:
    image = Image.fromarray(INDEX).convert("L")
    image = Image.frombytes("P", (N, N), image.tobytes())
    image.putpalette(PALETTE.tobytes())
    return image


_BLACKENED = PALETTE.copy()
_BLACKENED[2] = 0
_ENTRY_ALPHA = np.array([255, 128, 0, 7], np.uint8)
_KEYED = np.where(GRAY[3, 3] == GRAY, 0, GRAY)
PNGS: dict[str, tuple[bytes, NDArray[Any]]] = {
    "1": (encode(Image.fromarray(GRAY > 99)), np.where(GRAY > 99, 255, 0)),
    "L": (encode(Image.fromarray(GRAY)), GRAY),
    "L, one gray transparent": (
        encode(Image.fromarray(GRAY), transparency=int(GRAY[3, 3])),
        _KEYED,
    ),
    "LA": (
        encode(Image.fromarray(np.dstack([GRAY, ALPHA]), "LA")),
        over_black(GRAY[..., None], ALPHA)[..., 0],
    ),
    "P": (encode(_palette()), luma(PALETTE[INDEX])),
    "P, one entry transparent": (encode(_palette(), transparency=2), luma(_BLACKENED[INDEX])),
    "P, an alpha per entry": (
        encode(_palette(), transparency=_ENTRY_ALPHA.tobytes()),
        luma(over_black(PALETTE[INDEX], _ENTRY_ALPHA[INDEX])),
    ),
    "RGB": (encode(Image.fromarray(RGB)), luma(RGB)),
    "RGBA": (
        encode(Image.fromarray(np.dstack([RGB, ALPHA]), "RGBA")),
        luma(over_black(RGB, ALPHA)),
    ),
    "I;16": (encode(Image.fromarray(WIDE)), np.rint(WIDE / 257)),
}


@pytest.mark.parametrize("mode", PNGS)
def test_every_mode_of_png_is_the_gray_computed_by_hand(mode: str) -> None:
    data, expected = PNGS[mode]
    gray = decode(data, N)
    assert gray.dtype == np.uint8
    # One gray level of rounding, for colours alone: luma and palettes are integer arithmetic.
    tolerance = 0 if mode in {"1", "L", "L, one gray transparent", "LA", "I;16"} else 1
    np.testing.assert_allclose(gray.astype(int), expected.astype(int), atol=tolerance)


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    gray = decode(PNGS["I;16"][0], N)
    assert gray[0, :5].tolist() == [0, 0, 1, 1, 255]


@pytest.mark.parametrize(
    ("colour", "gray"),
    [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29), ((90, 90, 90), 90)],
)
@pytest.mark.parametrize("options", [{}, {"keep_rgb": True}, {"progressive": True}])
def test_colour_jpegs_are_luma(
    colour: tuple[int, int, int], gray: int, options: dict[str, bool]
) -> None:
    data = encode(Image.new("RGB", (16, 16), colour), "JPEG", quality=95, **options)
    np.testing.assert_allclose(decode(data, 16).astype(int), gray, atol=2)


def test_a_gray_jpeg_and_the_same_picture_in_colour_agree() -> None:
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    gray = decode(encode(Image.fromarray(smooth), "JPEG", quality=95), 32)
    colour = decode(encode(Image.fromarray(smooth).convert("RGB"), "JPEG", quality=95), 32)
    np.testing.assert_allclose(gray.astype(int), colour.astype(int), atol=1)


@pytest.mark.parametrize(
    ("cmyk", "gray"), [((0, 0, 0, 0), 255), ((0, 0, 0, 255), 0), ((0, 0, 0, 55), 200),
                       ((0, 255, 255, 0), 76), ((255, 0, 255, 0), 150)],
)  # fmt: skip
def test_cmyk_jpegs_are_not_inverted(cmyk: tuple[int, ...], gray: int) -> None:
    data = encode(Image.new("CMYK", (16, 16), cmyk), "JPEG", quality=95)
    np.testing.assert_allclose(decode(data, 16).astype(int), gray, atol=3)


# The EXIF standard: where the stored picture's row 0 and column 0 are seen.
TURNS = {
    1: lambda s: s,
    2: lambda s: s[:, ::-1],
    3: lambda s: s[::-1, ::-1],
    4: lambda s: s[::-1],
    5: lambda s: s.T,
    6: lambda s: np.rot90(s, -1),  # row 0 is the right side: turn clockwise
    7: lambda s: s[::-1, ::-1].T,
    8: lambda s: np.rot90(s),
}


def _exif(orientation: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("mode", ["L", "I;16", "JPEG"])
def test_exif_orientation_is_undone(orientation: int, mode: str) -> None:
    exif = _exif(orientation)
    if mode == "JPEG":  # an 8 x 8 block of one gray survives JPEG
        stored = np.array([[10, 60], [120, 250]], np.uint8).repeat(8, 0).repeat(8, 1)
        gray = decode(encode(Image.fromarray(stored), "JPEG", exif=exif), 16)
    else:
        stored = GRAY
        pixels = GRAY if mode == "L" else GRAY.astype(np.uint16) * 257
        gray = decode(encode(Image.fromarray(pixels), exif=exif), N)
    np.testing.assert_allclose(gray.astype(int), TURNS[orientation](stored).astype(int), atol=1)


@pytest.mark.parametrize("fmt", ["PNG", "JPEG"])
def test_the_size_is_the_upright_pictures(fmt: str) -> None:
    for orientation in TURNS:
        data = encode(Image.new("L", (30, 20)), fmt, exif=_exif(orientation))
        assert image_size(data) == ((30, 20) if orientation < 5 else (20, 30))
    assert image_size(encode(Image.new("L", (30, 20)), fmt)) == (30, 20)
    assert image_size(encode(Image.new("L", (30, 20)), fmt, exif=_exif(77))) == (30, 20)


@pytest.mark.parametrize(("fmt", "more"), [("PNG", {}), ("JPEG", {"dpi": (72, 72)}), ("JPEG", {})])
def test_a_damaged_exif_block_does_not_spoil_the_film(fmt: str, more: dict[str, Any]) -> None:
    film = Image.fromarray(np.full((20, 30), 130, np.uint8))
    for block in (_exif(6)[:n] for n in (7, 9, 12, 14, 20, 25)):
        data = encode(film, fmt, exif=block, **more)
        np.testing.assert_allclose(decode(data, 16), 130, atol=1)
        assert image_size(data) == (30, 20)
    data = encode(film, fmt, exif=b"Exif\0\0not a TIFF header at all", **more)
    np.testing.assert_allclose(decode(data, 16), 130, atol=1)


def test_the_whole_frame_is_kept_and_squashed() -> None:
    halves = np.zeros((10, 80), np.uint8)
    halves[:, 40:] = 255
    gray = decode(encode(Image.fromarray(halves)), 20)
    # The two columns at the edge between them are blended.
    assert (gray[:, :9] == 0).all()
    assert (gray[:, 11:] == 255).all()


@pytest.mark.parametrize("shape", [(96, 96), (70, 131), (20, 50)])
def test_resizing_is_antialiased_bilinear(shape: tuple[int, int]) -> None:
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    x = torch.as_tensor(pixels).float()[None, None]
    expected = F.interpolate(x, size=(32, 32), mode="bilinear", antialias=True)[0, 0].numpy()
    gray = decode(encode(Image.fromarray(pixels)), 32)
    np.testing.assert_allclose(gray, expected, atol=1.01)


def test_a_large_jpeg_read_at_a_reduced_scale_is_the_picture_still() -> None:
    wave = np.sin(np.linspace(0, 9, 1000))
    smooth = (120 + 100 * np.outer(wave[:900], wave)).astype(np.uint8)
    small = Image.fromarray(smooth).resize((64, 64), Image.Resampling.BILINEAR)
    gray = decode(encode(Image.fromarray(smooth), "JPEG", quality=95), 64)
    np.testing.assert_allclose(gray.astype(int), np.asarray(small, int), atol=5)


def _png(width: int, height: int) -> bytes:
    """A PNG that claims a size and has no pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("size", [(10_001, 10_000), (50_000, 50_000), (2**31 - 1, 2**31 - 1)])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(size: tuple[int, int]) -> None:
    start = time.perf_counter()
    with pytest.raises(DataError, match="the limit is 100,000,000 pixels") as caught:
        decode(_png(*size), 64)
    assert caught.value.code == "image_too_large"
    assert time.perf_counter() - start < 1


def test_the_limit_is_ours_and_not_the_lower_one_of_pillows_warning() -> None:
    assert Image.MAX_IMAGE_PIXELS is not None
    assert Image.MAX_IMAGE_PIXELS < 9_500**2 < 100_000_000
    with pytest.raises(DataError) as caught:
        decode(_png(9_500, 9_500), 64)
    assert caught.value.code == "unreadable_image"


JPEG = encode(Image.fromarray(np.kron(GRAY, np.ones((8, 8), np.uint8))), "JPEG", exif=_exif(6))
PNG = encode(Image.fromarray(RGB), exif=_exif(6))


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        (b"", "unsupported_format", "the file is empty"),
        (
            b"name,label\nx.png,Normal\n",
            "unsupported_format",
            "not a JPEG, PNG, TIFF, WebP, BMP or DICOM",
        ),
        (
            encode(Image.fromarray(GRAY), "GIF"),
            "unsupported_format",
            "not a JPEG, PNG, TIFF, WebP, BMP or DICOM",
        ),
        (
            encode(Image.fromarray(GRAY), "PPM"),
            "unsupported_format",
            "not a JPEG, PNG, TIFF, WebP, BMP or DICOM",
        ),
        (JPEG[:20], "unreadable_image", "damaged image: it"),
        (JPEG[: len(JPEG) // 2], "unreadable_image", "damaged image"),
        (PNG[: len(PNG) // 2], "unreadable_image", "damaged image"),
    ],
)
def test_what_is_no_image_is_one_clear_error(
    tmp_path: Path, data: bytes, code: str, message: str
) -> None:
    path = tmp_path / "scan.jpeg"
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_image(path, 32)
    error = caught.value
    assert (error.code, error.path, error.exit_code) == (code, path, 3)
    assert error.message.startswith(message)
    assert str(error).startswith(f"{path}: ")
    assert "\n" not in str(error)
    assert "0x" not in str(error)  # no address in memory: two runs say the same


def test_what_cannot_be_read_is_one_clear_error(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.png", tmp_path):
        with pytest.raises(DataError) as caught:
            read_image(path, 32)
        assert (caught.value.code, caught.value.path) == ("unreadable_file", path)


@settings(max_examples=300, deadline=None)
@given(
    data=st.sampled_from([JPEG, PNG, PNGS["P, an alpha per entry"][0], PNGS["I;16"][0]]),
    edits=st.lists(
        st.tuples(st.integers(0, 250), st.integers(0, 4), st.binary(max_size=4)),
        min_size=1, max_size=5,
    ),
)  # fmt: skip
def test_damaged_bytes_decode_or_raise_a_data_error(
    data: bytes, edits: list[tuple[int, int, bytes]]
) -> None:
    for start, cut, new in edits:
        data = data[:start] + new + data[start + cut :]
    try:
        gray = decode(data, 16)
    except DataError:
        return
    assert gray.shape == (16, 16)
    assert gray.dtype == np.uint8
    assert min(image_size(data)) > 0


# One entry of an image file directory: tag, type, count, value.
_TEXT = struct.pack("<HHI4s", 0x0112, 2, 4, b"six\0")
_BYTES = struct.pack("<HHI4s", 0x0112, 7, 4, b"\6\6\6\6")
_NINE = struct.pack("<HHIHH", 0x0112, 3, 1, 9, 0)


@pytest.mark.parametrize("entry", [_TEXT, _BYTES, _NINE])
@pytest.mark.parametrize("fmt", ["PNG", "JPEG"])
def test_an_orientation_that_means_nothing_is_none(fmt: str, entry: bytes) -> None:
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    pixels = np.kron(np.array([[10, 60], [120, 250]], np.uint8), np.ones((8, 8), np.uint8))
    data = encode(Image.fromarray(pixels), fmt, exif=exif)
    np.testing.assert_allclose(decode(data, 16).astype(int), pixels.astype(int), atol=1)


def test_a_damaged_exif_block_does_not_spoil_an_upright_picture() -> None:
    exif = _exif(6)
    data = encode(Image.new("L", (16, 16), 99), "JPEG", exif=exif[:-5])
    assert (decode(data, 16) == 99).all()


def test_decoding_in_threads_leaves_the_warning_filters_alone() -> None:
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        squares = list(pool.map(lambda _: decode(PNG, N), range(500)))
    assert list(warnings.filters) == before
    assert all(np.array_equal(square, squares[0]) for square in squares)


def test_the_encoding_of_a_file() -> None:
    gray = Image.fromarray(GRAY)
    assert image_encoding(encode(gray)) == Encoding("L", 0)
    assert image_encoding(encode(gray.convert("RGBA"))) == Encoding("RGBA", 0)
    # The mean of table K.1 of ITU-T T.81, which is that of quality 50.
    assert image_encoding(encode(gray, "JPEG", quality=50)) == Encoding("L", 57.625)
    assert image_encoding(encode(Image.fromarray(RGB), "JPEG", quality=50)).mode == "RGB"
    by_quality = [image_encoding(encode(gray, "JPEG", quality=q)).coarseness for q in (95, 75, 20)]
    assert by_quality == sorted(by_quality)


def test_what_follows_a_jpeg_is_not_taken_for_scans() -> None:
    tail = b"\xff\xda" * 1000  # as in the film that a telephone puts behind a picture
    film = Image.fromarray(GRAY)
    for progressive in (False, True):
        plain = encode(film, "JPEG", progressive=progressive)
        picture = read_picture(plain + tail, 8)
        np.testing.assert_array_equal(picture.pixels_SS, read_picture(plain, 8).pixels_SS)
        read_picture(encode(film, "JPEG", progressive=progressive, comment=tail), 8)
        assert count_scans(plain + tail) == plain.count(b"\xff\xda")
