"""Which files of a folder are images, and what is said of folders that cannot be listed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cxrdiag.data.find import MAP_MARK, find_images
from cxrdiag.data.image import read_image
from cxrdiag.errors import DataError
from cxrdiag.inference.paths import expand

GRAY = np.random.default_rng(0).integers(0, 256, (12, 12), dtype=np.uint8)


def test_images_are_found_sorted_whatever_the_case_of_their_suffix(tmp_path: Path) -> None:
    wanted = ["a/b/x.JPEG", "a/y.png", "b.jpg", "c.PNG", "scan.DCM", "scan.tif"]
    for name in [*wanted, "a/._y.png", ".hidden.png", "notes.txt", "jpeg"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "folder.png").mkdir()
    assert [p.relative_to(tmp_path).as_posix() for p in find_images(tmp_path)] == wanted


def test_dicom_files_are_found_that_have_no_suffix_or_a_number_for_one(tmp_path: Path) -> None:
    dicom = bytes(128) + b"DICM"
    for name in ("IM0001", "1.2.840.10008.77", "DICM.txt", "1.2.840.x7"):
        (tmp_path / name).write_bytes(dicom)
    (tmp_path / "IM0002").write_bytes(bytes(132))
    assert [p.name for p in find_images(tmp_path)] == ["1.2.840.10008.77", "IM0001"]


def test_activation_maps_are_not_among_a_folders_images(tmp_path: Path) -> None:
    marked, software = PngInfo(), PngInfo()
    marked.add_text(*MAP_MARK)
    software.add_text("Software", "another")
    folder = tmp_path / "folder"
    folder.mkdir()
    for path, info in (
        (folder / "map.png", marked),
        (folder / "a.png", software),
        (tmp_path / "elsewhere.png", marked),
    ):
        Image.fromarray(GRAY).save(path, pnginfo=info)
    assert [p.name for p in find_images(folder)] == ["a.png"]
    # What a link leads to out of a data set is not looked into.
    (folder / "link.png").symlink_to(tmp_path / "elsewhere.png")
    assert [p.name for p in find_images(folder, inside=folder)] == ["a.png", "link.png"]
    with pytest.raises(DataError, match="an activation map") as e:
        read_image(folder / "map.png", 16)
    assert e.value.code == "not_a_radiograph"


def test_a_folder_that_cannot_be_listed_is_not_an_empty_one(tmp_path: Path) -> None:
    assert find_images(tmp_path / "absent") == []
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(DataError) as e:
        find_images(file)
    assert (e.value.code, str(e.value.path)) == ("unreadable_folder", str(file))


def test_a_folder_below_that_cannot_be_listed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(GRAY).save(tmp_path / "a.png")
    closed = tmp_path / "lost+found"
    closed.mkdir()
    scandir = os.scandir

    def refuse(folder: str) -> object:
        if Path(folder) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match="Permission denied") as e:
        find_images(tmp_path)
    assert e.value.path == str(closed)
    unlisted: list[Path] = []
    assert find_images(tmp_path, unlisted=unlisted) == [tmp_path / "a.png"]
    assert unlisted == [closed]
    assert expand([tmp_path]) == [tmp_path / "a.png", closed]


def test_the_index_of_a_disc_is_not_among_its_images(tmp_path: Path) -> None:
    for name in ("DICOMDIR", "IM1"):
        (tmp_path / name).write_bytes(bytes(128) + b"DICM")
    assert find_images(tmp_path) == [tmp_path / "IM1"]
