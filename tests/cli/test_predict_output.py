"""`cxrdiag predict`: what is written and printed where names, disks or memory are not as usual."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cxrdiag.data.kaggle import METADATA


def test_answers_that_cannot_be_printed_are_in_the_table(
    desk: Path, films: list[Path], cxrdiag_command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("cxrdiag.cli.diagnoses.print_people", fail)
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


def test_with_json_there_is_one_document_whatever_cannot_be_written(
    desk: Path, films: list[Path], cxrdiag_command
) -> None:
    outcome = cxrdiag_command("predict", films[0], "--json", "--csv", "/dev/full")
    assert outcome.code == 1
    assert len(outcome.document["diagnoses"]) == 1
    assert outcome.document["error"]["code"] == "file_error"
    assert "No space left" in outcome.document["error"]["message"]
    outcome = cxrdiag_command("predict", films[0], "--csv", "/dev/full")
    assert (outcome.code, "probability" in outcome.out) == (1, True)
    assert outcome.err.startswith("error: /dev/full: No space left")
    (desk / "file").write_text("")
    outcome = cxrdiag_command("predict", films[0], "--json", "--csv", "file/out.csv")
    assert (outcome.code, outcome.document["error"]["path"]) == (1, str(desk / "file"))
    assert outcome.document["error"]["message"] == "Not a directory"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["models"], 1),
        (["models", "--json"], 1),
        (["--version"], 1),
        (["models", "--nope"], 2),
        (["predict", "gone", "--run", "nope", "--json"], 4),
    ],
)
def test_a_full_or_closed_output_is_no_trace(command: list[str], code: int, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    for where in (">/dev/full", ">&-"):
        done = subprocess.run(
            ["bash", "-c", f'exec "$@" {where}', "-", sys.executable, "-m", "cxrdiag", *command],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == (0 if where == ">&-" and code == 1 else code)
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
        assert where == ">&-" or "rror" in done.stderr  # a closed one is wanted so


def test_a_csv_does_not_take_the_place_of_anything(
    desk: Path, films: list[Path], cxrdiag_command
) -> None:
    (desk / "film").write_bytes(films[0].read_bytes())
    (desk / "link").symlink_to("film")
    (desk / "notes.txt").write_text("mine")
    predictions = (
        *("runs/tiny/predictions.csv", "runs/shipped/predictions.csv"),
        *("runs/shipped/predictions-val.csv", "begun/history.csv", METADATA),
    )
    (desk / "runs" / "shipped").mkdir()
    (desk / "runs" / "shipped" / "metrics-val.json").touch()
    (desk / "begun").mkdir()
    (desk / "begun" / "resume.safetensors").touch()
    for path in predictions:
        (desk / path).write_text("those of a run")
    table = "data/prepared/records.csv"
    kept = ("film", "link", "runs/tiny/model.json", "notes.txt", *predictions, table)
    for target in (*kept, "maps/film.png"):
        existed = (desk / target).exists()
        before = (desk / target).read_bytes() if existed else b""
        outcome = cxrdiag_command("predict", "film", "--heatmap", "maps", "--csv", target)
        assert (outcome.code, outcome.out) == (2, "")
        assert ("would write over" if existed else "is called as a film is") in outcome.err
        assert (desk / target).exists() == existed
        if existed:
            assert (desk / target).read_bytes() == before


@pytest.mark.parametrize("columns", ["0", "10", "40"])
def test_however_narrow_the_terminal_nothing_is_left_out(
    films: list[Path], cxrdiag_command, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    one = cxrdiag_command("predict", films[0], "--run", "shipped", "--force").out
    letters = "".join(c for c in one if c.isalnum())
    assert "modelshipped" in letters
    assert "notfordiagnosis" in letters
    several = cxrdiag_command("predict", *films[:2], "--run", "shipped", "--force").out
    cells = [line.split("│")[1].strip() for line in several.splitlines() if line.startswith("│")]
    assert "".join(cells) == "".join(map(str, films[:2]))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is none")
@pytest.mark.parametrize("how", [[], ["--json"]])
def test_a_full_disk_behind_standard_output_is_named(films: list[Path], how: list[str]) -> None:
    command = [sys.executable, "-m", "cxrdiag", "predict", str(films[0]), "--run", "shipped", *how]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"error: standard output: {os.strerror(errno.ENOSPC)}\n"
