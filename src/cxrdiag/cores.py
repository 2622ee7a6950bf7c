"""How many cores there are to work on."""

import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Of a container on Linux: microseconds of computing in so many of them, or `max`."""


def n_cores() -> int:
    """Those that this process may use: a container or a batch system may leave it few of many."""
    # Neither macOS nor Windows binds processes to cores.
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(bound or 1, _quota()))


def _quota() -> int:
    try:
        computing, of = _QUOTA.read_text().split()
        return round(int(computing) / int(of))
    except (OSError, ValueError, ArithmeticError):  # none, `max`, or nothing that makes sense
        return 2**31
