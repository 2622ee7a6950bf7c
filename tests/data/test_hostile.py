"""Hostile data sets: one named error and no trace of it, or the store that is documented."""

from __future__ import annotations

import os
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.main import get_command

from cxrdiag.cli import app
from cxrdiag.data.prepare import prepare
from cxrdiag.errors import DataError
from tests.conftest import Outcome
from tests.hostile import hostile
from tests.hostile.checks import ROOT, elsewhere, tree, wrong_answer
from tests.hostile.place import Case, NotHereError, Place, open_place, write_sound

Command = Callable[..., Outcome]
CASES = [case for case in hostile() if not case.heavy]

_opened: list[str] | None = None


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if _opened is not None and event in ("open", "os.listdir", "os.scandir"):
        path = arguments[0]
        if isinstance(path, str | bytes):
            _opened.append(os.path.realpath(os.fsdecode(path)))


@contextmanager
def opened_files() -> Iterator[list[str]]:
    """All that Python opens or lists, links resolved. A hook cannot be taken off: it sleeps."""
    global _opened
    _opened = []
    try:
        yield _opened
    finally:
        _opened = None


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sys.addaudithook(_note)
    return write_sound(tmp_path_factory.mktemp("hostile") / "sound")


@pytest.fixture(scope="module")
def earlier(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store from before, of other settings."""
    out = tmp_path_factory.mktemp("hostile") / "store"
    prepare(sound, out, size=40, audited=False)
    return out


@pytest.fixture(autouse=True, scope="module")
def _commands_built_once() -> Iterator[None]:
    """Typer makes its commands anew for each call, which takes longer than most cases."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "app", get_command(app.app))
        yield


@pytest.fixture
def place(sound: Path, tmp_path: Path) -> Iterator[Place]:
    place = open_place(tmp_path, sound)
    yield place
    place.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii(case.name))
def test_outcome(case: Case, place: Place, earlier: Path, cxrdiag_command: Command) -> None:
    try:
        case.make(place)
    except NotHereError as error:
        pytest.skip(str(error))
    before = tree(place.root)
    with opened_files() as opened, limited(place.max_bytes):
        where = ("--kaggle-dir", place.source, "--out", place.out)
        done = cxrdiag_command("prepare", *where, "--size", 32, "--no-audit")
    assert list(wrong_answer(case, place, done.code, done.out, done.err)) == [], done
    assert elsewhere(opened, place, str(ROOT)) == []
    if not case.code:
        assert again(place) == "unchanged"
        return
    assert tree(place.root) == before
    if place.is_vacant():
        shutil.copytree(earlier, place.out)
        before = tree(place.root)
    assert again(place) == case.code
    assert tree(place.root) == before


def again(place: Place) -> str:
    """What becomes of it in Python: the error's code, or whether the store was built."""
    try:
        with limited(place.max_bytes):
            _, built = prepare(place.source, place.out, size=32, audited=False)
    except DataError as error:
        return error.code
    except OSError:
        return "file_error"
    return "built" if built else "unchanged"


@contextmanager
def limited(n: int) -> Iterator[None]:
    """Write no file of more than `n` bytes, as on a full disk; 0 for any number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n or soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_hook_sees_a_file_that_is_opened(place: Place) -> None:
    with opened_files() as opened:
        place.secret.read_bytes()
    assert elsewhere(opened, place, str(ROOT)) == [os.path.realpath(place.secret)]
