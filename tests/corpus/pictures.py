"""Images of every mode, turned ones; and, DICOM among them, files cut short or too large."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.corpus.made import (
    SCENE,
    Case,
    dicom,
    encoded,
    saved,
)


def pictures() -> Iterator[Case]:
    gray = Image.fromarray(SCENE)
    rgb, palette = gray.convert("RGB"), gray.convert("P")
    rgba, la = rgb.convert("RGBA"), gray.convert("LA")
    wide = Image.fromarray(SCENE.astype(np.uint16) * 257)
    bilevel = Image.fromarray((SCENE > 127).astype(np.uint8) * 255).convert("1")
    for fmt, images in {
        "PNG": [gray, rgb, palette, rgba, la, wide],
        "TIFF": [gray, rgb, palette, rgba, la, wide],
        "BMP": [gray, rgb, palette],
    }.items():
        for image in images:
            yield Case(f"{image.mode}.{fmt.lower()}", saved(image, fmt))
    for compression in (
        "tiff_lzw",
        "tiff_deflate",
        "tiff_adobe_deflate",
        "packbits",
        "zstd",
        "lzma",
    ):
        yield Case(f"{compression}.tif", saved(gray, "TIFF", compression=compression))
    for compression in ("tiff_lzw", "tiff_deflate"):
        yield Case(f"wide-{compression}.tif", saved(wide, "TIFF", compression=compression))
    yield Case("jpeg.tif", saved(gray, "TIFF", compression="jpeg", quality=95), None, 8)
    for fmt in ("PNG", "TIFF", "BMP"):
        yield Case(f"1.{fmt.lower()}", saved(bilevel, fmt), None, 128)
    for compression in ("group3", "group4"):
        yield Case(f"{compression}.tif", saved(bilevel, "TIFF", compression=compression), None, 128)
    yield Case("white-is-zero-8.tif", white_is_zero(255 - SCENE))
    yield Case("white-is-zero-16.tif", white_is_zero((255 - SCENE.astype(np.uint16)) * 257))
    yield Case("big-endian-16.tif", white_is_zero(SCENE.astype(">u2") * 257, 1, big=True))
    yield Case("12-in-16.tif", white_is_zero(SCENE.astype(np.uint16) * 257, 1))
    for image in (gray, rgb, rgb.convert("CMYK")):
        name = image.mode
        yield Case(f"{name}.jpg", saved(image, "JPEG", quality=98), None, 12)
        yield Case(
            f"{name}-progressive.jpg", saved(image, "JPEG", quality=98, progressive=True), None, 12
        )
    yield Case("coarse.jpg", saved(gray, "JPEG", quality=10), None, 60)
    yield Case("lossless.webp", saved(rgb, "WEBP", lossless=True))
    yield Case("alpha.webp", saved(rgba, "WEBP", lossless=True))
    yield Case("lossy.webp", saved(rgb, "WEBP", quality=95), None, 16)
    yield Case("png-named.jpg", saved(gray, "PNG"))
    yield Case("jpeg-named.dcm", saved(gray, "JPEG", quality=98), None, 12)
    yield Case("bmp-without-suffix", saved(gray, "BMP"))
    yield Case("1x60000.png", saved(Image.new("L", (1, 60000), 9), "PNG"), None, 255)
    yield Case("60000x1.png", saved(Image.new("L", (60000, 1), 9), "PNG"), None, 255)
    yield Case("1x1.png", saved(Image.new("L", (1, 1), 9), "PNG"), None, 255)
    for fmt in ("GIF", "PPM", "ICO", "TGA", "PCX", "JPEG2000", "SGI", "PDF"):
        yield Case(f"{fmt}.png", saved(gray, fmt), "unsupported_format")
    for fmt in ("PNG", "WEBP", "TIFF"):
        several = saved(rgb, fmt, save_all=True, append_images=[rgba.convert("RGB").rotate(90)])
        yield Case(f"several.{fmt.lower()}", several, "several_pictures")
    floats = Image.fromarray(SCENE.astype(np.float32))
    yield Case("float.tif", saved(floats, "TIFF"), "unsupported_pixels")
    yield Case(
        "32-bit.tif", saved(Image.fromarray(SCENE.astype(np.int32)), "TIFF"), "unsupported_pixels"
    )
    yield Case("empty.png", b"", "unsupported_format")
    yield Case("text.png", b"name,label\nx.png,Normal\n", "unsupported_format")
    yield Case("zeros.png", bytes(5000), "unsupported_format")
    yield Case("html.jpg", b"<!doctype html><title>404</title>", "unsupported_format")


def white_is_zero(
    pixels: NDArray[Any],
    photometric: int = 0,
    big: bool = False,
    more: Sequence[tuple[int, int, int]] = (),
) -> bytes:
    """A TIFF of one strip, by hand: no writer of Pillow's makes gray ones whose 0 is white."""
    order = ">" if big else "<"
    bits = 8 * pixels.itemsize
    tags = [
        (256, 4, pixels.shape[1]), (257, 4, pixels.shape[0]), (258, 3, bits), (259, 3, 1),
        (262, 3, photometric), (273, 4, 0), (277, 3, 1), (278, 4, pixels.shape[0]),
        (279, 4, pixels.nbytes), *more,
    ]  # fmt: skip
    start = 8 + 2 + 12 * len(tags) + 4
    entries = b""
    for tag, kind, value in tags:
        value = start if tag == 273 else value
        packed = struct.pack(order + ("Hxx" if kind == 3 else "I"), value)
        entries += struct.pack(order + "HHI", tag, kind, 1) + packed
    head = (b"MM" if big else b"II") + struct.pack(order + "HI", 42, 8)
    body = struct.pack(order + "H", len(tags)) + entries + bytes(4)
    return head + body + pixels.tobytes()


