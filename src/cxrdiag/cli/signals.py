"""Ctrl-C and SIGTERM, heard where a training can be stopped."""

from __future__ import annotations

import signal
from typing import Any


class Signals:
    """Ctrl-C and SIGTERM end a training where it pauses; the second of them ends it at once."""

    def __init__(self) -> None:
        self.received: int = signal.SIGINT
        """The number of the first of them, where there was one."""
        self._is_wanted = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as of a script's background job
                self._handlers[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame: object) -> None:
        if self._is_wanted:
            raise KeyboardInterrupt
        # Nothing is raised here: in an import of C++ code that would abort the process.
        self.received, self._is_wanted = number, True
        from cxrdiag.cli.console import err

        if err.is_terminal:
            err.print(
                "stopping as soon as all is saved; interrupt again to stop at once, without saving"
            )

    def check(self) -> None:
        """Raise Stop where one of them was received."""
        from cxrdiag.training.reporter import Stop

        if self._is_wanted:
            raise Stop
