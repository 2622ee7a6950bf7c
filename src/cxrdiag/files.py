"""Files and folders written whole or not at all: temporary name, fsync, rename, folder fsync."""

from __future__ import annotations

import errno
import glob
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

if sys.platform != "win32":
    import fcntl

DAMAGED = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)
"""What reading a JSON document, and its fields, may raise where somebody has changed it."""


def read_json(path: Path) -> dict[str, Any]:
    """A JSON document, or {} where there is none to read: for callers who can do without."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def fsync(path: Path) -> None:
    """Force a file's bytes, or a folder's entries, to the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_STRAY = re.compile(r"\..+\.[0-9a-f]+\.part(\.\w+)?")
"""What `write_file` calls a temporary file."""
_OLD = ".old"
_STRAY_FOLDER = re.compile(r"\.[0-9a-f]{8}(\.old)?")
"""What follows its name in what `new_folder` calls a temporary one, and the one moved aside."""
_DEVICES = {Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd")}


def resolved(path: Path) -> Path:
    """The place that links lead to. Raises OSError where they lead in a circle.

    Not by Path.resolve, which raises RuntimeError then.
    """
    place = os.path.realpath(path)
    if os.path.islink(place):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return Path(place)


def refuse_place(path: Path) -> None:
    """Raise OSError where no file can be written at `path`, as far as can be told beforehand.

    Because it is a folder, because links to it lead in a circle, or because of the folder that it
    would lie in (`refuse_folder`).
    """
    place = resolved(path)
    if place.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if place.exists() and not place.is_file():
        return  # a device, a pipe
    refuse_folder(place.parent)


def refuse_folder(path: Path) -> None:
    """Raise OSError where no file can be written in the folder `path`, which need not be there yet.

    Because it is none, or because it, or the one that it would be made in, may not be written to.
    """
    place = resolved(path)
    folder = next(folder for folder in (place, *place.parents) if folder.exists())
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it into place at once.

    A reader sees the old file or the new one, never a part. On any failure the old
    file is untouched and the temporary one is removed. A device or a pipe is written to as it is.
    Raises OSError as the system does, and for a file that stands behind /dev/stdout.
    """
    refuse_place(path)
    if path.exists() and not path.is_file():
        with named(path):
            write(path)
        return
    if path.is_file() and path.absolute().parent in _DEVICES:
        # What was in it, or is printed to it afterwards, would be lost.
        raise OSError(errno.EINVAL, "redirected to a file: name that file instead", str(path))
    path = resolved(path)  # a link is followed, not replaced
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix is kept: matplotlib and others choose the format by it.
    # Not the whole name: with more before and after it, it may be longer than a name may be.
    stem = os.fsencode(path.stem)[:100].decode(sys.getfilesystemencoding(), "ignore")
    temporary = path.with_name(f".{stem}.{_unique()}.part{path.suffix}")
    try:
        with named(path):
            write(temporary)
            fsync(temporary)
            os.replace(temporary, path)
            fsync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Have an OSError name what was to be written: of a full disk the system names no file."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # none of the system: of a download, say
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    write_file(path, lambda temporary: _write_utf8(temporary, text))


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a JSON document, indented, NaN refused (it is not JSON), whole or not at all."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


@contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Hold a folder against every other process. Raises BlockingIOError where another holds it.

    By the system's lock on the folder itself, which ends with the process and leaves no file.
    Yields False where there are no such locks: on Windows, on some network disks.
    """
    if sys.platform == "win32":
        yield False
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_held = True
        except BlockingIOError:
            raise
        except OSError:
            is_held = False
        yield is_held
    finally:
        os.close(descriptor)


def remove_strays(folder: Path) -> None:
    """Remove what a `write_file` that was killed left in a folder that nobody else writes to."""
    for path in folder.glob(".*"):
        if _STRAY.fullmatch(path.name) and path.is_file():
            path.unlink()


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `path` when the block ends without an error.

    An earlier `path` is replaced: it is moved aside first and removed last, as far as it can be:
    not on a network disk while another process reads it. What is left behind, as by a process that
    was killed, is for `clear_up`.
    """
    path = resolved(path)  # a link is followed, not replaced
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{_unique()}")
    temporary.mkdir()
    try:
        with held(temporary):
            yield temporary
            for file in temporary.iterdir():
                fsync(file)
            fsync(temporary)
            if path.exists():
                _replace(path, temporary)
            else:
                temporary.rename(path)
                fsync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace(path: Path, temporary: Path) -> None:
    old = temporary.with_name(temporary.name + _OLD)
    with held(path):
        path.rename(old)
        try:
            temporary.rename(path)
        except BaseException:
            old.rename(path)
            raise
        fsync(path.parent)  # first: until then a failing machine may need the old one
        old.rename(temporary)  # to be removed as such, and never to be put back in part


def clear_up(path: Path) -> None:
    """Remove what a `new_folder` that was killed left beside `path`.

    Where that is the folder moved aside, and nothing has come in its place, it is put back.
    """
    path = resolved(path)
    for stray in path.parent.glob(f".{glob.escape(path.name)}.*"):
        is_folder = stray.is_dir() and not stray.is_symlink()
        if not (is_folder and _STRAY_FOLDER.fullmatch(stray.name.removeprefix(f".{path.name}"))):
            continue
        try:
            with held(stray) as is_held:
                if not is_held:
                    continue  # it may be of a process that is at work
                if stray.name.endswith(_OLD) and not path.exists():
                    stray.rename(path)
                else:
                    shutil.rmtree(stray, ignore_errors=True)
        except BlockingIOError:
            pass  # of a process that is at work


def _unique() -> str:
    # Not the process's number: in containers it repeats, and threads share it.
    return os.urandom(4).hex()


def _write_utf8(path: Path, text: str) -> None:
    # newline="": the same bytes on every system.
    path.write_text(text, encoding="utf-8", newline="")
