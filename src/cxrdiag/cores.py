"""How many cores there are to work on."""

import os


def n_cores() -> int:
    """Those that this process may use: a container or a batch system may leave it few of many."""
    # Neither macOS nor Windows has it.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
