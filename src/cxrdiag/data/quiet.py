"""Without what an image library warns of: it may hold what a file says of a patient."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_COUNT = threading.Lock()
_silence = ExitStack()
_inside = 0


@contextmanager
def quiet() -> Iterator[None]:
    """No warning of this block is shown or logged, or becomes an error.

    Filters are the process's and not the thread's: the first thread to enter sets them, the last to
    leave puts back what was there, and none waits for another to decode its picture.
    """
    global _inside
    with _COUNT:
        if _inside == 0:
            _silence.enter_context(_silent())
        _inside += 1
    try:
        yield
    finally:
        with _COUNT:
            _inside -= 1
            if _inside == 0:
                _silence.close()


@contextmanager
def _silent() -> Iterator[None]:
    was = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable()  # pydicom's and Pillow's loggers tell values too
        try:
            yield
        finally:
            logging.disable(was)
