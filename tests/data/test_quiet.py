"""Warnings and logs are off while any thread is inside, and back when the last has left."""

import logging
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from cxrdiag.data.quiet import quiet


def test_two_threads_are_inside_at_once_and_neither_is_heard(
    caplog: pytest.LogCaptureFixture,
) -> None:
    together = threading.Barrier(2, timeout=10)  # broken where one waits for the other to leave

    def warn(n: int) -> None:
        with quiet():
            together.wait()
            warnings.warn("a name", UserWarning, stacklevel=1)  # which is an error elsewhere
            logging.getLogger("pydicom.pixels").error("a name")
            together.wait()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(warn, range(2)))
    assert caplog.text == ""


def test_what_was_there_comes_back_whatever_is_raised() -> None:
    filters, level = list(warnings.filters), logging.getLogger("PIL").level
    with pytest.raises(KeyError), quiet(), quiet():
        raise KeyError
    assert (list(warnings.filters), logging.getLogger("PIL").level) == (filters, level)
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard", UserWarning, stacklevel=1)


def test_a_part_of_a_library_with_a_level_of_its_own_is_not_heard(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = logging.getLogger("PIL.TiffImagePlugin")
    caplog.set_level(logging.DEBUG, logger.name)
    with quiet():
        logger.debug("a name")
        logging.getLogger("PIL.TiffImagePlugin.made.meanwhile").error("a name")
    assert caplog.text == ""
    assert logger.level == logging.DEBUG
    logger.debug("heard")
    assert "heard" in caplog.text


def test_what_others_log_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    with quiet():
        logging.getLogger("a.hospital").warning("the queue is full")
    assert "the queue is full" in caplog.text
