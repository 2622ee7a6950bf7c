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
    # Theirs alone: what other threads of a program log is none of our business. Those below them
    # are off, as one may have a level of its own; what comes below meanwhile goes by their level.
    # For all it would take longer: with each level that is set, all loggers forget what they know.
    loggers = [logging.getLogger(name) for name in _LIBRARIES]
    below = [
        (logger, logger.disabled)
        for name, logger in list(logging.root.manager.loggerDict.items())
        if name.startswith(_BELOW) and isinstance(logger, logging.Logger)
    ]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        for logger, _ in below:
            logger.disabled = True
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
            for logger, was_disabled in below:
                logger.disabled = was_disabled
