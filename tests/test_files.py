"""A file or a folder is written whole or not at all, whatever the writer does."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cxrdiag.files import clear_up, new_folder, write_file, write_json, write_text


class Stop(BaseException):
    """Stands for Ctrl-C, without stopping the test run where a test fails."""


def _tree(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def _half_written(path: Path) -> None:
    path.write_text("half")
    raise Stop


@pytest.mark.parametrize("old", [None, b"old"])
def test_a_writer_that_fails_leaves_what_was_there(tmp_path: Path, old: bytes | None) -> None:
    path = tmp_path / "model.json"
    if old is not None:
        path.write_bytes(old)
    before = _tree(tmp_path)
    with pytest.raises(Stop):
        write_file(path, _half_written)
    assert _tree(tmp_path) == before


def test_the_old_file_is_whole_until_the_new_one_is(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "figure.png"
    write_text(path, "old")

    def write(temporary: Path) -> None:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
        # One file system, or the rename would copy; the suffix says the format.
        assert (temporary.parent, temporary.suffix) == (path.parent, ".png")

    write_file(path, write)
    assert _tree(tmp_path) == {"deep/figure.png": b"new"}


def test_a_writer_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_file(tmp_path / "x", lambda temporary: None)
    assert not list(tmp_path.iterdir())


def test_two_writers_at_once_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "model.json"

    def write(temporary: Path) -> None:
        temporary.write_text("first")
        write_file(path, lambda other: other.write_text("the second, which is longer"))
        assert temporary.read_text() == "first"

    write_file(path, write)
    assert _tree(tmp_path) == {"model.json": b"first"}


def test_links_in_a_circle_are_an_error_of_the_system(tmp_path: Path) -> None:
    loop, back = tmp_path / "loop", tmp_path / "back"
    loop.symlink_to(back)
    back.symlink_to(loop)
    for act in (lambda: write_text(loop, ""), lambda: clear_up(loop), new_folder(loop).__enter__):
        with pytest.raises(OSError, match="symbolic links") as e:
            act()
        assert e.value.filename == str(loop)
    assert sorted(tmp_path.iterdir()) == [back, loop]


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.csv").write_text("old")
    (tmp_path / "a.csv").symlink_to(tmp_path / "disk" / "a.csv")
    write_text(tmp_path / "a.csv", "new")
    assert (tmp_path / "a.csv").is_symlink()
    assert _tree(tmp_path / "disk") == {"a.csv": b"new"}


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_text(tmp_path / "pipe", "a,b\n")
        assert os.read(reader, 100) == b"a,b\n"
    finally:
        os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


def test_a_file_behind_standard_output_is_refused_and_keeps_what_it_holds(tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from cxrdiag.files import write_text\n"
    script += "try: write_text(Path('/dev/stdout'), 'new')\n"
    script += "except OSError as error: sys.exit(error.strerror)"
    (tmp_path / "log").write_text("old\n")
    with (tmp_path / "log").open("a") as log:
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, stdout=log, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, "name that file" in done.stderr) == (1, True)
    assert _tree(tmp_path) == {"log": b"old\n"}


def test_text_and_json_are_utf8_with_unix_line_ends(tmp_path: Path) -> None:
    write_text(tmp_path / "a.csv", "é\n")
    write_json(tmp_path / "a.json", {"σ": 1.5, "none": None})
    assert (tmp_path / "a.csv").read_bytes() == b"\xc3\xa9\n"
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"σ": 1.5, "none": None}
    assert (tmp_path / "a.json").read_bytes().endswith(b"}\n")


def test_json_has_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"auroc": 0.5})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"auroc": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"auroc": 0.5}


def test_a_folder_appears_when_its_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "store"
    with new_folder(path) as folder:
        (folder / "a").write_text("a")
        assert folder.parent == path.parent
        assert not path.exists()
    assert _tree(tmp_path) == {"deep/store/a": b"a"}
    assert list(path.parent.iterdir()) == [path]


def test_a_new_folder_replaces_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "store"
    for name in ("old", "new"):
        with new_folder(path) as folder:
            (folder / name).write_text(name)
            (folder / "below").mkdir()
    assert _tree(tmp_path) == {"store/new": b"new"}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_that_fails_leaves_what_was_there(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "store"
    if there:
        path.mkdir()
        (path / "a").write_text("old")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Stop), new_folder(path) as folder:
        _half_written(folder / "a")
    assert sorted(tmp_path.rglob("*")) == before
    assert not there or (path / "a").read_text() == "old"


def test_two_at_once_do_not_share_a_temporary_folder(tmp_path: Path) -> None:
    with new_folder(tmp_path / "store") as one, new_folder(tmp_path / "store") as other:
        assert one != other
        (other / "a").write_text("other")
    assert _tree(tmp_path) == {}  # the outer one, empty, came last


def test_a_folder_is_as_readable_as_mkdir_makes_it(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        (tmp_path / "usual").mkdir()
        with new_folder(tmp_path / "new"):
            pass
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(umask)
    usual, new = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "new"))
    assert new == usual == 0o750


def test_an_old_folder_that_cannot_be_removed_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a network disk, while another process has a file in it mapped."""
    path = tmp_path / "store"
    for text in ("old", "new"):
        with new_folder(path) as folder:
            (folder / "a").write_text(text)
            monkeypatch.setattr("os.rmdir", _not_empty)
    assert _tree(path) == {"a": b"new"}
    path.rename(tmp_path / "away")
    clear_up(path)
    assert not path.exists()  # what was replaced, or part of it, does not come back
    monkeypatch.undo()
    clear_up(path)
    assert [each.name for each in tmp_path.iterdir()] == ["away"]


def _not_empty(path: object, **options: object) -> None:
    raise OSError(39, "Directory not empty", str(path))


def test_a_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk" / "store").mkdir(parents=True)
    (tmp_path / "store").symlink_to(tmp_path / "disk" / "store")
    with new_folder(tmp_path / "store") as folder:
        (folder / "a").write_text("a")
    assert (tmp_path / "store").is_symlink()
    assert _tree(tmp_path / "disk") == {"store/a": b"a"}


@pytest.mark.parametrize("has_locks", [True, False])
def test_only_what_nobody_holds_is_cleared_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_locks: bool
) -> None:
    if not has_locks:  # as on some network disks

        def flock(descriptor: int, operation: int) -> None:
            raise OSError(9, "Bad file descriptor")

        monkeypatch.setattr("fcntl.flock", flock)
    path = tmp_path / "store"
    with new_folder(path) as folder:
        (folder / "a").write_text("new")
        stray, other = (tmp_path / f".store.{name}" for name in ("0123abcd", "notes"))
        stray.mkdir()
        other.mkdir()
        os.mkfifo(tmp_path / ".store.00000001")  # which would be waited for
        (tmp_path / ".store.00000002").symlink_to(other)
        clear_up(path)
        assert (folder.exists(), stray.exists(), other.exists()) == (True, not has_locks, True)
    assert _tree(path) == {"a": b"new"}
    aside = tmp_path / ".store.0123abce.old"
    path.rename(aside)  # killed between two renames
    clear_up(path)
    assert path.exists() == has_locks


def test_what_fails_while_a_file_is_written_names_that_file(tmp_path: Path) -> None:
    def fill(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        write_file(tmp_path / "answers.csv", fill)
    assert (caught.value.errno, caught.value.filename) == (
        errno.ENOSPC,
        str(tmp_path / "answers.csv"),
    )
    assert list(tmp_path.iterdir()) == []
