"""What is looked at after `prepare` was given a hostile data set; each answer is what is wrong."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from cxrdiag.data.kaggle import NORMAL, PNEUMONIA
from cxrdiag.data.store import open_store
from tests.hostile.place import Case, Place

ROOT = Path(__file__).parents[2]
_SYSTEM = ("/usr", "/lib", "/lib64", "/etc", "/dev", "/proc", "/sys")
READABLE = [*_SYSTEM, sys.prefix, sys.base_prefix, str(ROOT / "src")]
"""What Python and its libraries read."""


def wrong_answer(case: Case, place: Place, code: int, out: str, err: str) -> Iterator[str]:
    """The exit code; one line of what is wrong and where, or a store; nothing odd printed."""
    if code != case.exit_code:
        yield f"exit code {code}, not {case.exit_code}"
    # What a terminal takes for a command, or what hides what is said.
    kinds = {char: unicodedata.category(char) for char in out + err}
    if odd := {char for char, kind in kinds.items() if kind in ("Cc", "Cf", "Cs")} - {"\n"}:
        yield f"characters {odd!a} printed"
    if not case.code:
        if case.says not in out:
            yield f"{case.says!a} is not said"
        yield from _wrong_store(case, place) if code == 0 else ()
        return
    if not re.fullmatch(r"error: .*\n(       .*\n)?", err):
        yield "not one line, and one of what to do"
    row = f", row {case.row}," if case.row else ""
    column = f", column {case.column}: " if case.column else ""
    yield from (f"{said!a} is not said" for said in (row, column, case.says) if said not in err)


def _wrong_store(case: Case, place: Place) -> Iterator[str]:
    store = open_store(place.out)
    findings = store.info["findings"]
    n = (len(store.records), len(findings["missing"]), len(findings["unreadable"]))
    if n != (case.n, case.missing, case.unreadable) or len(store.images_NSS) != case.n:
        yield f"{n} images, missing, unreadable"
    if not set(store.records["label"]) <= {NORMAL, PNEUMONIA}:
        yield "unknown labels"
    if case.holds is not None and not case.holds(place):
        yield "what it should hold it does not"


def elsewhere(opened: Iterable[str], place: Place, *readable: str) -> list[str]:
    """Of files and folders that were opened, links resolved, those that were not to be."""
    forbidden = [str(path) for path in (place.outside, *place.forbidden)]
    out = (place.out.parent, os.path.dirname(os.path.realpath(place.out)))
    allowed = [os.path.realpath(str(path)) for path in (place.source, *out, *READABLE, *readable)]

    def is_in(path: str, folders: list[str]) -> bool:
        return any(path == folder or path.startswith(folder + "/") for folder in folders)

    return sorted({path for path in opened if is_in(path, forbidden) or not is_in(path, allowed)})


def tree(root: Path) -> dict[str, tuple[object, ...]]:
    """All below a folder: what each is, and of a file its bytes. Nothing is opened but files."""
    found: dict[str, tuple[object, ...]] = {}
    for parent, folders, names in os.walk(root):
        for name in folders + names:
            path = os.path.join(parent, name)
            status = os.lstat(path)
            found[path] = (status.st_mode, status.st_ino)
            if stat.S_ISREG(status.st_mode) and status.st_size < 2**30:
                digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
                found[path] = (*found[path], status.st_mtime_ns, digest)
    return found