_UPRIGHT_TO_STORED = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a),
    7: lambda a: np.rot90(a, 2).T,
    8: lambda a: np.rot90(a, -1),
}


def turned() -> Iterator[Case]:
    """The eight EXIF orientations, and some that are none."""
    for orientation in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 255):
        store = _UPRIGHT_TO_STORED.get(orientation, lambda a: a)
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = Image.fromarray(np.ascontiguousarray(store(SCENE)))
        for fmt, options, lossy in (
            ("JPEG", {"quality": 98}, 12), ("PNG", {}, 0), ("WEBP", {"lossless": True}, 0),
        ):  # fmt: skip
            data = saved(image.convert("RGB"), fmt, exif=exif, **options)
            yield Case(f"turned-{orientation}.{fmt.lower()}", data, None, lossy)


def damaged() -> Iterator[Case]:
    """Each cut short at every twentieth."""
    noise = np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8)
    gray = Image.fromarray(noise)
    for fmt in ("JPEG", "PNG", "TIFF", "WEBP", "BMP"):
        data = saved(gray, fmt)
        for percent in range(5, 100, 5):
            cut = data[: len(data) * percent // 100]
            yield Case(f"{percent}-percent.{fmt.lower()}", cut, "unreadable_image")
    for name, data in (
        ("plain", dicom(noise)),
        ("rle", dicom(noise, syntax=RLELossless)),
        ("jpeg-ls", dicom(noise, syntax=JPEGLSLossless)),
        ("deflated", dicom(noise, syntax=DeflatedExplicitVRLittleEndian)),
    ):
        for percent in range(5, 100, 5):
            cut = data[: len(data) * percent // 100]
            yield Case(f"{percent}-percent-{name}.dcm", cut, "unreadable_dicom")


def png(width: int, height: int, extra: bytes = b"", colour: int = 0) -> bytes:
    """A PNG that claims a size and holds nine bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    text = chunk(b"zTXt", b"k\0\0" + extra) if extra else b""
    idat = chunk(b"IDAT", zlib.compress(b"\0" * 9))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + text + idat + chunk(b"IEND", b"")


def webp_of(width: int, height: int) -> bytes:
    """A WebP that claims a size (RFC 9649, VP8 frame header)."""
    data = bytearray(saved(Image.new("RGB", (16, 16)), "WEBP"))
    at = data.index(b"\x9d\x01\x2a") + 3
    data[at : at + 4] = struct.pack("<HH", width, height)
    return bytes(data)


def too_large() -> Iterator[Case]:
    for side in (10_001, 50_000, 2**31 - 1):
        yield Case(f"{side}.png", png(side, side), "image_too_large")
    yield Case("black-20000.png", saved(Image.new("1", (20_000, 20_000)), "PNG"), "image_too_large")
    jpeg = bytearray(saved(Image.fromarray(SCENE), "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = b"\xff\xff\xff\xff"
    yield Case("65535.jpg", bytes(jpeg), "image_too_large")
    bmp = bytearray(saved(Image.fromarray(SCENE), "BMP"))
    bmp[18:26] = struct.pack("<ii", 60_000, 60_000)
    yield Case("60000.bmp", bytes(bmp), "image_too_large")
    yield Case("16383.webp", webp_of(16_383, 16_383), "image_too_large")
    yield Case("9000-rgba.png", png(9_000, 9_000, colour=6), "image_too_large")
    tiled = white_is_zero(SCENE, 1, more=[(322, 4, 60_000), (323, 4, 60_000)])
    yield Case("60000-tiles.tif", tiled, "image_too_large")
    text = zlib.compress(bytes(100_000_000))
    yield Case("text-bomb.png", png(8, 8, text), "unreadable_image")
    yield Case("65535.dcm", dicom(SCENE, Rows=65_535, Columns=65_535), "image_too_large")
    yield Case("deflated-bomb.dcm", deflated_bomb(), "image_too_large")
    for syntax in (JPEG2000Lossless, JPEGLSLossless, JPEGLosslessSV1):
        frame = bytearray(encoded(SCENE, syntax))
        at = frame.index(b"\xff\x51") + 6 if syntax == JPEG2000Lossless else sof(frame) + 5
        size = struct.pack(">II" if syntax == JPEG2000Lossless else ">HH", 60_000, 60_000)
        frame[at : at + len(size)] = size
        name = f"codestream-bomb-{syntax[-2:]}.dcm"
        yield Case(name, dicom(SCENE, syntax=syntax, frame=bytes(frame)), "unreadable_dicom")


def sof(frame: bytes | bytearray) -> int:
    return min(at for m in (0xC0, 0xC1, 0xC3, 0xF7) if (at := frame.find(bytes((0xFF, m)))) > 0)


def deflated_bomb() -> bytes:
    whole = dicom(SCENE, syntax=DeflatedExplicitVRLittleEndian)
    meta = 128 + 4 + 12 + int.from_bytes(whole[140:144], "little")
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = bytes(2**20)
    return whole[:meta] + b"".join(deflater.compress(zeros) for _ in range(300)) + deflater.flush()
