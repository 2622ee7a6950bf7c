"""Without what an image library warns of: it may hold what a file says of a patient."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_FILTERS = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """No warning of this block is shown, or becomes an error.

    Warning filters are the process's and not the thread's, hence the lock.
    """
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
