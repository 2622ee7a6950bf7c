"""What becomes of memory that a training step has freed."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4
"""Of glibc's malloc.h."""


@contextmanager
def kept_memory() -> Iterator[None]:
    """Let glibc keep what is freed until the block ends; elsewhere, do nothing.

    By itself it gives large blocks back to the kernel at once, and gets them again in pages that
    are zeroed one by one (benchmarks/speed/parts.py counts them).

    It holds for the whole process, over what MALLOC_* and GLIBC_TUNABLES say. Where two threads are
    in such blocks at once, the first to leave ends it for both.
    """
    # Other C libraries of Linux have no mallopt.
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(libc, "mallopt"):
        yield
        return
    assert libc is not None
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, -1)  # never
    try:
        yield
    finally:
        # Its default, and what the thresholds may rise to by themselves, which they do no more.
        libc.mallopt(_M_MMAP_MAX, 65_536)
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)
        libc.mallopt(_M_TRIM_THRESHOLD, 64 * 2**20)
        libc.malloc_trim(0)
