"""DICOM files: every transfer syntax, depth, window and colour, what tags tell, malformed ones."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    RLELossless,
)

from tests.corpus.made import (
    HEIGHT,
    SCENE,
    SYNTAXES,
    WIDTH,
    Case,
    dicom,
    dicom_of,
    saved,
)


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
    packed = Dataset()
    packed.LUTDescriptor = [256, 0, 8]
    packed.LUTData = np.arange(256, dtype=np.uint8).tobytes()
    of_8 = Dataset()
    of_8.LUTDescriptor = [4096, 100, 8]  # more entries than 8 bits can count
    of_8.LUTData = (np.arange(4096) // 16).astype(np.uint16).tobytes()
    signed = SCENE.astype(np.int16) * 16 - 2040
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
        ("voi-lut-packed", SCENE, {"VOILUTSequence": Sequence([packed])}),
        ("voi-lut-8", wide, {"VOILUTSequence": Sequence([of_8])}),
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
    edge = np.where(SCENE == 0, -2048, signed).astype(np.int16)
    tags = {"PixelPaddingValue": -2048, "WindowCenter": 0.5, "WindowWidth": 4081}
    other_sign = dicom(edge, **tags).replace(b"\x20\x01SS", b"\x20\x01US")
    assert b"\x20\x01US" in other_sign
    yield Case("padded-other-sign.dcm", other_sign, None, 1)
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
    yield Case("rgb-7.dcm", dicom(rgb, BitsStored=7, HighBit=6), "unsupported_pixels")
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


def dicom_crowded() -> Iterator[Case]:
    """Small files that ask for much time or memory."""
    plain = dicom(SCENE)
    pixels = plain.index(b"\xe0\x7f\x10\0")

    def with_element(header: bytes, value: bytes) -> bytes:
        length = struct.pack("<I" if len(header) == 8 else "<H", len(value))
        return plain[:pixels] + header + length + value + plain[pixels:]

    item = b"\xfe\xff\0\xe0" + bytes(4)
    codes = b"\x54\0\x20\x02SQ\0\0"
    endless = plain[:pixels] + codes + b"\xff\xff\xff\xff" + item * 250_000
    endless += b"\xfe\xff\xdd\xe0" + bytes(4) + plain[pixels:]
    elements = b"".join(struct.pack("<HH2sH", 9, 2 * i, b"LO", 0) for i in range(32_000)) * 96
    deflated = dicom(SCENE, syntax=DeflatedExplicitVRLittleEndian)
    meta = 128 + 4 + 12 + int.from_bytes(deflated[140:144], "little")
    deflater = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = deflated[:meta] + deflater.compress(elements) + deflater.flush()
    text = plain.replace(b"\xe0\x7f\x10\0OB", b"\xe0\x7f\x10\0UT")
    fragments = dicom(SCENE, syntax=RLELossless)
    at = fragments.index(b"\xfe\xff\0\xe0", fragments.index(b"\xe0\x7f\x10\0"))
    jpeg = saved(Image.fromarray(SCENE), "JPEG", progressive=True)
    end = len(jpeg) - 2
    scans = jpeg[:end] + jpeg[jpeg.rindex(b"\xff\xda") : end] * 200 + b"\xff\xd9"
    other = saved(Image.fromarray(SCENE[:40]), "JPEG")
    for name, data in (
        ("items", with_element(codes, item * 250_000)),
        ("items-endless", endless),
        ("elements", plain[:pixels] + elements[: 8 * 300_000] + plain[pixels:]),
        ("elements-deflated", deflated),
        ("backslashes", with_element(b"\x08\0\x60\0UC\0\0", b"\\" * 5_000_000)),
        ("pixels-of-text", text),
        ("fragments", fragments[:at] + item * 200_000 + fragments[at:]),
        ("scans", dicom(SCENE, syntax=JPEGBaseline8Bit, frame=scans)),
        ("other-size", dicom(SCENE, syntax=JPEGBaseline8Bit, frame=other)),
    ):  # fmt: skip
        yield Case(f"crowded-{name}.dcm", data, "unreadable_dicom")
    yield Case("many-scans.jpg", scans, "unreadable_image")
    # A patient's name is not read, and may be as long as it likes.
    comment = with_element(b"\x28\0\0\x40UT\0\0", b"x" * 5_000_000)
    yield Case("long-comment.dcm", comment, None, 1)


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
