"""`cxrdiag predict`: what is written and printed where names, disks or memory are not as usual."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest


def test_answers_that_cannot_be_printed_are_in_the_table(
    desk: Path, films: list[Path], cxrdiag_command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("cxrdiag.cli.predict._print_people", fail)
    assert cxrdiag_command("predict", *films[:3], "--csv", "out.csv").code == 1
    assert len((desk / "out.csv").read_text(encoding="utf-8").splitlines()) == 4


def test_a_name_steers_no_terminal(desk: Path, films: list[Path], cxrdiag_command) -> None:
    name = "\x1b[31mred\x1b[2J é.jpeg"
    (desk / name).write_bytes(films[0].read_bytes())
    for files in ((name,), (name, "gone\x07"), (films[1], name)):
        outcome = cxrdiag_command("predict", *files)
        said = outcome.out + outcome.err
        assert "\\x1b[31mred\\x1b[2J é.jpeg" in said
        assert "\x1b[31m" not in said
        assert "\x07" not in said
    outcome = cxrdiag_command("predict", name, "--csv", f"{name}.jpeg")
    assert outcome.err.startswith("error: \\x1b[31mred")


def test_too_little_memory_is_one_line(
    desk: Path, films: list[Path], cxrdiag_command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] can't allocate memory"),
    ):

        def fail(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr("cxrdiag.inference.predictor.read_picture", fail)
        outcome = cxrdiag_command("predict", films[0], "--json")
        assert (outcome.code, outcome.document["error"]["code"]) == (1, "out_of_memory")


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text there")
def test_a_name_that_is_no_text(desk: Path, films: list[Path], cxrdiag_command) -> None:
    name = os.fsdecode(b"\xff\xfe.jpeg")
    (desk / name).write_bytes(films[0].read_bytes())
    assert cxrdiag_command("predict", name).code == 0
    assert cxrdiag_command("predict", name, "gone").code == 3
    outcome = cxrdiag_command("predict", name, "--csv", "out.csv", "--json")
    assert outcome.document["diagnoses"][0]["file"] == name
    assert (desk / "out.csv").read_bytes().splitlines()[1].startswith(b"\xff\xfe.jpeg,")


def test_a_csv_does_not_take_the_place_of_anything(
    desk: Path, films: list[Path], cxrdiag_command
) -> None:
    (desk / "film").write_bytes(films[0].read_bytes())
    (desk / "link").symlink_to("film")
    for target in ("film", "link", "maps/film.png", "runs/tiny/model.json"):
        existed = (desk / target).exists()
        before = (desk / target).read_bytes() if existed else b""
        outcome = cxrdiag_command("predict", "film", "--heatmap", "maps", "--csv", target)
        assert (outcome.code, outcome.out) == (2, "")
        assert ("would write over" if existed else "is called as a film is") in outcome.err
        assert (desk / target).exists() == existed
        if existed:
            assert (desk / target).read_bytes() == before
