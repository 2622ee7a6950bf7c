"""`cxrdiag predict`: card, table, CSV, JSON and maps, for files of any name, good or bad."""

from __future__ import annotations

import csv
import math
import os
import sys
from pathlib import Path

import pytest
from PIL import Image

import cxrdiag

DIAGNOSIS = {"file", "label", "probability", "threshold", "abstained", "reason", "heatmap"}
ODD_NAMES = (
    "sp ace.jpeg",
    "lung-ü-肺.jpeg",
    ":lung:.jpeg",
    "[red]x[bold].jpeg",
    "[red]x[/].jpeg",  # a folder, on most systems: [red]x[ and in it ].jpeg
    "-dash.jpeg",
    "a'b\"c,d.jpeg",
    "no suffix",
)


@pytest.fixture
def odd(desk: Path, films: list[Path]) -> list[str]:
    for name, film in zip(ODD_NAMES, films, strict=False):
        (desk / "odd" / name).parent.mkdir(parents=True, exist_ok=True)
        (desk / "odd" / name).write_bytes(film.read_bytes())
    return [f"odd/{name}" for name in ODD_NAMES]


def test_one_file_gives_a_card(desk: Path, films: list[Path], cxrdiag_command) -> None:
    (desk / "film.jpeg").write_bytes(films[0].read_bytes())
    diagnosis = cxrdiag.load("runs/tiny").diagnose("film.jpeg")
    outcome = cxrdiag_command("predict", "film.jpeg")
    assert (outcome.code, outcome.err) == (0, "")
    lines = [line.strip("│ ") for line in outcome.out.splitlines()]
    assert lines[1:5] == [
        "film.jpeg",
        diagnosis.label,
        f"probability of pneumonia {diagnosis.probability:.3f}, "
        f"called Pneumonia from {diagnosis.threshold:.3f}",
        "model runs/tiny",
    ]
    assert lines[-1] == "For research and education. Not a medical device, not for diagnosis."


def test_many_files_give_a_table_in_their_order(
    desk: Path, odd: list[str], cxrdiag_command, monkeypatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    outcome = cxrdiag_command("predict", *odd)
    assert (outcome.code, outcome.err) == (0, "")
    rows = [line.strip("│ ") for line in outcome.out.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in row.split("│")] for row in rows]
    assert [row[0] for row in cells] == odd
    predictor = cxrdiag.load("runs/tiny")
    for name, label, shown, threshold in cells:
        diagnosis = predictor.diagnose(name)
        assert label == diagnosis.label
        assert float(shown) == pytest.approx(diagnosis.probability, abs=6e-4)
        assert float(threshold) == pytest.approx(diagnosis.threshold, abs=6e-4)
    assert f"{len(odd)} read by runs/tiny, 0 not readable" in outcome.out


def test_a_long_name_is_folded_and_not_cut_off(
    desk: Path, films: list[Path], cxrdiag_command
) -> None:
    names = [f"{'x' * 90}{n}.jpeg" for n in range(2)]
    for name in names:
        (desk / name).write_bytes(films[0].read_bytes())
    for arguments in (names, names[:1]):
        out = cxrdiag_command("predict", *arguments).out
        first_cells = [line.split("│")[1].strip() for line in out.splitlines() if "│" in line]
        assert "…" not in out
        assert all(name in "".join(first_cells) for name in arguments)


