"""Both Kaggle layouts, however they were unzipped, become the same records; nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from cxrdiag.data.kaggle import METADATA, Record
from cxrdiag.data.layouts import read_dataset
from cxrdiag.errors import DataError

_NAME = "X_ray_image_name"
_CAUSE, _KIND = "Label_2_Virus_category", "Label_1_Virus_category"
HEADER = ",X_ray_image_name,Label,Dataset_type,Label_2_Virus_category,Label_1_Virus_category"
ROWS = [
    "0,IM-0128-0001.jpeg,Normal,TRAIN,,",
    "1,person3_virus_15.jpeg,Pnemonia,TRAIN,,Virus",
    "2,person3_bacteria_10.jpeg,Pnemonia,TEST,,bacteria",
    "3,covid one.PNG,Pnemonia,TRAIN,COVID-19,Virus",
    "4,NORMAL2-IM-0381-0001.jpeg,Normal,TEST,,",
    "5,ards.png,Pneumonia,TRAIN,ARDS,Stress-Smoking",
]
# name, label, split, patient, subtype
READ = [
    ("IM-0128-0001.jpeg", "Normal", "train", "IM-0128", ""),
    ("person3_virus_15.jpeg", "Pneumonia", "train", "person3_virus", "viral"),
    ("person3_bacteria_10.jpeg", "Pneumonia", "test", "person3_bacteria", "bacterial"),
    ("covid one.PNG", "Pneumonia", "train", "", "COVID-19"),
    ("NORMAL2-IM-0381-0001.jpeg", "Normal", "test", "NORMAL2-IM-0381", ""),
    ("ards.png", "Pneumonia", "train", "", "ARDS"),
]
NESTED = "Coronahack-Chest-XRay-Dataset/Coronahack-Chest-XRay-Dataset"
ENCODING = "utf-8"


def coronahack(
    root: Path, rows: list[str], images: str = NESTED, *, flat: bool = False, header: str = HEADER
) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    text = "\n".join([header, *rows]) + "\n"
    (root / METADATA).write_text(text, encoding=ENCODING)
    for row in rows:
        cells = row.split(",")
        image(root / images / ("" if flat else cells[3].lower()) / cells[1])
    return root


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4)).save(path)


def facts(records: list[Record]) -> list[tuple[str, str, str, str, str]]:
    return [(r.name, r.label, r.split, r.patient, r.subtype) for r in records]


def refused(root: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        read_dataset(root)
    return caught.value


@pytest.mark.parametrize("above", ["", "archive", "archive/coronahack"])
@pytest.mark.parametrize(
    ("images", "flat"),
    [(NESTED, False), ("Coronahack-Chest-XRay-Dataset", False), ("", False), ("", True)],
)
def test_coronahack_is_read_however_it_was_unzipped(
    tmp_path: Path, above: str, images: str, flat: bool
) -> None:
    coronahack(tmp_path / above, ROWS, images, flat=flat)
    image(tmp_path / above / images / "train" / "unlisted.jpeg")
    image(tmp_path / "__MACOSX" / "train" / "._ards.png")
    records, missing = read_dataset(tmp_path)
    assert facts(records) == READ
    assert missing == []
    assert all(record.path.name == record.name for record in records)


def test_a_name_in_both_folders_is_the_one_of_its_split(tmp_path: Path) -> None:
    coronahack(tmp_path, ROWS)
    image(tmp_path / NESTED / "test" / "IM-0128-0001.jpeg")
    image(tmp_path / NESTED / "train" / "person3_bacteria_10.jpeg")
    records, _ = read_dataset(tmp_path)
    assert [record.path.parent.name for record in records] == [record.split for record in records]


def test_missing_files_are_listed(tmp_path: Path) -> None:
    coronahack(tmp_path, ROWS)
    (tmp_path / NESTED / "train" / "person3_virus_15.jpeg").unlink()
    linked = tmp_path / NESTED / "train" / "ards.png"
    linked.unlink()
    linked.symlink_to(tmp_path / "nowhere.png")
    records, missing = read_dataset(tmp_path)
    assert missing == ["person3_virus_15.jpeg", "ards.png"]
    assert facts(records) == [row for row in READ if row[0] not in missing]


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    coronahack(tmp_path, ROWS)
    text = (tmp_path / METADATA).read_bytes()
    (tmp_path / METADATA).write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
    assert facts(read_dataset(tmp_path)[0]) == READ


@pytest.mark.parametrize(
    ("row", "column", "code", "said"),
    [
        ("6,x.png,Pneumona,TRAIN,,", "Label", "unknown_value", "'Pneumona' is not one of Normal"),
        ("6,x.png,,TRAIN,,", "Label", "unknown_value", "'' is not one of"),
        ("6,x.png,normal,TRAIN,,", "Label", "unknown_value", "'normal' is not one of"),
        ("6,x.png,Normal,VALID,,", "Dataset_type", "unknown_value", "'VALID' is not one of TRAIN"),
        ("6,x.png,Normal", "Dataset_type", "unknown_value", "'' is not one of"),
        ("6,x.png,Normal,TRAIN,COVID-19,", _CAUSE, "conflicting_labels", "'COVID-19' of an image"),
        ("6,x.png,Pnemonia,TRAIN,,=cmd()", _KIND, "unknown_value", "'=cmd()' is no cause"),
        ("6,../x.png,Normal,TRAIN,,", _NAME, "bad_name", "'../x.png' is a path"),
        ("6,,Normal,TRAIN,,", _NAME, "bad_name", "'' is no name"),
        (
            "6,ards.png,Pneumonia,TRAIN,,", _NAME, "duplicate_row",
            "'ards.png' is listed twice, first in row 7",
        ),
        (
            "6,ards.png,Normal,TEST,,", _NAME, "duplicate_row",
            "'ards.png' is listed twice, first in row 7 as Pneumonia, TRAIN, here as Normal, TEST",
        ),
    ],
)  # fmt: skip
def test_a_row_that_says_nothing_certain_is_refused(
    tmp_path: Path, row: str, column: str, code: str, said: str
) -> None:
    coronahack(tmp_path, ROWS)
    with (tmp_path / METADATA).open("a") as file:
        file.write(row + "\n")
    error = refused(tmp_path)
    assert error.code == code
    assert error.message.startswith(said)
    assert str(error.path) == f"{tmp_path / METADATA}, row 8, column {column}"
    assert error.hint


@pytest.mark.parametrize("column", HEADER.split(",")[1:])
def test_a_missing_column_is_refused(tmp_path: Path, column: str) -> None:
    coronahack(tmp_path, ROWS, header=HEADER.replace(column, "other"))
    error = refused(tmp_path)
    assert error.code == "bad_metadata"
    assert str(error.path) == f"{tmp_path / METADATA}, row 1, column {column}"
    assert error.message == "there is no such column"


@pytest.mark.parametrize("text", [b"", b"\xff\xfe\x00garbage", b"\x89PNG\r\n\x1a\n"])
def test_metadata_that_is_no_csv_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / METADATA).write_bytes(text)
    assert refused(tmp_path).code == "bad_metadata"


def test_a_folder_of_neither_layout_is_refused(tmp_path: Path) -> None:
    image(tmp_path / "scan.png")
    assert (refused(tmp_path).code, refused(tmp_path).path) == ("unknown_layout", tmp_path)
    absent = tmp_path / "absent"
    assert (refused(absent).code, refused(absent).path) == ("no_such_folder", absent)
    assert refused(tmp_path / "scan.png").code == "no_such_folder"
    assert "a file, and not a folder" in refused(tmp_path / "scan.png").message


def test_a_folder_of_both_layouts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "corona").mkdir()
    coronahack(tmp_path / "corona", [])
    (tmp_path / "kermany" / "train" / "NORMAL").mkdir(parents=True)
    error = refused(tmp_path)
    assert error.code == "several_data_sets"
    assert error.hint == f"give {tmp_path / 'corona'} or {tmp_path / 'kermany'}"


def test_a_folder_too_deep_is_told_which_is_meant(tmp_path: Path) -> None:
    (tmp_path / "train" / "NORMAL").mkdir(parents=True)
    assert refused(tmp_path / "train").hint == "give the folder that this one lies in"


def test_metadata_without_any_image_is_refused(tmp_path: Path) -> None:
    coronahack(tmp_path, [])
    assert refused(tmp_path).code == "no_images"
    (tmp_path / METADATA).write_text("\n".join([HEADER, *ROWS]))
    assert refused(tmp_path).code == "no_images"


@pytest.mark.parametrize("above", ["", "chest_xray", "archive/chest_xray"])
def test_class_folders_are_read_however_they_were_unzipped(tmp_path: Path, above: str) -> None:
    names = [
        "train/NORMAL/IM-0115-0001.jpeg",
        "train/NORMAL/person7_virus_1.jpeg",
        "train/PNEUMONIA/person1_bacteria_1.jpeg",
        "train/PNEUMONIA/person1_virus_6.jpeg",
        "train/PNEUMONIA/scan.jpeg",
        "val/NORMAL/NORMAL2-IM-1427-0001.jpeg",
        "test/PNEUMONIA/person80_virus_9.jpeg",
    ]
    for name in [*names, "train/NORMAL/._IM-0115-0001.jpeg"]:
        image(tmp_path / above / name)
    (tmp_path / above / "train" / "NORMAL" / ".DS_Store").write_bytes(b"")
    records, missing = read_dataset(tmp_path)
    assert missing == []
    assert facts(records) == [
        (names[0], "Normal", "train", "IM-0115", ""),
        (names[1], "Normal", "train", "person7_virus", ""),
        (names[2], "Pneumonia", "train", "person1_bacteria", "bacterial"),
        (names[3], "Pneumonia", "train", "person1_virus", "viral"),
        (names[4], "Pneumonia", "train", "", ""),
        (names[5], "Normal", "val", "NORMAL2-IM-1427", ""),
        (names[6], "Pneumonia", "test", "person80_virus", "viral"),
    ]


def test_empty_class_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train" / "NORMAL").mkdir(parents=True)
    assert refused(tmp_path).code == "no_images"


def test_films_to_test_by_are_taken_only_where_there_are_none_to_train_on(tmp_path: Path) -> None:
    for label in ("NORMAL", "PNEUMONIA"):
        image(tmp_path / "a" / "test" / label / "t.png")
        (tmp_path / "test" / label).mkdir(parents=True)  # empty
    records, _ = read_dataset(tmp_path)
    assert [r.name for r in records] == ["test/NORMAL/t.png", "test/PNEUMONIA/t.png"]
    image(tmp_path / "b" / "train" / "NORMAL" / "n.png")
    records, _ = read_dataset(tmp_path)
    assert [r.name for r in records] == ["train/NORMAL/n.png"]
