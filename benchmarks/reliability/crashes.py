"""A training and a preparation are killed, starved and interrupted; no work may be lost.

    python benchmarks/reliability/crashes.py [--quick] [--only NAME]

kills       SIGKILL at random moments of a training: what is saved loads, no epoch that was told to
            be done is lost, and the training that is resumed until it ends has the weights of one
            that was never stopped
faults      at each write, fsync, rename, removal and new folder of a training and of a preparation:
            the process ends there, halfway through the bytes of a write, or the disk fails
            (EIO); then as above, and an earlier store is as it was or the new one in full
disk full   no file may grow beyond so many bytes: the earlier state is byte-identical, nothing
            stray lies about, one line, exit code 1
non-finite  the loss is NaN at a step: one line that names the images, the state saved is finite
signals     SIGTERM and Ctrl-C to the process group: saved, one line that says how to go on, exit
            code 143 or 130

Each process is forked off this one, which has torch imported, and runs the command line's `main`.
Counts are printed; it exits with 1 where anything was otherwise. In full it takes a quarter of an
hour and writes benchmarks/results/crashes.json.
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ["OMP_NUM_THREADS"] = "1"  # a network as small as this one is faster so
ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "crashes.json"
sys.path[:0] = [str(ROOT / "benchmarks")]

from killed.children import N_EPOCHS, Child, Trainings, digest, tree  # noqa: E402
from killed.faults import FAULT, fail_at  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from cxrdiag.data.phantom.dataset import write_coronahack  # noqa: E402
from cxrdiag.model.resnet import ResNet  # noqa: E402
from cxrdiag.runs import is_finished, is_interrupted  # noqa: E402

KILLED = -signal.SIGKILL


def kills(trainings: Trainings, n: int) -> Counter[str]:
    outcomes, rng, run, killed = Counter(), random.Random(0), trainings.new(), 0
    told = ""
    while killed < n:
        child = trainings.child(run)
        time.sleep(rng.uniform(0, 2.5))
        os.kill(child.pid, signal.SIGKILL)
        code = child.wait()
        told += child.said
        if problem := trainings.problem(run, told):
            outcomes[f"BAD: {problem}"] += 1
        if code == KILLED:
            killed += 1
            outcomes["killed, sound"] += 1
        if is_finished(run):
            same = digest(run / "model.safetensors") == trainings.weights
            outcomes["ended, the same weights" if same else "BAD: other weights"] += 1
            run, told = trainings.new(), ""
    if problem := trainings.finish(run):
        outcomes[f"BAD: {problem}"] += 1
    return outcomes


def faults(trainings: Trainings, quick: bool) -> Counter[str]:
    outcomes = Counter()
    base = trainings.half_done()
    n_operations = 0
    for dies in (True, False):
        for number in range(1, 1000 if dies else n_operations + 1, 7 if quick else 1):
            run = Path(shutil.copytree(base, trainings.new()))
            child = trainings.child(run, before=fail_at(number, dies))
            code = child.wait()
            if dies and code == 0:
                break  # it has fewer operations
            n_operations = max(n_operations, number)
            what, problem = _told(child, code, dies)
            if not any((run / name).exists() for name in ("resume.safetensors", "model.json")):
                problem = problem or "what was saved is gone"
            problem = problem or trainings.problem(run, child.said)
            if code != 0:
                problem = problem or trainings.finish(run)
            outcomes[f"BAD: training, {number}: {problem}" if problem else f"training, {what}"] += 1
            shutil.rmtree(run)
    faults_of_prepare(trainings, quick, outcomes)
    return outcomes


def _told(child: Child, code: int, dies: bool) -> tuple[str, str | None]:
    """What happened, and what is wrong with it."""
    if dies:
        return "ended there", None if code == FAULT else f"code {code}: {child.end}"
    if code == 0:
        return "EIO, done without it", None
    is_line = code == 1 and child.lines[-1].startswith("error:") and "Traceback" not in child.said
    return "EIO, told", None if is_line else f"code {code}: {child.end}"


def faults_of_prepare(trainings: Trainings, quick: bool, outcomes: Counter) -> None:
    """A store is replaced by that of other films."""
    other, place, new = (trainings.folder / name for name in ("other-raw", "place", "new-store"))
    write_coronahack(other, n_train=64, n_test=4, size=32)

    def build(source: Path, out: Path, before: Callable[[], object] = lambda: None) -> Child:
        return Child("prepare", "--kaggle-dir", source, "--out", out, "--size", 32, before=before)

    assert build(trainings.raw, trainings.folder / "old-store").wait() == 0
    assert build(other, new).wait() == 0
    old = trainings.folder / "old-store"
    expected = (tree(old), tree(new))
    assert expected[0] != expected[1]
    n_operations = 0
    for dies in (True, False):
        for number in range(1, 1000 if dies else n_operations + 1, 5 if quick else 1):
            shutil.rmtree(place, ignore_errors=True)
            (place / "nothing").mkdir(parents=True)
            out = Path(shutil.copytree(old, place / "store"))
            child = build(other, out, fail_at(number, dies))
            code = child.wait()
            if dies and code == 0:
                break
            n_operations = max(n_operations, number)
            what, problem = _told(child, code, dies)
            # The next one, here one that fails, puts back what was moved aside.
            assert build(place / "nothing", out).wait() == 3
            if tree(out) not in expected:
                problem = f"neither the old store nor the new: {list(tree(out))}: {child.said}"
            last = build(other, out)
            if last.wait() != 0 or tree(out) != expected[1]:
                problem = problem or f"it is not built afterwards: {last.end}"
            strays = {p.name for p in place.iterdir()} - {"store", "nothing"}
            problem = problem or (f"stray: {strays}" if strays else None)
            kind = f"BAD: preparation, {number}: {problem}" if problem else f"preparation, {what}"
            outcomes[kind] += 1


def disk_full(trainings: Trainings, n: int) -> Counter[str]:
    outcomes = Counter()
    base = trainings.half_done()
    size = (base / "resume.safetensors").stat().st_size
    for i in range(n):
        limit = i * (size - 1) // max(n - 1, 1)
        run = Path(shutil.copytree(base, trainings.new()))
        saved = digest(run / "resume.safetensors")

        def fill(limit: int = limit) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

        child = trainings.child(run, before=fill)
        code = child.wait()
        problem = None
        if code != 1 or len(child.lines) != 1 or not child.lines[0].startswith("error:"):
            problem = f"code {code}: {child.end}"
        elif digest(run / "resume.safetensors") != saved:
            problem = "the earlier state has changed"
        elif strays := [p.name for p in run.iterdir() if p.name.startswith(".")]:
            problem = f"stray: {strays}"
        problem = problem or trainings.finish(run)
        outcomes[f"BAD: {limit}: {problem}" if problem else "the earlier state stands"] += 1
        shutil.rmtree(run)
    return outcomes


def non_finite(trainings: Trainings, n: int) -> Counter[str]:
    outcomes, rng = Counter(), random.Random(1)
    records = (trainings.store / "records.csv").read_text().splitlines()
    train = {line.split(",")[0] for line in records if line.split(",")[2] == "train"}
    for _ in range(n):
        run, at = trainings.new(), rng.randrange(N_EPOCHS * 3)

        def poison(at: int = at) -> None:
            plain, seen = ResNet.forward, 0

            def forward(self, x):
                nonlocal seen
                out = plain(self, x)
                if self.training:
                    seen += 1
                    out = out * float("nan") if seen == at + 1 else out
                return out

            ResNet.forward = forward

        child = trainings.child(run, before=poison)
        code = child.wait()
        problem = None
        where = f"epoch {at // 3 + 1}, step {at % 3 + 1}, of the images "
        if code != 5 or len(child.lines) != 2 or where not in child.said:
            problem = f"code {code}: {child.end}"
        elif not set(child.lines[0].split("of the images ")[1].split(", ")) <= train:
            problem = f"other images: {child.end}"
        elif (run / "resume.safetensors").exists():
            tensors = load_file(run / "resume.safetensors").values()
            if not all(t.isfinite().all() for t in tensors if t.is_floating_point()):
                problem = "what is saved is not finite"
        problem = problem or trainings.finish(run)
        outcomes[f"BAD: {at}: {problem}" if problem else "stopped before the update"] += 1
    return outcomes


def signals(trainings: Trainings, n: int) -> Counter[str]:
    outcomes, rng = Counter(), random.Random(2)
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        heard = 0
        while heard < n:
            run = trainings.new()
            child = trainings.child(run)
            time.sleep(rng.uniform(0.2, 2.0))
            os.killpg(child.pid, number)
            ended = child.wait()
            if ended in (0, code) and is_finished(run):
                problem = trainings.problem(run)  # it had its model before the signal
                outcomes[f"BAD: {problem}" if problem else "ended before it"] += 1
                continue
            heard += 1
            line = child.lines[-1] if child.lines else ""
            is_saved = is_interrupted(run)
            said = "saved; go on with: cxrdiag train --resume" if is_saved else "interrupted before"
            problem = None
            if ended != code or len(child.lines) != 1 or not line.startswith(said):
                problem = f"code {ended}: {child.end}"
            problem = problem or trainings.problem(run, child.said) or trainings.finish(run)
            name = signal.Signals(number).name
            kind = f"{name}, {'saved' if is_saved else 'before the first step'}"
            outcomes[f"BAD: {name}: {problem}" if problem else kind] += 1
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a twentieth of it; nothing written")
    parser.add_argument("--only", help="one of the names above")
    arguments = parser.parse_args()
    quick = arguments.quick
    # A shell starts what runs in its background with Ctrl-C ignored, which a training respects.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    jobs: dict[str, Callable[[Trainings], Counter[str]]] = {
        "kills": lambda t: kills(t, 8 if quick else 200),
        "faults": lambda t: faults(t, quick),
        "disk full": lambda t: disk_full(t, 4 if quick else 50),
        "non-finite": lambda t: non_finite(t, 2 if quick else 20),
        "signals": lambda t: signals(t, 2 if quick else 20),
    }
    found: dict[str, dict[str, int]] = {}
    with TemporaryDirectory() as folder:
        trainings = Trainings(Path(folder))
        for name, job in jobs.items():
            if arguments.only not in (None, name):
                continue
            started = time.perf_counter()
            found[name] = dict(job(trainings))
            for outcome, count in found[name].items():
                print(f"{count:6} {name}: {outcome}")
            print(f"       {name}: {time.perf_counter() - started:.0f} s", flush=True)
    if not (quick or arguments.only):
        from provenance import provenance

        RESULTS.write_text(json.dumps({**provenance(), **found}, indent=2) + "\n")
    return int(any(outcome.startswith("BAD") for job in found.values() for outcome in job))


if __name__ == "__main__":
    sys.exit(main())