def test_json_is_one_document_with_the_documented_keys(
    desk: Path, odd: list[str], cxrdiag_command
) -> None:
    outcome = cxrdiag_command("predict", *odd, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    document = outcome.document
    assert list(document) == ["diagnoses", "errors", "model", "version", "notice"]
    assert document["errors"] == []
    assert document["model"] == "runs/tiny"
    assert document["version"] == cxrdiag.__version__
    assert "Not a medical device" in document["notice"]
    assert [d["file"] for d in document["diagnoses"]] == odd
    for diagnosis in document["diagnoses"]:
        assert set(diagnosis) == DIAGNOSIS
        called = diagnosis["probability"] >= diagnosis["threshold"]
        assert diagnosis["label"] == ("Pneumonia" if called else "Normal")
        assert (diagnosis["abstained"], diagnosis["reason"], diagnosis["heatmap"]) == (
            False,
            None,
            None,
        )
    assert len({d["probability"] for d in document["diagnoses"]}) == len(odd)


def test_a_folder_stands_for_the_images_below_it(
    desk: Path, odd: list[str], cxrdiag_command
) -> None:
    (desk / "odd" / "._sp ace.jpeg").write_bytes(b"left by an archive")
    (desk / "odd" / "notes.txt").write_text("not an X-ray")
    files = [d["file"] for d in cxrdiag_command("predict", "odd", "--json").document["diagnoses"]]
    assert files == sorted(files, key=Path)
    assert set(files) == {name for name in odd if name.endswith(".jpeg")}


def test_csv_holds_what_json_says(desk: Path, odd: list[str], cxrdiag_command) -> None:
    document = cxrdiag_command("predict", *odd, "--csv", "new/out.csv", "--json").document
    with (desk / "new" / "out.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    described = "file,label,probability,threshold,abstained,reason,heatmap,code,message"
    assert reader.fieldnames == described.split(",")
    assert [row["file"] for row in rows] == odd
    for row, diagnosis in zip(rows, document["diagnoses"], strict=True):
        assert float(row["probability"]) == diagnosis["probability"]
        assert float(row["threshold"]) == diagnosis["threshold"]
        assert (row["label"], row["abstained"]) == (diagnosis["label"], "False")


def test_a_batch_goes_on_past_bad_files(desk: Path, films: list[Path], cxrdiag_command) -> None:
    (desk / "text.jpeg").write_text("no picture")
    (desk / "cut.jpeg").write_bytes(films[0].read_bytes()[:900])
    (desk / "nothing.png").touch()
    (desk / "empty").mkdir()
    bad = ["text.jpeg", "cut.jpeg", "nothing.png", "empty", "gone.jpeg"]
    mixed = [bad[0], films[0], *bad[1:], films[1]]

    outcome = cxrdiag_command("predict", *mixed, "--json")
    assert (outcome.code, outcome.err) == (3, "")
    document = outcome.document
    assert [d["file"] for d in document["diagnoses"]] == [str(films[0]), str(films[1])]
    assert [set(error) for error in document["errors"]] == [{"file", "code", "message"}] * 5
    assert [(error["file"], error["code"]) for error in document["errors"]] == [
        ("text.jpeg", "unsupported_format"),
        ("cut.jpeg", "unreadable_image"),
        ("nothing.png", "unsupported_format"),
        ("empty", "no_images"),
        ("gone.jpeg", "unreadable_file"),
    ]

    outcome = cxrdiag_command("predict", *mixed)
    assert outcome.code == 3
    assert [line.split(":")[1].strip() for line in outcome.err.splitlines()] == bad
    assert "2 read by runs/tiny, 5 not readable" in outcome.out


def test_only_bad_files(desk: Path, cxrdiag_command) -> None:
    (desk / "text.jpeg").write_text("no picture")
    outcome = cxrdiag_command("predict", "text.jpeg")
    assert outcome.code == 3
    assert outcome.err == "error: text.jpeg: not a JPEG or PNG image\n"


def test_a_map_for_each_file_even_where_names_agree(
    desk: Path, films: list[Path], cxrdiag_command
) -> None:
    names = ["a/x.png", "b/x.png", "b/x-2.png", "c/X.jpeg", "c/y.jpeg"]
    for name, film in zip(names, films, strict=False):
        (desk / name).parent.mkdir(exist_ok=True)
        Image.open(film).save(desk / name)
    document = cxrdiag_command("predict", *names, "--heatmap", "maps", "--json").document
    maps = [d["heatmap"] for d in document["diagnoses"]]
    assert len({name.casefold() for name in maps}) == len(names)
    assert set(maps) == {f"maps/{path.name}" for path in (desk / "maps").iterdir()}
    assert (maps[0], maps[-1]) == ("maps/x.png", "maps/y.png")
    for name in maps:
        with Image.open(desk / name) as picture:
            assert (picture.format, picture.mode) == ("PNG", "RGB")


def test_maps_beside_the_films_leave_the_films_alone(
    desk: Path, films: list[Path], cxrdiag_command
) -> None:
    (desk / "films").mkdir()
    for film, name in zip(films, ("x.png", "x-2.png", "y.jpeg"), strict=False):
        Image.open(film).save(desk / "films" / name)
    before = {path: path.read_bytes() for path in (desk / "films").iterdir()}
    document = cxrdiag_command("predict", "films", "--heatmap", "films", "--json").document
    assert {path: path.read_bytes() for path in before} == before
    maps = {desk / d["heatmap"] for d in document["diagnoses"]}
    assert maps == set((desk / "films").iterdir()) - set(before)
    assert len(maps) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text there")
def test_a_name_that_is_no_text(desk: Path, films: list[Path], cxrdiag_command) -> None:
    name = os.fsdecode(b"\xff\xfe.jpeg")
    (desk / name).write_bytes(films[0].read_bytes())
    assert cxrdiag_command("predict", name).code == 0
    assert cxrdiag_command("predict", name, "gone").code == 3
    outcome = cxrdiag_command("predict", name, "--csv", "out.csv", "--json")
    assert outcome.document["diagnoses"][0]["file"] == name
    assert (desk / "out.csv").read_bytes().splitlines()[1].startswith(b"\xff\xfe.jpeg,")


def test_the_newest_run_is_taken(desk: Path, films: list[Path], cxrdiag_command) -> None:
    other = desk / "runs" / "other"
    other.mkdir()
    (other / "model.safetensors").symlink_to(desk / "runs" / "tiny" / "model.safetensors")
    (other / "model.json").write_bytes((desk / "runs" / "tiny" / "model.json").read_bytes())
    os.utime(other / "model.json", (1, 1))
    assert cxrdiag_command("predict", films[0], "--json").document["model"] == "runs/tiny"
    os.utime(other / "model.json")
    document = cxrdiag_command("predict", films[0], "--json").document
    assert document["model"] == "runs/other"
    assert math.isfinite(document["diagnoses"][0]["probability"])
