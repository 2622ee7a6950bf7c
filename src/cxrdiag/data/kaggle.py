"""Dataset builders: a raw folder, in either Kaggle layout, becomes a list of Records.

CoronaHack (`praveengovi/coronahack-chest-xraydataset`): a metadata CSV beside an image
folder, which different unzips leave nested twice, once, or flat.
chest-xray-pneumonia (`paultimothymooney/chest-xray-pneumonia`): folders
`{train,val,test}/{NORMAL,PNEUMONIA}`.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cxrdiag.data.find import IMAGE_SUFFIXES, find_images
from cxrdiag.errors import DataError

NORMAL, PNEUMONIA = "Normal", "Pneumonia"
METADATA = "Chest_xray_Corona_Metadata.csv"

_LABELS = {"Normal": NORMAL, "Pnemonia": PNEUMONIA, "Pneumonia": PNEUMONIA}
_SPLITS = {"TRAIN": "train", "TEST": "test"}
_SUBTYPES = {"Virus": "viral", "virus": "viral", "bacteria": "bacterial"}
_COLUMNS = (
    "X_ray_image_name",
    "Label",
    "Dataset_type",
    "Label_1_Virus_category",
    "Label_2_Virus_category",
)
_PERSON = re.compile(r"(?P<number>person\d+)_(?P<kind>virus|bacteria)_")
_NORMAL_SCAN = re.compile(r"(?:NORMAL2-)?(?P<number>IM-\d+)-")


@dataclass(frozen=True)
class Record:
    """One image file and what the data set says about it."""

    name: str
    """The file's name as the metadata lists it, or its path below the data set's folder."""
    path: Path
    label: str
    """`Normal` or `Pneumonia`."""
    split: str
    """`train`, `val` or `test`, as published."""
    patient: str
    """The cautious patient key, or "" where the name tells none: ids are never invented."""
    subtype: str
    """`bacterial`, `viral`, `COVID-19`, `SARS`, ...; "" for Normal."""


def read_dataset(folder: Path) -> tuple[list[Record], list[str]]:
    """Recognise the layout of `folder` and list its images.

    Returns the records, in the data set's own order, and the names that the metadata
    lists but the folder lacks. Raises DataError when the layout is not recognised, a label
    or split is unknown (it is never guessed), or no image is there.
    """
    if not folder.is_dir():
        raise DataError(
            "no such folder",
            path=folder,
            hint="give the folder of the unzipped data set, or fetch it with --download",
            code="no_such_folder",
        )
    metadata = _find(folder, lambda path: (path / METADATA).is_file())
    if metadata is not None:
        return _read_coronahack(metadata)
    root = _find(folder, lambda path: (path / "train" / "NORMAL").is_dir())
    if root is not None:
        return _read_class_folders(root), []
    raise DataError(
        "neither the CoronaHack layout nor the chest-xray-pneumonia layout",
        path=folder,
        hint=f"expected {METADATA}, or train/NORMAL and train/PNEUMONIA",
        code="unknown_layout",
    )


def patient_of(name: str) -> str:
    """The cautious patient key of a file name: number and kind, or "" when there is none.

    >>> patient_of("person90_bacteria_443.jpeg"), patient_of("NORMAL2-IM-0381-0001.jpeg")
    ('person90_bacteria', 'NORMAL2-IM-0381')
    """
    if match := _PERSON.match(name):
        return f"{match['number']}_{match['kind']}"
    if match := _NORMAL_SCAN.match(name):
        return match[0][:-1]
    return ""


def bare_person_number(patient: str) -> str:
    """`person90` of `person90_virus` and of `person90_bacteria`; "" for other keys.

    Whether the published numbering restarts for each kind is not known for certain, so
    `prepare` counts the overlap of train and test under both readings.
    """
    match = _PERSON.match(patient + "_")
    return match["number"] if match else ""


def bare_normal_number(patient: str) -> str:
    """`IM-0381` of `IM-0381` and of `NORMAL2-IM-0381`; "" for other keys."""
    match = _NORMAL_SCAN.match(patient + "-")
    return match["number"] if match else ""


def _find(folder: Path, accept: Callable[[Path], bool]) -> Path | None:
    """The first folder, at most two levels down, that `accept` takes; shallow ones first."""
    level = [folder]
    for _ in range(3):
        for path in level:
            if accept(path):
                return path
        level = sorted(
            child
            for path in level
            for child in path.iterdir()
            if child.is_dir() and not child.name.startswith((".", "__MACOSX"))
        )
    return None


def _read_coronahack(folder: Path) -> tuple[list[Record], list[str]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in find_images(folder):
        found[path.name].append(path)
    records, missing = [], []
    seen: dict[str, int] = {}
    for row, cells in _rows(folder / METADATA):
        name = cells["X_ray_image_name"]
        where = f"{folder / METADATA}, row {row}"
        label = _known(_LABELS, cells["Label"], "Label", where)
        split = _known(_SPLITS, cells["Dataset_type"], "Dataset_type", where)
        kind = cells["Label_2_Virus_category"] or cells["Label_1_Virus_category"]
        if name in seen:
            raise DataError(
                f"{name!r} is listed twice, first in row {seen[name]}",
                path=where,
                hint="keep one of the two rows",
                code="duplicate_row",
            )
        seen[name] = row
        # Kaggle's archive has train/ and test/ folders; a flat copy has neither.
        paths = found.get(name, [])
        paths = [path for path in paths if path.parent.name.lower() == split] or paths
        if not paths:
            missing.append(name)
            continue
        subtype = _SUBTYPES.get(kind, kind)
        records.append(Record(name, paths[0], label, split, patient_of(name), subtype))
    return _not_empty(records, folder), missing


def _rows(path: Path) -> Iterable[tuple[int, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            absent = [name for name in _COLUMNS if name not in (reader.fieldnames or [])]
            if absent:
                raise DataError(
                    f"column {absent[0]!r} is missing",
                    path=path,
                    hint="take the CSV as published",
                    code="bad_metadata",
                )
            for cells in reader:
                yield reader.line_num, {name: cells[name].strip() for name in _COLUMNS}
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"not readable as UTF-8 CSV: {error}",
            path=path,
            hint="take the CSV as published",
            code="bad_metadata",
        ) from error


def _known(table: dict[str, str], value: str, column: str, where: str) -> str:
    if value not in table:
        raise DataError(
            f"{column} {value!r} is not one of {', '.join(table)}",
            path=where,
            hint="unknown values are never guessed: correct or remove the row",
            code="unknown_value",
        )
    return table[value]


def _read_class_folders(root: Path) -> list[Record]:
    records = []
    for split in ("train", "val", "test"):
        for folder, label in (("NORMAL", NORMAL), ("PNEUMONIA", PNEUMONIA)):
            for path in find_images(root / split / folder):
                match = _PERSON.match(path.name) if label == PNEUMONIA else None
                subtype = _SUBTYPES[match["kind"]] if match else ""
                name = path.relative_to(root).as_posix()
                if not name.isprintable():
                    raise DataError(
                        "a file's name that is not printable text",
                        path=path,
                        hint="rename it",
                        code="bad_name",
                    )
                records.append(Record(name, path, label, split, patient_of(path.name), subtype))
    return _not_empty(records, root)


def _not_empty(records: list[Record], folder: Path) -> list[Record]:
    if not records:
        raise DataError(
            "no image of the data set is there",
            path=folder,
            hint=f"looked for {', '.join(sorted(IMAGE_SUFFIXES))}",
            code="no_images",
        )
    return records
