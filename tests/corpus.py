"""Files of every kind that may come in, and what is to become of each: made here, never stored.

A case is a name, the bytes, and the error code, or None where the file shows SCENE.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
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
from pydicom.sequence import Sequence
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


def corpus() -> list[Case]:
    """All of them, in a fixed order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of what is wrong with them
        return [
            *pictures(),
            *turned(),
            *damaged(),
            *too_large(),
            *dicom_syntaxes(),
            *dicom_depths(),
            *dicom_windows(),
            *dicom_colours(),
            *dicom_tags(),
            *dicom_malformed(),
        ]


# --- images ----------------------------------------------------------------------------------


def saved(image: Image.Image, fmt: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, fmt, **options)
    return file.getvalue()


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


def white_is_zero(pixels: NDArray[Any], photometric: int = 0, big: bool = False) -> bytes:
    """A TIFF of one strip, by hand: no writer of Pillow's makes gray ones whose 0 is white."""
    order = ">" if big else "<"
    bits = 8 * pixels.itemsize
    tags = [
        (256, 4, pixels.shape[1]), (257, 4, pixels.shape[0]), (258, 3, bits), (259, 3, 1),
        (262, 3, photometric), (273, 4, 0), (277, 3, 1), (278, 4, pixels.shape[0]),
        (279, 4, pixels.nbytes),
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


def png(width: int, height: int, extra: bytes = b"") -> bytes:
    """A PNG that claims a size and holds nine bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
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


# --- DICOM -----------------------------------------------------------------------------------


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
            pixels, rows=pixels.shape[0], columns=pixels.shape[1], samples_per_pixel=1,
            bits_allocated=8 * pixels.itemsize, bits_stored=bits, pixel_representation=0,
            photometric_interpretation="MONOCHROME2", number_of_frames=1,
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


def dicom_syntaxes() -> Iterator[Case]:
    """Every transfer syntax, of 8, 12 and 16 bits, with 0 black and with 0 white."""
    for white, photometric in enumerate(("MONOCHROME2", "MONOCHROME1")):
        scene = 255 - SCENE if white else SCENE
        tags: dict[str, Any] = {"PhotometricInterpretation": photometric}
        for syntax, lossy in SYNTAXES:
            name = f"{syntax.name[:25].replace(' ', '-')}-{syntax[-2:]}-{photometric}"
            full: dict[str, Any] = {"WindowCenter": 128, "WindowWidth": 256}
            yield Case(
                f"8-{name}.dcm", dicom(scene, syntax=syntax, **tags, **full), None, lossy + 1
            )
            wide = scene.astype(np.uint16) * 257
            full = {"WindowCenter": 32768, "WindowWidth": 65536}
            yield Case(
                f"16-{name}.dcm", dicom(wide, syntax=syntax, **tags, **full), None, 1 + bool(lossy)
            )
        full = {"WindowCenter": 2048, "WindowWidth": 4096, "BitsStored": 12}
        twelve = np.rint(scene * (4095 / 255)).astype(np.uint16)
        extended = dicom(twelve, syntax=JPEGExtended12Bit, **tags, **full)
        yield Case(f"jpeg-extended-12-{photometric}.dcm", extended, None, 2)
        full = {"WindowCenter": 128, "WindowWidth": 256}
        baseline = dicom(scene, syntax=JPEGBaseline8Bit, **tags, **full)
        yield Case(f"jpeg-baseline-{photometric}.dcm", baseline, None, 12)


def dicom_depths() -> Iterator[Case]:
    """What is stored of the bits of a pixel, where, and with which sign."""
    for allocated, stored, high in (
        (8, 8, 7), (16, 8, 7), (16, 9, 8), (16, 10, 9), (16, 12, 11), (16, 12, 15), (16, 10, 12),
        (16, 13, 12), (16, 14, 13), (16, 15, 14), (16, 16, 15),
    ):  # fmt: skip
        for signed in (0, 1):
            values = np.rint(SCENE * ((2**stored - 1) / 255)).astype(np.int64)
            values = values - 2 ** (stored - 1) * signed
            bits = (values & (2**stored - 1)) << (high + 1 - stored)
            # What is beside them belongs to others (PS3.5 8.1.1) and is not to be seen.
            beside = ~((2**stored - 1) << (high + 1 - stored)) & (2**allocated - 1)
            pixels = (bits | beside & 0x5555).astype(np.uint8 if allocated == 8 else np.uint16)
            tags: dict[str, Any] = {
                "BitsStored": stored,
                "HighBit": high,
                "PixelRepresentation": signed,
            }
            name = f"{allocated}-{stored}-{high}-{'signed' if signed else 'unsigned'}.dcm"
            yield Case(name, dicom(pixels, **tags), None, 1)


def dicom_windows() -> Iterator[Case]:
    """Windows, rescaling and tables that show SCENE all the same."""
    wide = SCENE.astype(np.uint16) * 16 + 100  # 100 to 4180
    low, high = 100, 4180
    middle, width = (low + high) / 2, high - low
    lookup = Dataset()
    lookup.LUTDescriptor = [256, 0, 16]
    lookup.LUTData = (np.arange(256) * 257).astype(np.uint16).tobytes()
    backwards = Dataset()
    backwards.LUTDescriptor = [256, 0, 16]
    backwards.LUTData = (65535 - np.arange(256) * 257).astype(np.uint16).tobytes()
    cases: tuple[tuple[str, NDArray[Any], dict[str, Any]], ...] = (
        ("no-window", wide, {}),
        ("window", wide, {"WindowCenter": middle + 0.5, "WindowWidth": width + 1}),
        ("exact", wide, {
            "WindowCenter": middle, "WindowWidth": width, "VOILUTFunction": "LINEAR_EXACT",
        }),
        ("two", wide, {"WindowCenter": [middle + 0.5, 9], "WindowWidth": [width + 1, 2]}),
        ("width-0", wide, {"WindowCenter": 0, "WindowWidth": 0}),
        ("centre-alone", wide, {"WindowCenter": 7}),
        ("empty", wide, {"WindowCenter": "", "WindowWidth": ""}),
        ("rescaled", wide, {"RescaleSlope": "2.5", "RescaleIntercept": "-1000"}),
        ("rescaled-window", wide, {
            "RescaleSlope": "2", "RescaleIntercept": "-1000", "VOILUTFunction": "LINEAR_EXACT",
            "WindowCenter": 2 * middle - 1000, "WindowWidth": 2 * width,
        }),
        ("rescaled-down", 255 - SCENE, {"RescaleSlope": "-1", "RescaleIntercept": "255"}),
        ("voi-lut", SCENE, {"VOILUTSequence": Sequence([lookup])}),
        ("voi-lut-first", SCENE, {
            "VOILUTSequence": Sequence([lookup, backwards]), "WindowCenter": 3, "WindowWidth": 2,
        }),
        ("voi-lut-down", 255 - SCENE, {"VOILUTSequence": Sequence([backwards])}),
        ("modality-lut", 255 - SCENE, {"ModalityLUTSequence": Sequence([backwards])}),
        ("padded", padded(wide), {"PixelPaddingValue": 65535}),
        ("padded-range", padded(wide), {
            "PixelPaddingValue": 65000, "PixelPaddingRangeLimit": 65535,
        }),
        ("padded-white", padded(4280 - wide), {
            "PixelPaddingValue": 65535, "PhotometricInterpretation": "MONOCHROME1",
        }),
        ("spacing", wide, {"PixelSpacing": [0.1, 0.2], "ImagerPixelSpacing": [0.1, 0.2]}),
        ("one-frame", wide, {"NumberOfFrames": 1}),
    )  # fmt: skip
    for name, pixels, tags in cases:
        yield Case(f"{name}.dcm", dicom(pixels, **tags), None, 1)
    frames = dicom(wide, NumberOfFrames=2, PixelData=bytes(wide.nbytes * 2))
    yield Case("two-frames.dcm", frames, "several_pictures")


def padded(pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """65535 in a corner where SCENE is black: left in, it would be the brightest."""
    out = pixels.copy()
    out[0, 0] = 65535
    return out


def dicom_colours() -> Iterator[Case]:
    rgb = np.stack([SCENE] * 3, axis=-1)
    yield Case("rgb.dcm", dicom(rgb))
    planar = np.ascontiguousarray(rgb.transpose(2, 0, 1)).tobytes()
    yield Case("rgb-planar.dcm", dicom_of(rgb, planar, PlanarConfiguration=1))
    ybr = np.stack([SCENE, np.full_like(SCENE, 128), np.full_like(SCENE, 128)], axis=-1)
    yield Case("ybr.dcm", dicom(ybr, PhotometricInterpretation="YBR_FULL"), None, 1)
    pairs = np.full((HEIGHT, WIDTH // 2, 4), 128, np.uint8)  # Y Y Cb Cr
    pairs[..., 0], pairs[..., 1] = SCENE[:, ::2], SCENE[:, 1::2]
    ybr422 = dicom_of(rgb, pairs.tobytes(), PhotometricInterpretation="YBR_FULL_422")
    yield Case("ybr-422.dcm", ybr422, None, 1)
    yield Case("rgb-16.dcm", dicom(rgb.astype(np.uint16) * 257))
    ramp = (np.arange(256, dtype=np.uint16) * 257).tobytes()
    tables: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour in ("Red", "Green", "Blue"):
        tables[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tables[f"{colour}PaletteColorLookupTableData"] = ramp
    yield Case("palette.dcm", dicom(SCENE, **tables))
    jpeg = saved(Image.fromarray(rgb), "JPEG", quality=98)
    tags: dict[str, Any] = {"PhotometricInterpretation": "YBR_FULL_422"}
    yield Case("ybr-jpeg.dcm", dicom(rgb, syntax=JPEGBaseline8Bit, frame=jpeg, **tags), None, 12)


def dicom_of(shape_of: NDArray[Any], pixel_data: bytes, **tags: Any) -> bytes:
    """As `dicom`, of these bytes of pixels."""
    whole = dicom(shape_of, **tags)
    dataset = dcmread(BytesIO(whole))
    dataset.PixelData = pixel_data
    return written(dataset, ExplicitVRLittleEndian)


def dicom_tags() -> Iterator[Case]:
    """What the file says that it shows."""
    for keyword, code, values in (
        ("Modality", None, ("CR", "DX", "DR", "RG", "OT", "", "cr ")),
        ("Modality", "not_a_radiograph", ("CT", "MR", "US", "MG", "NM", "PT", "SR", "XA", "IO")),
        ("BodyPartExamined", None, ("CHEST", "", "THORAX", "CHEST PA", "LUNG", "Chest", "TORAX")),
        ("BodyPartExamined", "not_a_chest", ("ABDOMEN", "HAND", "SKULL", "KNEE", "THORACIC SPINE")),
        ("ViewPosition", None, ("PA", "AP", "")),
        ("ViewPosition", "not_frontal", ("LL", "RL", "LATERAL", "LLO", "RLO")),
        ("PatientOrientation", None, ("", ["L", "F"], ["R", "F"])),
        ("PatientOrientation", "not_frontal", (["A", "F"], ["P", "F"])),
    ):
        for value in values:
            name = f"{keyword}-{value if isinstance(value, str) else '-'.join(value)}"
            tags: dict[str, Any] = {keyword: value}
            yield Case(f"{name.replace(' ', '_')}.dcm", dicom(SCENE, **tags), code, 1)
    for code_value, code in (
        ("R-10236", "not_frontal"),
        ("399173006", "not_frontal"),
        ("R-10214", None),
    ):
        view = Dataset()
        view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = code_value, "X", "a view"
        yield Case(
            f"view-{code_value}.dcm", dicom(SCENE, ViewCodeSequence=Sequence([view])), code, 1
        )


def dicom_malformed() -> Iterator[Case]:
    for keyword in ("BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel"):
        yield Case(f"without-{keyword}.dcm", dicom(SCENE, without=(keyword,)), None, 1)
    for keyword in ("Modality", "BodyPartExamined", "ViewPosition", "SOPClassUID"):
        yield Case(f"without-{keyword}.dcm", dicom_without(keyword), None, 1)
    for keyword in ("Rows", "Columns", "BitsAllocated", "PhotometricInterpretation"):
        yield Case(f"without-{keyword}.dcm", dicom(SCENE, without=(keyword,)), "unreadable_dicom")
    yield Case("without-PixelData.dcm", dicom(SCENE, without=("PixelData",)), "unreadable_dicom")
    yield Case("no-picture.dcm", dicom(SCENE, without=("PixelData", "Rows")), "no_picture")
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [256, 0, 16], bytes(6)
    cases: tuple[tuple[str, str | None, dict[str, Any]], ...] = (
        ("rows-0", "unreadable_dicom", {"Rows": 0}),
        ("rows-more", "unreadable_dicom", {"Rows": 60}),
        ("bits-12", "unsupported_pixels", {"BitsAllocated": 12}),
        ("bits-32", "unsupported_pixels", {"BitsAllocated": 32}),
        ("bits-1", "unsupported_pixels", {"BitsAllocated": 1}),
        ("stored-9", "unreadable_dicom", {"BitsStored": 9}),
        ("high-bit-9", "unreadable_dicom", {"HighBit": 9}),
        ("samples-4", "unreadable_dicom", {"SamplesPerPixel": 4}),
        ("samples-2", "unreadable_dicom", {"SamplesPerPixel": 2}),
        ("photometric", "unsupported_pixels", {"PhotometricInterpretation": "CMYK"}),
        ("slope-infinite", "unreadable_dicom", {"RescaleSlope": 1e308, "RescaleIntercept": -1e308}),
        ("table-short", "unreadable_dicom", {"VOILUTSequence": Sequence([table])}),
        ("frames-0", None, {"NumberOfFrames": 0}),
        ("frames-minus", "several_pictures", {"NumberOfFrames": -3}),
    )
    for name, code, tags in cases:
        yield Case(f"{name}.dcm", dicom(SCENE, **tags), code, 1)
    whole = dicom(SCENE, WindowCenter="128", WindowWidth="256")
    for name, old, new in (
        ("width-text", b"256 ", b"abc "),
        ("width-nan", b"256 ", b"nan "),
        ("centre-list", b"128 ", b"\\\\\\\\"),
        ("rows-text", b"(\0\x10\0US", b"(\0\x10\0LO"),
    ):
        assert old in whole
        yield Case(f"{name}.dcm", whole.replace(old, new), "unreadable_dicom")
    plain = dicom(SCENE)
    yield Case("no-preamble.dcm", plain[128 + 4 :], None, 1)
    meta = 128 + 4 + 12 + int.from_bytes(plain[140:144], "little")
    yield Case("no-meta.dcm", plain[meta:], None, 1)
    implicit = dicom(SCENE, syntax=ImplicitVRLittleEndian)
    meta = 128 + 4 + 12 + int.from_bytes(implicit[140:144], "little")
    yield Case("no-meta-implicit.dcm", implicit[meta:], None, 1)
    unknown = plain.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0")
    yield Case("syntax-unknown.dcm", unknown, "missing_codec")
    yield Case("dicom-named.png", plain, None, 1)
    yield Case("mark-alone.dcm", bytes(128) + b"DICM", "unreadable_dicom")
    for depth, code in ((50, None), (20_000, "unreadable_dicom")):
        yield Case(f"nested-{depth}.dcm", nested(plain, depth), code, 1)


def nested(whole: bytes, depth: int) -> bytes:
    """With sequences of view codes within each other, of undefined length."""
    begin = b"\x54\0\x20\x02SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    at = whole.index(b"\xe0\x7f\x10\0")
    return whole[:at] + begin * depth + end * depth + whole[at:]


def dicom_without(keyword: str) -> bytes:
    if keyword == "SOPClassUID":
        return dicom(SCENE, SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    return dicom(SCENE, without=(keyword,))
