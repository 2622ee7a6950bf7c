"""A folder of 1,000 files, 50 of them bad: 950 answers, 50 reasons, exit code 3.

    python benchmarks/reliability/folder.py [--quick]

The sound files are phantom chest X-rays, half of them as DICOM; the bad ones are of the made
files of the tests, all their codes in turn. `cxrdiag predict FOLDER --json --csv` reads them in one
process. Prints the counts, and exits with 1 where a file has no answer and no reason, or has both,
or has another reason than its own. In full it writes benchmarks/results/folder.json; --quick has a
tenth of the files.
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "folder.json"
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from cxrdiag.data.phantom.dataset import IMAGES, write_coronahack  # noqa: E402
from tests.corpus import corpus  # noqa: E402
from tests.corpus.made import dicom  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="100 files; nothing written")
    quick = parser.parse_args().quick
    n_sound, n_bad = (95, 5) if quick else (950, 50)
    with TemporaryDirectory() as work:
        folder = Path(work) / "films"
        folder.mkdir()
        write_sound(folder, Path(work), n_sound)
        reasons = write_bad(folder, n_bad)
        table = Path(work) / "answers.csv"
        command = ["predict", folder, "--json", "--csv", table, "--device", "cpu"]
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "cxrdiag", *map(str, command)], capture_output=True, check=False
        )
        seconds = time.perf_counter() - started
        document = json.loads(done.stdout)
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    answered = {Path(d["file"]).name for d in document["diagnoses"]}
    refused = {Path(e["file"]).name: e["code"] for e in document["errors"]}
    mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    for code, count in Counter(refused.values()).most_common():
        print(f"{count:6} {code}")
    print(f"{len(answered)} answers and {len(refused)} reasons, exit code {done.returncode}")
    print(f"{len(rows)} rows of CSV, {seconds:.0f} s, {mib} MiB")
    sound = (
        done.returncode == 3
        and not done.stderr
        and len(answered) == n_sound
        and refused == reasons
        and not answered & set(refused)
        and len(rows) == n_sound + n_bad
    )
    if not quick:
        from provenance import provenance

        result = {
            **provenance(), "answers": len(answered), "reasons": dict(Counter(refused.values())),
            "exit_code": done.returncode, "seconds": round(seconds, 1), "mib": mib,
        }  # fmt: skip
        RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    return int(not sound)


def write_sound(folder: Path, work: Path, n: int) -> None:
    """Ten files of each phantom, no two alike: a gray level more or less in a corner."""
    write_coronahack(work / "phantoms", n_train=-(-n // 10), n_test=4, size=256)
    films = sorted((work / "phantoms" / IMAGES / "train").iterdir())
    for i in range(n):
        with Image.open(films[i // 10 % len(films)]) as film:
            pixels = np.array(film.convert("L"))
        pixels[0, 0] = i % 10
        if i % 2:
            (folder / f"film-{i:03}.dcm").write_bytes(
                dicom(pixels, WindowCenter=128, WindowWidth=256)
            )
        else:
            Image.fromarray(pixels).save(folder / f"film-{i:03}.png")


def write_bad(folder: Path, n: int) -> dict[str, str]:
    """Names and the codes that they are to be refused with."""
    by_code = defaultdict(list)
    for case in corpus():
        if case.code:
            by_code[case.code].append(case)
    cases = [cases[i] for i in range(n) for cases in by_code.values() if i < len(cases)][:n]
    reasons = {}
    for i, case in enumerate(cases):
        name = f"bad-{i:03}{Path(case.name).suffix or '.dcm'}"
        (folder / name).write_bytes(case.data)
        reasons[name] = case.code
    return reasons


if __name__ == "__main__":
    sys.exit(main())
