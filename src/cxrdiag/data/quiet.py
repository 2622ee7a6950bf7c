"""Without what an image library warns of: it may hold what a file says of a patient."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_LIBRARIES, _BELOW = ("PIL", "pydicom"), ("PIL.", "pydicom.")
_COUNT = threading.Lock()
_silence = ExitStack()
_inside = 0


@contextmanager
def quiet() -> Iterator[None]:
    """No warning of this block is shown or becomes an error; Pillow and pydicom log nothing.

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
    # Theirs alone: what other threads of a program log is none of our business. Of those below them
    # only the ones with a level of their own, the rest goes by theirs: with each level that is set
    # all loggers forget what they know, and this is done for each film.
    known = list(logging.root.manager.loggerDict.items())
    below = [logger for name, logger in known if name.startswith(_BELOW)]
    own = [logger for logger in below if isinstance(logger, logging.Logger) and logger.level]
    loggers = [*map(logging.getLogger, _LIBRARIES), *own]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
