"""`cxrdiag predict --heatmap`: a map for each film, in no film's place and never taken for one."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from PIL import Image


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


def test_a_map_is_no_film(desk: Path, films: list[Path], cxrdiag_command) -> None:
    (desk / "films").mkdir()
    film = Path(shutil.copy(films[0], desk / "films" / "film.png"))
    for _ in range(2):
        outcome = cxrdiag_command("predict", "films", "--heatmap", "films", "--json")
        assert (outcome.code, len(outcome.document["diagnoses"])) == (0, 1)
        assert sorted((desk / "films").iterdir()) == [desk / "films/film-2.png", film]
    map_ = desk / "films" / "film-2.png"
    outcome = cxrdiag_command("predict", map_, "--force", "--json")
    (error,) = outcome.document["errors"]
    assert (outcome.code, error["file"], error["code"]) == (
        3,
        str(map_),
        "not_a_radiograph",
    )


@pytest.mark.parametrize("how", [(), ("--anonymous",)])
def test_no_map_takes_the_place_of_a_film_that_was_not_named(
    desk: Path, films: list[Path], cxrdiag_command, how: tuple[str, ...]
) -> None:
    (desk / "films").mkdir()
    names = ["a", "a-2", hashlib.sha256(films[0].read_bytes()).hexdigest()[:16]]
    others = [Path(shutil.copy(films[0], desk / "films" / f"{name}.png")) for name in names]
    film = Path(shutil.copy(films[0], desk / "a.png"))
    before = {path: path.read_bytes() for path in others}
    for _ in range(2):
        assert cxrdiag_command("predict", film, "--heatmap", "films", *how).code == 0
        assert {path: path.read_bytes() for path in others} == before
        assert len(list((desk / "films").iterdir())) == len(others) + 1


def test_maps_go_into_a_folder_and_not_into_a_file(
    desk: Path, films: list[Path], cxrdiag_command
) -> None:
    outcome = cxrdiag_command("predict", films[0], "--heatmap", "maps/a film.png")
    assert (outcome.code, outcome.out) == (2, "")
    assert "--heatmap takes a folder" in outcome.err
    assert "--heatmap 'maps/a film-maps'" in outcome.err
    assert not (desk / "maps").exists()
    (desk / "file").touch()
    assert "--heatmap file-maps" in cxrdiag_command("predict", films[0], "--heatmap", "file").err
    (desk / "odd.png").mkdir()
    assert cxrdiag_command("predict", films[0], "--heatmap", "odd.png").code == 0


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


def test_a_map_of_a_film_with_a_long_name(desk: Path, films: list[Path], cxrdiag_command) -> None:
    name = "x" * 245 + ".jpeg"
    (desk / name).write_bytes(films[0].read_bytes())
    (found,) = cxrdiag_command("predict", name, "--heatmap", "m", "--json").document["diagnoses"]
    assert (desk / found["heatmap"]).is_file()


def test_dicom_files_whose_names_end_in_numbers_have_maps_of_their_whole_names(
    desk: Path, films: list[Path], cxrdiag_command
) -> None:
    names = ["1.2.840.113619.2.17", "1.2.840.113619.2.18"]
    for name, film in zip(names, films, strict=False):
        shutil.copy(film, desk / name)
    outcome = cxrdiag_command("predict", *names, "--heatmap", "m")
    assert sorted(path.name for path in (desk / "m").iterdir()) == [f"{n}.png" for n in names]
    assert "activation maps in m" in outcome.out


def test_a_map_that_cannot_be_written_is_told_after_the_answers(
    desk: Path, films: list[Path], cxrdiag_command
) -> None:
    name = "x" * 253
    (desk / name).write_bytes(films[0].read_bytes())
    command = ("predict", name, films[1], "--run", "shipped", "--force", "--heatmap", "m")
    outcome = cxrdiag_command(*command, "--csv", "out.csv", "--json")
    document = outcome.document
    assert (outcome.code, document["error"]["code"]) == (1, "file_error")
    assert [d["heatmap"] for d in document["diagnoses"]] == [None, f"m/{films[1].stem}.png"]
    assert all(d["label"] for d in document["diagnoses"])
    assert len((desk / "out.csv").read_text(encoding="utf-8").splitlines()) == 3
    outcome = cxrdiag_command(*command)
    assert outcome.code == 1
    assert films[1].name in outcome.out.replace("\n", "")
    assert outcome.err.startswith("error: m: 1 of the activation maps could not be written")
    if Path("/dev/full").exists():
        said = cxrdiag_command(*command, "--csv", "/dev/full").err.splitlines()
        assert [line.split(":")[0] for line in said] == ["warning", "error"]


def test_the_name_of_a_film_without_a_map_is_one_line(
    desk: Path, films: list[Path], cxrdiag_command
) -> None:
    name = "a\nerror: " + "x" * 244
    (desk / name).write_bytes(films[0].read_bytes())
    outcome = cxrdiag_command("predict", name, "--run", "shipped", "--force", "--heatmap", "m")
    assert outcome.code == 1
    assert [line for line in outcome.err.splitlines() if line.startswith("error")] == [
        outcome.err.rstrip("\n")
    ]


def test_a_folder_of_maps_that_cannot_be_is_told_before_the_work(
    desk: Path, films: list[Path], cxrdiag_command
) -> None:
    (desk / "file").touch()
    outcome = cxrdiag_command("predict", films[0], "--heatmap", "file/maps", "--json")
    assert (outcome.code, outcome.document["error"]["code"]) == (1, "file_error")
    assert set(outcome.document) == {"error"}  # no answer
    (desk / "maps" / "map.png").mkdir(parents=True)
    assert cxrdiag_command("predict", films[0], "--heatmap", "maps").code == 0
