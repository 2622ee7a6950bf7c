"""Time and memory of every made file of the tests, and of sound pictures as large as allowed.

    python benchmarks/reliability/image_cost.py [--quick]

Each file is read in a process of its own, forked off this one, whose wall time and largest resident
memory are measured; the memory holds what all of them share, 400 MiB. With --quick the large
pictures are left out: they are made here, which takes minutes. Prints the counts and the slowest,
and exits with 1 where a file took more than 5 s or 1.5 GB, or its process ended by itself. In full
it writes benchmarks/results/image_cost.json.
"""

import argparse
import gc
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing import Process, active_children
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "image_cost.json"
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from cxrdiag.data import dicom as _imported_before_the_fork  # noqa: E402, F401
from cxrdiag.data.image import read_picture  # noqa: E402
from cxrdiag.errors import DataError  # noqa: E402
from tests.corpus import corpus  # noqa: E402
from tests.corpus.made import dicom, saved  # noqa: E402

LIMIT_S, LIMIT_MIB = 5.0, 1536
SIZE = 256


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="no large pictures; nothing written")
    quick = parser.parse_args().quick
    files = [(case.name, case.data) for case in corpus()]
    gc.freeze()  # or each child copies all of it
    measured = [measure(name, data) for name, data in files]
    if not quick:
        with TemporaryDirectory() as folder:
            # Written by another process: what this one holds, each of its children seems to.
            Process(target=write_large, args=(Path(folder),)).start()
            active_children()[0].join()
            for path in sorted(Path(folder).iterdir()):
                measured.append(measure(path.name, path.read_bytes()))
    outcomes = Counter(row["outcome"] for row in measured)
    for what, count in outcomes.most_common():
        print(f"{count:6} {what}")
    for what in ("seconds", "mib"):
        print(f"the most {what}:")
        for row in sorted(measured, key=lambda row: -row[what])[:5]:
            print(f"  {row['seconds']:6.2f} s {row['mib']:5} MiB  {row['file']}: {row['outcome']}")
    print(f"{len(measured)} files")
    if not quick:
        from provenance import provenance

        document = {
            **provenance(), "n": len(measured), "outcomes": dict(outcomes),
            "slowest_s": max(row["seconds"] for row in measured),
            "most_mib": max(row["mib"] for row in measured),
            "large": measured[len(files):],
        }  # fmt: skip
        RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    return int(
        any(
            row["seconds"] > LIMIT_S or row["mib"] > LIMIT_MIB or row["outcome"].startswith("!")
            for row in measured
        )
    )


def measure(name: str, data: bytes) -> dict:
    """Read one file in a process of its own."""
    reader, writer = os.pipe()
    started = time.perf_counter()
    child = os.fork()
    if child == 0:
        try:
            read_picture(data, SIZE)
            outcome = "read"
        except DataError as error:
            outcome = error.code
        except BaseException as error:
            outcome = f"! raised {type(error).__name__}"
        os.write(writer, outcome.encode())
        os._exit(0)
    os.close(writer)
    _, status, used = os.wait4(child, 0)
    seconds = time.perf_counter() - started
    with os.fdopen(reader) as pipe:
        outcome = pipe.read() if status == 0 else f"! ended with {status}"
    mib = used.ru_maxrss // 1024
    return {"file": name, "outcome": outcome, "seconds": round(seconds, 3), "mib": mib}


def write_large(folder: Path) -> None:
    for name, data in large():
        (folder / name).write_bytes(data)


def large() -> Iterator[tuple[str, bytes]]:
    """Sound pictures of as many pixels as are read, of a film's gray levels and its noise."""
    from pydicom.uid import (
        DeflatedExplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        JPEG2000Lossless,
        JPEGBaseline8Bit,
        JPEGLosslessSV1,
        JPEGLSLossless,
        RLELossless,
    )  # fmt: skip

    coarse = np.random.default_rng(0).random((40, 40)).astype(np.float32)
    side = 10_000
    smooth = np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))
    wide = (smooth.clip(0, 1) * 64_000).astype(np.uint16)
    wide += np.random.default_rng(1).integers(0, 64, (side, side), dtype=np.uint16)
    del smooth
    gray = (wide >> 8).astype(np.uint8)
    film = Image.fromarray(gray)
    colours = Image.merge("RGBA", [film.crop((0, 0, 8_150, 8_150))] * 4)
    yield "gray 10000.png", saved(film, "PNG", compress_level=1)
    yield "16 bits 10000.png", saved(Image.fromarray(wide), "PNG", compress_level=1)
    yield "RGBA 8150.png", saved(colours, "PNG", compress_level=1)
    yield "gray 10000.jpg", saved(film, "JPEG", quality=90)
    yield "progressive RGB 8150.jpg", saved(colours.convert("RGB"), "JPEG", progressive=True)
    yield "CMYK 8150.jpg", saved(colours.convert("RGB").convert("CMYK"), "JPEG")
    yield "16 bits 10000.tif", saved(Image.fromarray(wide), "TIFF", compression="tiff_lzw")
    yield "RGBA 8150.tif", saved(colours, "TIFF", compression="tiff_deflate")
    yield "RGBA 8150.webp", saved(colours, "WEBP", method=0)
    yield "RGB 8150.bmp", saved(colours.convert("RGB"), "BMP")
    yield "gray 10000.bmp", saved(film, "BMP")
    del colours
    for syntax in (
        ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless, JPEGLSLossless,
        JPEG2000Lossless, JPEGLosslessSV1,
    ):  # fmt: skip
        yield f"16 bits 10000, {syntax.name}.dcm", dicom(wide, syntax=syntax, BitsStored=16)
    yield "gray 10000, JPEG baseline.dcm", dicom(gray, syntax=JPEGBaseline8Bit)
    rgb = np.stack([gray[:8_150, :8_150]] * 3, axis=-1)
    for photometric in ("RGB", "YBR_FULL"):
        tags = {"PhotometricInterpretation": photometric}
        yield f"{photometric} 8150.dcm", dicom(rgb, **tags)
        yield f"{photometric} 8150, RLE.dcm", dicom(rgb, syntax=RLELossless, **tags)
    yield "black 10000.png", saved(Image.new("L", (side, side)), "PNG")


if __name__ == "__main__":
    sys.exit(main())
