"""Everything that can go wrong on purpose: one exception class an exit code.

CxrdiagError            1   the parent; catch this one
├── UsageError          2   the command line or a recipe asks for what does not exist
├── DataError           3   an image, a data set or a store cannot be used
├── ModelError          4   weights or a run folder cannot be used
└── TrainingError       5   a training cannot go on

Exit codes and `code` strings are part of the public interface and do not change.
An interrupted command exits with 130 (Ctrl-C) or 143 (SIGTERM) as is the custom.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

_NO_MEMORY = (
    "out of memory",  # Metal
    "allocate memory",  # torch, on the host
    "not enough memory",
    "can't start new thread",
    "failed to map segment",  # a library that is loaded
    "bad_alloc",
    "could not create a primitive",  # oneDNN, and so on
    "could not create a memory",
    "ALLOC_FAILED",  # cuBLAS, cuDNN
)


class CxrdiagError(Exception):
    """What is wrong, where, and what to do about it.

    Parameters
    ----------
    message: one sentence, without the path.
    path: the file or folder at fault, when there is one.
    hint: what the user can do.
    code: a stable, machine-readable name, such as ``"unreadable_image"``.
    """

    exit_code = 1

    def __init__(
        self, message: str, *, path: Path | str | None = None, hint: str = "", code: str = "error"
    ) -> None:
        self.message = message
        self.path = path
        self.hint = hint
        self.code = code
        where = f"{path}: " if path is not None else ""
        super().__init__(f"{where}{message}" + (f" ({hint})" if hint else ""))

    def at(self, path: Path | str) -> Self:
        """The same error, of this file or folder."""
        return type(self)(self.message, path=path, hint=self.hint, code=self.code)


class UsageError(CxrdiagError):
    """The command line or a recipe asks for what does not exist."""

    exit_code = 2


class DataError(CxrdiagError):
    """An image, a data set or a store cannot be used."""

    exit_code = 3


class ModelError(CxrdiagError):
    """Weights or a run folder cannot be used."""

    exit_code = 4


class TrainingError(CxrdiagError):
    """A training cannot go on."""

    exit_code = 5


def of_the_system(error: OSError) -> CxrdiagError:
    """The same as one of ours: a full disk, a folder that may not be written to."""
    where = error.filename2 or error.filename
    return CxrdiagError(error.strerror or str(error), path=where, code="file_error")


def as_document(error: CxrdiagError) -> dict[str, str | None]:
    """What a JSON document says of an error."""
    return {
        "code": error.code,
        "message": error.message,
        "path": None if error.path is None else str(error.path),
        "hint": error.hint,
    }


def printable(text: str) -> str:
    """A text, as of a file's name, in which what would steer a terminal is escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def plain(text: str) -> str:
    """The same for text of several lines, which stay."""
    return "\n".join(map(printable, text.split("\n")))


def is_out_of_memory(error: Exception) -> bool:
    """Whether it is that: by its kind, or by the words of who asked for it alone.

    Without torch, whose kind of error is known by its name.
    """
    is_known = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return is_known or any(words in str(error) for words in _NO_MEMORY)
