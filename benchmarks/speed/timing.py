"""Whole processes timed side by side: A B A B, each with its wall time and its peak memory."""

import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_EVERY = 0.1
"""Seconds between two looks at the memory."""


@dataclass(frozen=True)
class Side:
    """A command, as a user would give it; `{work}` in it is an empty folder of its own."""

    name: str
    command: Sequence[str]
    read: Callable[[Path, str], dict[str, float]] = lambda work, out: {}
    """What it said of itself: from its folder, and from its standard output."""
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One process: its wall time, its peak memory with its children, what it said."""

    seconds: float
    peak_mb: float
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
    """Run one side in an empty folder. Raises CalledProcessError with what it said."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        command = [part.replace("{work}", folder) for part in side.command]
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=work,
            env={**os.environ, **side.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        peak = _Peak(process.pid)
        out, err = process.communicate()
        seconds = time.perf_counter() - started
        peak_mb = peak.stop()
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command, out, err)
        return Run(seconds, peak_mb, side.read(work, out))


class _Peak(threading.Thread):
    """Looks at the memory of a process and its children: what they share counts once (PSS)."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._most, self._done = pid, 0.0, threading.Event()
        self.start()

    def run(self) -> None:
        while not self._done.wait(_EVERY):
            self._most = max(self._most, sum(_pss_mb(pid) for pid in _family(self._pid)))

    def stop(self) -> float:
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


def _pss_mb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # it has ended
        return 0.0
    pss = next(line for line in text.splitlines() if line.startswith("Pss:"))
    return int(pss.split()[1]) / 1024


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
