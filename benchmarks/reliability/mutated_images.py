"""Damaged image files by the thousand: each is read or refused in one line, none crashes or hangs.

    python benchmarks/reliability/mutated_images.py [--quick]

20,000 files, seeded, 2,000 with --quick: JPEG, PNG, TIFF, WebP, BMP and DICOM of every transfer
syntax, with bytes changed, cut out, doubled or put in, most of them in the first 400. They run in
processes of their own, a hundred files each, so that a crash of a decoder is seen and counted.
Prints the counts, and exits with 1 where a file crashed, hung, raised anything but a DataError or
took more than 5 s or 1.5 GB. In full it writes benchmarks/results/mutated_images.json.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "mutated_images.json"
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

A_PROCESS = 100
LIMIT_S, LIMIT_MIB = 5.0, 1536
HANGS_AFTER_S = 120


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="2,000 files, nothing written")
    parser.add_argument("--one", type=int, help="the files from this number on, in this process")
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(read(arguments.one)))
        return 0
    n = 2_000 if arguments.quick else 20_000
    outcomes: Counter[str] = Counter()
    slowest, largest, started = (0.0, 0), 0, time.perf_counter()
    for first in range(0, n, A_PROCESS):
        command = [sys.executable, __file__, "--one", str(first)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=HANGS_AFTER_S, check=False)
            found = json.loads(done.stdout) if done.returncode == 0 else None
        except subprocess.TimeoutExpired:
            done, found = None, None
        if found is None:
            what = "hung" if done is None else f"crashed: {done.returncode}"
            outcomes[what] += 1
            print(f"files {first} to {first + A_PROCESS - 1}: {what}", flush=True)
            continue
        outcomes.update(found["outcomes"])
        slowest = max(slowest, tuple(found["slowest"]))
        largest = max(largest, found["mib"])
    bad = [what for what in outcomes if what.startswith(("hung", "crashed", "raised"))]
    for what, count in outcomes.most_common():
        print(f"{count:6} {what}")
    seconds = time.perf_counter() - started
    print(f"{n} files in {seconds:.0f} s, at most {largest} MiB")
    print(f"the slowest, number {slowest[1]}, took {slowest[0]:.2f} s")
    if not arguments.quick:
        from provenance import provenance

        document = {
            **provenance(), "n": n, "outcomes": dict(outcomes), "slowest_s": round(slowest[0], 3),
            "most_mib": largest,
        }  # fmt: skip
        RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    return int(bool(bad) or slowest[0] > LIMIT_S or largest > LIMIT_MIB)


def read(first: int) -> dict:
    """Read a process's share of files."""
    from cxrdiag.data.image import read_picture
    from cxrdiag.errors import DataError

    sound = originals()
    outcomes: Counter[str] = Counter()
    slowest = (0.0, 0)
    for number in range(first, first + A_PROCESS):
        data = mutated(sound[number % len(sound)], np.random.default_rng(number))
        started = time.perf_counter()
        try:
            read_picture(data, 64)
            outcomes["read"] += 1
        except DataError as error:
            outcomes[error.code] += 1
        except Exception as error:
            outcomes[f"raised {type(error).__name__}, file {number}"] += 1
        slowest = max(slowest, (time.perf_counter() - started, number))
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"outcomes": outcomes, "slowest": slowest, "mib": mib}


def originals() -> list[bytes]:
    from PIL import Image
    from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit

    from tests.corpus.made import SCENE, SYNTAXES, dicom, saved

    film = np.kron(SCENE, np.ones((2, 2), np.uint8))
    picture = Image.fromarray(film)
    wide = Image.fromarray(film.astype(np.uint16) * 257)
    twelve = film.astype(np.uint16) * 16
    return [
        saved(picture, "JPEG"),
        saved(picture.convert("CMYK"), "JPEG", progressive=True),
        saved(picture, "PNG"),
        saved(picture.convert("RGBA"), "PNG"),
        saved(wide, "PNG"),
        saved(picture, "TIFF", compression="tiff_lzw"),
        saved(wide, "TIFF", compression="tiff_deflate"),
        saved(picture.convert("1"), "TIFF", compression="group4"),
        saved(picture.convert("RGB"), "WEBP"),
        saved(picture, "BMP"),
        *(dicom(film, syntax=syntax, WindowCenter=128, WindowWidth=256) for syntax, _ in SYNTAXES),
        dicom(film, syntax=JPEGBaseline8Bit),
        dicom(twelve, syntax=JPEGExtended12Bit, BitsStored=12),
        dicom(np.stack([film] * 3, axis=-1)),
    ]


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """With one to sixteen changes."""
    out = bytearray(data)
    for _ in range(int(rng.choice([1, 1, 2, 4, 16]))):
        if len(out) < 8:
            break
        end = min(len(out), 400) if rng.random() < 0.6 else len(out)
        at = int(rng.integers(0, end))
        match rng.integers(0, 8):
            case 0:
                del out[at : at + int(rng.integers(1, 40))]
            case 1:
                out[at:at] = out[at : at + int(rng.integers(1, 40))]
            case 2:
                out[at:at] = rng.bytes(int(rng.integers(1, 9)))
            case 3:
                out[at : at + 4] = b"\xff\xff\xff\xff"
            case 4 if rng.random() < 0.3:
                del out[at:]
            case _:
                out[at] = int(rng.integers(0, 256))
    return bytes(out)


if __name__ == "__main__":
    sys.exit(main())
