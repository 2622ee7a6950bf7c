"""What becomes of memory that a training step has freed."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4
"""Of glibc's malloc.h."""
_LIBC: Any = ctypes.CDLL(None) if sys.platform == "linux" else None


@contextmanager
def kept_memory() -> Iterator[None]:
    """Let glibc keep what is freed until the block ends, or memory runs out (`give_back_memory`).

    By itself it gives large blocks back to the kernel at once, and gets them again in pages that
    are zeroed one by one (benchmarks/speed/parts.py counts them). Nothing is done elsewhere, nor
    where the process may have so much memory only (`ulimit -v`): what is kept lies in pieces
    between what is in use, and counts, while larger blocks need new memory.

    It holds for the whole process, over what MALLOC_* and GLIBC_TUNABLES say. Where two threads are
    in such blocks at once, the first to leave ends it for both.
    """
    if not _can_keep():
        yield
        return
    _LIBC.mallopt(_M_MMAP_MAX, 0)
    _LIBC.mallopt(_M_TRIM_THRESHOLD, -1)  # never
    try:
        yield
    finally:
        give_back_memory()


def give_back_memory() -> None:
    """Give what was kept back to the kernel, as far as it can be, and keep nothing from now on."""
    if _can_keep():
        # Its default, and what the thresholds may rise to by themselves, which they do no more.
        _LIBC.mallopt(_M_MMAP_MAX, 65_536)
        _LIBC.mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)
        _LIBC.mallopt(_M_TRIM_THRESHOLD, 64 * 2**20)
        _LIBC.malloc_trim(0)


def _can_keep() -> bool:
    if not hasattr(_LIBC, "mallopt"):  # other C libraries of Linux have none
        return False
    import resource  # Windows has none

    return resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
