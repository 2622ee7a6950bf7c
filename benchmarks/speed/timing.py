"""Whole processes timed side by side: A B A B, each with its wall time and its peak memory."""

import dataclasses
import json
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_EVERY = 0.5
"""Seconds between two looks at the memory, each of which stops the process for milliseconds."""


@dataclass(frozen=True)
class Side:
    """A command, as a user would give it; `{work}` in it is an empty folder of its own."""

    name: str
    command: Sequence[str]
    read: Callable[[Path, str], dict[str, float]] = lambda work, out: {}
    """What it said of itself: from its folder, and from its standard output."""


@dataclass(frozen=True)
class Run:
    """One process: its wall time, its peak memory with its children, what it said."""

    seconds: float
    peak_mb: float
    own_mb: float
    """The same without files that are mapped, whose pages are given back when room is needed."""
    said: dict[str, float]


def alternate(sides: Sequence[Side], repeats: int, warm_up: bool = True) -> dict[str, list[Run]]:
    """Run all sides in turn, `repeats` times; once more before, uncounted, to warm the disk."""
    runs: dict[str, list[Run]] = {side.name: [] for side in sides}
    for n in range(-int(warm_up), repeats):
        for side in sides:
            run = run_once(side)
            if n >= 0:
                runs[side.name].append(run)
    return runs


def run_once(side: Side) -> Run:
    """Run one side in an empty folder. Raises SystemExit with what it said where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        command = [part.replace("{work}", folder) for part in side.command]
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=work,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        peak = _Peak(process.pid)
        out, err = process.communicate()
        seconds = time.perf_counter() - started
        peak_mb, own_mb = peak.stop()
        if process.returncode:
            raise SystemExit(f"{' '.join(command)}\n{out[-2000:]}{err[-2000:]}")
        return Run(seconds, peak_mb, own_mb, side.read(work, out))


def beside(sides: dict[str, Callable[[], object]], repeats: int = 15) -> dict[str, float]:
    """Median milliseconds of calls in this process, in turn, after one uncounted call of each."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for n in range(repeats + 1):
        for name, call in sides.items():
            started = time.perf_counter()
            call()
            if n:
                seconds[name].append(time.perf_counter() - started)
    return {name: round(1e3 * statistics.median(some), 2) for name, some in seconds.items()}


class _Peak(threading.Thread):
    """Looks at the memory of a process and its children: what they share counts once (PSS)."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._most, self._done = pid, (0.0, 0.0), threading.Event()
        self.start()

    def run(self) -> None:
        while not self._done.wait(_EVERY):
            now = [_memory_mb(pid) for pid in _family(self._pid)]
            self._most = (
                max(self._most[0], sum(all_ for all_, _ in now)),
                max(self._most[1], sum(own for _, own in now)),
            )

    def stop(self) -> tuple[float, float]:
        self._done.set()
        self.join()
        return self._most


def _family(pid: int) -> list[int]:
    family = [pid]
    for member in family:
        try:
            children = Path(f"/proc/{member}/task/{member}/children").read_text()
        except OSError:
            continue
        family += map(int, children.split())
    return family


def _memory_mb(pid: int) -> tuple[float, float]:
    """All of it, and what is no file's."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # it has ended
        return 0.0, 0.0
    kib = {line.split(":")[0]: line.split()[1] for line in text.splitlines()[1:]}
    return int(kib["Pss"]) / 1024, (int(kib["Pss_Anon"]) + int(kib["Pss_Shmem"])) / 1024


def last_json(_: Path, out: str) -> dict[str, float]:
    """The last line of standard output, as JSON."""
    said: dict[str, float] = json.loads(out.splitlines()[-1])
    return said


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median, least and most."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def as_json(runs: dict[str, list[Run]]) -> dict[str, list[dict]]:
    """Every repetition."""
    return {name: [dataclasses.asdict(run) for run in some] for name, some in runs.items()}


def program(folder: Path, name: str) -> str:
    """A program of an environment."""
    found = shutil.which(name, path=str(folder / "bin"))
    if found is None:
        raise SystemExit(f"{folder} has no {name}: make bench installs it")
    return found
