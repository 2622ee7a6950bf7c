"""A process that ends, or whose disk fails, at one of its operations on files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

FAULT = 77
"""The exit code of a process that ended so."""
OPERATIONS = ("fsync", "replace", "rename", "unlink", "mkdir", "rmdir")


def fail_at(number: int, dies: bool) -> Callable[[], None]:
    """End the process, or fail with EIO, at that one of the operations on files, from 1."""

    def install() -> None:
        done = 0

        def reach() -> bool:
            nonlocal done
            done += 1
            return done == number

        def fail() -> None:
            if dies:
                os._exit(FAULT)
            raise OSError(5, os.strerror(5))

        def wrapped(plain):
            def operation(*arguments, **named):
                if reach():
                    fail()
                return plain(*arguments, **named)

            return operation

        for name in OPERATIONS:
            setattr(os, name, wrapped(getattr(os, name)))
        plain_bytes, plain_text, plain_open = Path.write_bytes, Path.write_text, Path.open

        def write_bytes(self, data):
            if reach():
                plain_bytes(self, data[: len(data) // 2])
                fail()
            return plain_bytes(self, data)

        def write_text(self, text, *arguments, **named):
            if reach():
                plain_text(self, text[: len(text) // 2], *arguments, **named)
                fail()
            return plain_text(self, text, *arguments, **named)

        def open_(self, mode="r", *arguments, **named):
            file = plain_open(self, mode, *arguments, **named)

            def writelines(parts):
                if reach():
                    data = b"".join(parts)
                    file.write(data[: len(data) // 2])
                    file.flush()
                    fail()
                for part in parts:
                    file.write(part)

            if mode == "wb":
                file.writelines = writelines
            return file

        Path.write_bytes, Path.write_text, Path.open = write_bytes, write_text, open_

    return install
