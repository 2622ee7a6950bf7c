"""Hostile data sets through the command line, each in a process whose reads are watched.

    python benchmarks/reliability/hostile_data_sets.py [--quick]

The cases of tests/hostile, every tenth with --quick, those that are too heavy for the tests among
them. `cxrdiag prepare` runs under strace, where that is installed (it is not a part of Python), and
every file and folder that it opens must be the data set's, the output's, or Python's and the
system's. Where an error is due, an earlier store stands in the output's place, and all in and
beside it must be as it was, to the byte. Prints the counts, and what is off, with exit code 1. In
full it writes benchmarks/results/hostile_data_sets.json.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "hostile_data_sets.json"
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from cxrdiag.data.prepare import prepare  # noqa: E402
from tests.hostile import hostile  # noqa: E402
from tests.hostile.checks import elsewhere, tree, wrong_answer  # noqa: E402
from tests.hostile.place import Case, NotHereError, Place, open_place, write_sound  # noqa: E402

HANGS_AFTER_S = 120
COMMAND = str(Path(sys.executable).with_name("cxrdiag"))
STRACE = shutil.which("strace")
LIMITED = (
    "import os, resource as r, sys; n = int(sys.argv[1]); "
    "r.setrlimit(r.RLIMIT_FSIZE, (n, n)); os.execv(sys.argv[2], sys.argv[2:])"
)
_OPENED = re.compile(r"= \d+<([^>]*)>")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="every tenth; nothing written")
    quick = parser.parse_args().quick
    cases = hostile()[:: 10 if quick else 1]
    if STRACE is None:
        print("strace is not installed: what is read is not watched")
    outcomes: Counter[str] = Counter()
    off, opened, slowest, started = 0, 0, (0.0, ""), time.perf_counter()
    with TemporaryDirectory() as name:
        work = Path(name)
        sound, earlier = write_sound(work / "sound"), work / "earlier"
        prepare(sound, earlier, size=40)
        for number, case in enumerate(cases):
            began = time.perf_counter()
            place = open_place(new_folder(work / str(number)), sound)
            try:
                found, n_opened = run(case, place, earlier)
            except NotHereError as error:
                print(f"left out: {case.name!a}: {error}", flush=True)
                outcomes["left out"] += 1
                continue
            finally:
                place.close()
                shutil.rmtree(place.root)
            for problem in found:
                print(f"! {case.name!a}: {problem}", flush=True)
            off += bool(found)
            opened += n_opened
            outcomes[case.code or "prepared"] += 1
            slowest = max(slowest, (time.perf_counter() - began, case.name))
    for what, count in outcomes.most_common():
        print(f"{count:4} {what}")
    seconds = time.perf_counter() - started
    print(f"{len(cases)} data sets in {seconds:.0f} s, {off} not as they should be")
    print(f"{opened:,} files and folders opened; the slowest, {slowest[1]!a}: {slowest[0]:.1f} s")
    if not quick:
        from provenance import provenance

        document = {
            **provenance(), "n": len(cases), "off": off, "outcomes": dict(outcomes),
            "watched": STRACE is not None, "opened": opened, "slowest_s": round(slowest[0], 1),
        }  # fmt: skip
        RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    return int(off > 0)


def new_folder(path: Path) -> Path:
    path.mkdir()
    return path


def run(case: Case, place: Place, earlier: Path) -> tuple[list[str], int]:
    """What is off, and how many files and folders were opened."""
    case.make(place)
    if case.code and place.is_vacant():
        shutil.copytree(earlier, place.out)
    before = tree(place.root)
    log = place.root.with_suffix(".strace")
    command = [COMMAND, "prepare", "--kaggle-dir", place.source, "--out", place.out, "--size", "32"]
    if place.max_bytes:
        command = [sys.executable, "-I", "-c", LIMITED, str(place.max_bytes), *command]
    if STRACE is not None:
        calls = "trace=open,openat,openat2"
        command = [STRACE, "-f", "--seccomp-bpf", "-y", "-qq", "-o", log, "-e", calls, *command]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [f"not done after {HANGS_AFTER_S} s"], 0
    found = list(wrong_answer(case, place, done.returncode, done.stdout, done.stderr))
    if found:
        found.append(ascii((done.stdout + done.stderr)[-600:]))
    if case.code and tree(place.root) != before:
        found.append("something was changed")
    opened = list(read_log(log))
    found += [f"{path} was opened" for path in elsewhere(opened, place)]
    if STRACE is not None and not opened:
        found.append("nothing was watched")
    return found, len(opened)


def read_log(log: Path) -> Iterator[str]:
    """What was opened, as the system names it, links resolved."""
    if log.exists():
        for line in log.read_text(errors="replace").splitlines():
            if match := _OPENED.search(line):
                yield os.path.normpath(match[1])
        log.unlink()


if __name__ == "__main__":
    sys.exit(main())
