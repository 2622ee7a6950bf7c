"""Weights from strangers by the thousand: each is loaded or refused in one line, nothing is run.

    python benchmarks/reliability/mutated_weights.py [--quick]

10,000 files, seeded, 1,000 with --quick: model.safetensors, model.json and resume.safetensors of
a small network with their bytes changed, cut out, doubled or put in, and with headers, fields and
states that say something else; in half of the weights model.json vouches for what they are now. A
model that loads answers for a picture, and a training that is restored goes on for a step. Then
twelve pickles under the names of both, each of which would make a file where it is read as one, and
a few files as large as it takes to do harm. They run in processes of their own, so that a crash is
seen and counted. Prints the counts, and exits with 1 where one was run, crashed, hung, raised
anything but one line of a CxrdiagError, or took more memory than twice the file and 300 MB, or more
than 5 s. In full it writes benchmarks/results/mutated_weights.json. Linux alone tells the memory.
"""

import argparse
import gc
import json
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ["OMP_NUM_THREADS"] = "1"  # a network as small as this one is faster so
ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "mutated_weights.json"
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import numpy as np  # noqa: E402

from cxrdiag.errors import CxrdiagError  # noqa: E402
from cxrdiag.model.checkpoint import load_model  # noqa: E402
from tests.strangers import mutations  # noqa: E402
from tests.strangers.made import CPU, resume, write_model, write_training, write_weights  # noqa: E402
from tests.strangers.pickles import payloads  # noqa: E402

A_PROCESS = 100
LIMIT_S, LIMIT_MIB = 5.0, 300
HANGS_AFTER_S = 300
WEIGHTS, INFO, RESUME = "model.safetensors", "model.json", "resume.safetensors"


@dataclass(frozen=True)
class Trial:
    """A file of a stranger's, and what is done with the folder that it lies in."""

    name: str
    file: str
    data: bytes
    vouched: bool = False
    """Whether model.json has the hash of these weights."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="1,000 files, nothing written")
    quick = parser.parse_args().quick
    n = 1_000 if quick else 10_000
    outcomes: dict[str, Counter[str]] = {}
    rows, started = [], time.perf_counter()
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder)
        write_training(folder)
        sound = {file: (folder / file).read_bytes() for file in (WEIGHTS, INFO, RESUME)}
        for warm_up in (answer, resume):  # what they import is not a file's memory
            warm_up(folder)
        canary = folder / "canary"
        shares: list[Callable[[], Iterator[Trial]]] = [
            lambda first=first: mutated(sound, range(first, first + A_PROCESS))
            for first in range(0, n, A_PROCESS)
        ]
        shares += [lambda: pickled(canary), lambda: large(sound)]
        gc.freeze()
        for number, share in enumerate(shares):
            rows += in_a_process(share, folder, sound, f"process {number}")
            restore(folder, sound)
        was_run = canary.exists()
    gc.unfreeze()
    for row in rows:
        outcomes.setdefault(row["file"], Counter())[row["outcome"]] += 1
    report(rows, outcomes, time.perf_counter() - started)
    print(f"something was run: {was_run}")
    if not quick:
        from provenance import provenance

        document = {
            **provenance(), "n": n, "outcomes": outcomes,
            "slowest_s": max(row["seconds"] for row in rows),
            "most_mib": max(row["mib"] for row in rows),
            "most_mib_beyond_twice_the_file": max(row["mib"] - 2 * row["size_mib"] for row in rows),
            "canaries": int(was_run),
        }  # fmt: skip
        RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    return int(was_run or any(is_bad(row) for row in rows))


def report(rows: list[dict], outcomes: dict[str, Counter[str]], seconds: float) -> None:
    for file, counts in outcomes.items():
        print(file)
        for what, count in counts.most_common():
            print(f"{count:6} {what}")
    for row in [row for row in rows if is_bad(row)][:50]:
        print(f"bad: {row}")
    print(f"{len(rows)} files in {seconds:.0f} s")
    for what in ("seconds", "mib"):
        print(f"the most {what}:")
        for row in sorted(rows, key=lambda row: -row[what])[:5]:
            print(
                f"  {row['seconds']:6.2f} s {row['mib']:6.1f} MiB of a file of "
                f"{row['size_mib']:.1f}, {row['name']}: {row['outcome']}"
            )


def is_bad(row: dict) -> bool:
    is_large = row["mib"] > 2 * row["size_mib"] + LIMIT_MIB
    return row["outcome"].startswith("!") or row["seconds"] > LIMIT_S or is_large


def in_a_process(
    share: Callable[[], Iterator[Trial]], folder: Path, sound: dict[str, bytes], name: str
) -> list[dict]:
    """Try a share of files in a process forked off this one."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(HANGS_AFTER_S)
        try:
            with os.fdopen(writer, "w") as pipe:
                for trial in share():
                    pipe.write(json.dumps(attempt(trial, folder, sound)) + "\n")
                    pipe.flush()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        rows = [json.loads(line) for line in pipe]
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != 0:
        what = f"! ended with {status} after {len(rows)} files"
        rows.append({
            "name": name, "file": "a process", "outcome": what,
            "seconds": 0.0, "mib": 0.0, "size_mib": 0.0,
        })  # fmt: skip
    return rows


