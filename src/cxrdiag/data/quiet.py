"""Without what an image library warns of: it may hold what a file says of a patient."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """No warning of this block is shown or logged, or becomes an error.

    Warning filters are the process's and not the thread's, hence the lock.
    """
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        was = logging.root.manager.disable
        logging.disable()  # pydicom's and Pillow's loggers tell values too
        try:
            yield
        finally:
            logging.disable(was)