def attempt(trial: Trial, folder: Path, sound: dict[str, bytes]) -> dict:
    """Put one file in its place, and use the folder as a command does."""
    restore(folder, sound)
    if trial.vouched:
        write_weights(folder, trial.data)
    else:
        (folder / trial.file).write_bytes(trial.data)
    size = len(trial.data) / 2**20
    gc.collect()
    before, started = memory(reset=True), time.perf_counter()
    try:
        (resume if trial.file == RESUME else answer)(folder)
        outcome = "used"
    except CxrdiagError as error:
        is_line = str(error).isprintable() and len(str(error)) < 1000
        outcome = error.code if is_line else f"! {error.code}, not in one line"
    except BaseException as error:
        outcome = f"! raised {error!r}"[:200]
    seconds = time.perf_counter() - started
    return {
        "name": trial.name, "file": trial.file, "outcome": outcome, "seconds": round(seconds, 3),
        "mib": round(memory() - before, 1), "size_mib": round(size, 1),
    }  # fmt: skip


def restore(folder: Path, sound: dict[str, bytes]) -> None:
    """Only the sound files, as they were."""
    for file, data in sound.items():
        (folder / file).write_bytes(data)


def answer(folder: Path) -> None:
    """Load a model and let it answer for a picture."""
    classifier = load_model(folder, CPU)
    side = classifier.info.image_size
    picture = np.linspace(0, 255, side * side).astype(np.uint8).reshape(1, side, side)
    logits = classifier.logits(picture)
    classifier.detect(picture)
    json.dumps(logits.tolist(), allow_nan=False)  # as `predict --json` does


def memory(reset: bool = False) -> float:
    """The most resident memory in MiB since it was reset; where it is reset, that of now."""
    if not Path("/proc/self/clear_refs").exists():
        return 0.0
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def mutated(sound: dict[str, bytes], numbers: range) -> Iterator[Trial]:
    """Of ten files four are weights, three a model.json and three a training."""
    for number in numbers:
        rng = np.random.default_rng(number)
        kind, name = number % 10, f"number {number}"
        if kind < 4:
            data = mutated_safetensors(sound[WEIGHTS], rng, is_header=kind < 2)
            yield Trial(name, WEIGHTS, data, vouched=kind % 2 == 0)
        elif kind < 7:
            change = mutations.changed_architecture if kind == 4 else mutations.changed_json
            yield Trial(name, INFO, change(sound[INFO].decode(), rng))
        else:
            if kind == 7:
                data = mutations.changed_state(sound[RESUME], rng)
            else:
                data = mutated_safetensors(sound[RESUME], rng, is_header=kind == 8)
            # In half of them with the digest of what it holds, which would hide what is behind.
            yield Trial(name, RESUME, mutations.signed(data) if rng.random() < 0.5 else data)


def mutated_safetensors(data: bytes, rng: np.random.Generator, *, is_header: bool) -> bytes:
    end = 8 + int.from_bytes(data[:8], "little")
    if not is_header:
        return mutations.changed_bytes(data, rng, first=end)
    chance = rng.random()
    if chance < 0.1:
        return mutations.changed_length(data, rng)
    if chance < 0.3:
        return mutations.changed_bytes(data, rng, end=end)
    return mutations.changed_header(data, rng)


def pickled(canary: Path) -> Iterator[Trial]:
    for payload in payloads(canary):
        for file in (WEIGHTS, RESUME):
            for vouched in (False, True)[: 1 + (file == WEIGHTS)]:
                yield Trial(f"pickle, {payload.name}", file, payload.data, vouched)


def large(sound: dict[str, bytes]) -> Iterator[Trial]:
    """What is small on the disk or cheap to make, and large where it is read without care."""
    names = ",".join(
        f'"{number:x}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
        for number in range(1_500_000)
    )
    header, body = mutations.parse(sound[RESUME])
    told = {**header["__metadata__"], "state": "[" + "[]," * 20_000_000 + "[]]"}
    state = json.dumps({**header, "__metadata__": told})
    for file in (WEIGHTS, RESUME):
        yield Trial(
            "names of nothing", file, mutations.assemble(f"{{{names}}}", b""), file == WEIGHTS
        )
    yield Trial("a state of empty lists", RESUME, mutations.assemble(state, body))
    fewer = {**told, "state": "[" + "[]," * 2_000_000 + "[]]"}
    state = json.dumps({**header, "__metadata__": fewer})
    yield Trial("a state of fewer empty lists", RESUME, mutations.assemble(state, body))
    yield Trial("a description of empty lists", INFO, b"[" + b"[]," * 60_000_000 + b"[]]")
    some = b'{"recipe": [' + b"[]," * 340_000 + b"[]]}"
    yield Trial("a description of fewer empty lists", INFO, some)
    n = 100_000_000
    one = {"conv1.weight": {"dtype": "F16", "shape": [n], "data_offsets": [0, 2 * n]}}
    for file in (WEIGHTS, RESUME):
        yield Trial(
            "one tensor", file, mutations.assemble(json.dumps(one), bytes(2 * n)), file == WEIGHTS
        )


if __name__ == "__main__":
    sys.exit(main())
