"""A raw folder, in either Kaggle layout, becomes a list of Records; nothing is guessed.

CoronaHack (`praveengovi/coronahack-chest-xraydataset`): a metadata CSV beside an image
folder, which different unzips leave nested twice, once, or flat.
chest-xray-pneumonia (`paultimothymooney/chest-xray-pneumonia`): folders
`{train,val,test}/{NORMAL,PNEUMONIA}`.
"""

from __future__ import annotations

import contextlib
import filecmp
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from unicodedata import normalize

from cxrdiag.data.find import IMAGE_SUFFIXES, find_images, find_lost, leads_out
from cxrdiag.data.kaggle import METADATA, NORMAL, PNEUMONIA, SPLITS, Record, patient_of
from cxrdiag.data.table import Row, quoted, read_rows
from cxrdiag.errors import DataError

_NAME, _LABEL, _SPLIT = "X_ray_image_name", "Label", "Dataset_type"
_KIND, _CAUSE = "Label_1_Virus_category", "Label_2_Virus_category"
_LABELS = {"Normal": NORMAL, "Pnemonia": PNEUMONIA, "Pneumonia": PNEUMONIA}
_SPLITS = {"TRAIN": "train", "TEST": "test"}
_SUBTYPES = {"Virus": "viral", "virus": "viral", "bacteria": "bacterial"}
_FOLDERS = {"NORMAL": NORMAL, "PNEUMONIA": PNEUMONIA}
_PLAIN = re.compile(r"[A-Za-z0-9][\w .,:;&%'()/+-]{0,39}", re.ASCII)
"""What may stand for a subtype as it is; no formula of a spreadsheet, no lookalike letters."""
_Seen = tuple[int, str, str]  # the line of a row, its label and its split
_HINT = "unknown values are never guessed: correct or remove it"


def read_dataset(folder: Path) -> tuple[list[Record], list[str]]:
    """Recognise the layout of `folder` and list its images.

    Returns the records, in the data set's own order, and the names of those that are missing: that
    the metadata lists but the folder lacks, or that are no file.

    Labels, splits and columns are taken in the published spelling alone, with any spaces around
    them; names in composed or decomposed Unicode, whichever of the two a system has made of them.
    Films of test alone are taken where none to train on are found. Of two files of one name the
    one in the folder of its split is meant. Files that the metadata does not list are left out, as
    are hidden ones and folders that are links.

    Raises DataError, which names file, row and column where it is about one, when the layout is not
    recognised or both are there, a label or split is unknown (it is never guessed), two rows or
    files contradict each other, a name is a path, an image is a link out of `folder` (nothing
    outside is read), or no image is there.
    """
    if not folder.is_dir():
        raise DataError(
            "a file, and not a folder" if folder.is_file() else "no such folder",
            path=folder,
            hint="give the folder of the unzipped data set, or fetch it with --download",
            code="no_such_folder",
        )
    metadata = _find(folder, lambda path: (path / METADATA).is_file())
    root = _find(folder, lambda path: (path / "train" / "NORMAL").is_dir())
    if metadata is None and root is None:
        root = _find(folder, _has_films_to_test_by)
    if metadata is not None and root is not None:
        raise DataError(
            "two data sets, one in either layout",
            path=folder,
            hint=f"give {metadata} or {root}",
            code="several_data_sets",
        )
    if metadata is not None:
        return _read_coronahack(metadata, folder)
    if root is not None:
        return _read_class_folders(root, folder)
    too_deep = (folder / "NORMAL").is_dir() and folder.resolve().name in SPLITS
    raise DataError(
        "neither the CoronaHack layout nor the chest-xray-pneumonia layout",
        path=folder,
        hint="give the folder that this one lies in"
        if too_deep
        else f"expected a file {METADATA}, or folders train/NORMAL and train/PNEUMONIA, or "
        "test/NORMAL and test/PNEUMONIA; folders that are links are not looked into",
        code="unknown_layout",
    )


def _has_films_to_test_by(root: Path) -> bool:
    folders = [root / "test" / name for name in _FOLDERS]
    return any(folder.is_dir() and any(folder.iterdir()) for folder in folders)


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
            if child.is_dir() and not child.is_symlink() and child.name.isprintable()
            if not child.name.startswith((".", "__MACOSX"))
        )
    return None


def _read_coronahack(folder: Path, source: Path) -> tuple[list[Record], list[str]]:
    metadata = folder / METADATA
    _refuse_outside(metadata, source)
    found: dict[str, list[Path]] = defaultdict(list)
    composed: dict[str, list[Path]] = defaultdict(list)
    for path in find_images(folder, source):
        found[path.name].append(path)
        composed[normalize("NFC", path.name)].append(path)
    records, missing = [], []
    seen: dict[str | Path, _Seen] = {}
    for row in read_rows(metadata, (_NAME, _LABEL, _SPLIT, _KIND, _CAUSE)):
        name = row.file_name(_NAME)
        label, split = row.one_of(_LABELS, _LABEL), row.one_of(_SPLITS, _SPLIT)
        subtype = _subtype(row, label)
        _refuse_again(name, row, seen)
        paths = found.get(name) or composed.get(normalize("NFC", name), [])
        # Kaggle's archive has train/ and test/ folders; a flat copy has neither.
        paths = [path for path in paths if path.parent.name.lower() == split] or paths
        if not paths:
            missing.append(name)
            continue
        for path in filter(Path.is_symlink, paths):
            _refuse_outside(path, source, row)
        _refuse_ambiguous(paths, row)
        _refuse_again(paths[0], row, seen)
        records.append(Record(name, paths[0], label, split, patient_of(name), subtype))
    return _not_empty(records, folder), missing


def _subtype(row: Row, label: str) -> str:
    for column in (_CAUSE, _KIND):
        value = row.cells[column]
        if value and label == NORMAL:
            message, code = f"{quoted(value)} of an image that is {NORMAL}", "conflicting_labels"
            raise row.error(column, message, hint="correct or remove the row", code=code)
        if value and not _PLAIN.fullmatch(value):
            message = f"{quoted(value)} is no cause"
            hint = "40 characters at most: letters without accents, digits, spaces, .,:;&%'()/+-_"
            raise row.error(column, message, hint=hint, code="unknown_value")
    value = row.cells[_CAUSE] or row.cells[_KIND]
    return _SUBTYPES.get(value, value)


def _refuse_again(key: str | Path, row: Row, seen: dict[str | Path, _Seen]) -> None:
    """Raise DataError where an earlier row has the same name, or meant the same file."""
    said = (row.cells[_LABEL], row.cells[_SPLIT])
    line, *earlier = seen.setdefault(key, (row.line, *said))
    if line == row.line:
        return
    agrees = tuple(earlier) == said
    raise row.error(
        _NAME,
        f"{quoted(row.cells[_NAME])} is listed twice, first in row {line}"
        + ("" if agrees else f" as {', '.join(earlier)}, here as {', '.join(said)}"),
        hint=f"keep {'one of the two rows' if agrees else 'the row that is right'}",
        code="duplicate_row",
    )


def _refuse_ambiguous(paths: list[Path], row: Row) -> None:
    for other in paths[1:]:
        if not filecmp.cmp(paths[0], other, shallow=False):
            raise row.error(
                _NAME,
                f"two different files are called {quoted(row.cells[_NAME])}, in "
                f"{quoted(str(paths[0].parent))} and {quoted(str(other.parent))}",
                hint="remove the one that is not meant",
                code="ambiguous_name",
            )


def _read_class_folders(root: Path, source: Path) -> tuple[list[Record], list[str]]:
    _refuse_unknown_splits(root)
    records, missing = [], []
    for split in SPLITS:
        _refuse_outside(root / split, source)
        for name in _FOLDERS:
            _refuse_outside(root / split / name, source)
        _refuse_unlabelled(root / split, source)
        for folder, label in _FOLDERS.items():
            missing += [_name_in(root, path) for path in find_lost(root / split / folder)]
            for path in find_images(root / split / folder, source):
                name, patient = _name_in(root, path), patient_of(path.name)
                if path.is_symlink():
                    _refuse_outside(path, source)
                kind = "" if label == NORMAL else patient.rpartition("_")[2]
                records.append(Record(name, path, label, split, patient, _SUBTYPES.get(kind, "")))
    return _not_empty(records, root), missing


def _name_in(root: Path, path: Path) -> str:
    name = path.relative_to(root).as_posix()
    if not name.isprintable():
        message = f"{quoted(name)}, the name of a file in it, is not printable text"
        raise DataError(message, path=root, hint="rename the file", code="bad_name")
    return name


def _refuse_unknown_splits(root: Path) -> None:
    for folder in sorted(root.iterdir()):
        hidden = folder.name.startswith(".") or folder.is_symlink()
        if hidden or folder.name in SPLITS or not folder.is_dir():
            continue
        inside: set[str] = set()
        with contextlib.suppress(PermissionError):  # as lost+found may be
            inside = {path.name.upper() for path in folder.iterdir() if path.is_dir()}
        if folder.name.lower() in SPLITS or inside & _FOLDERS.keys():
            message = f"{quoted(folder.name)} is not one of {', '.join(SPLITS)}"
            raise DataError(message, path=root, hint=_HINT, code="unknown_value")


def _refuse_unlabelled(folder: Path, source: Path) -> None:
    for path in find_images(folder, source):
        name = path.relative_to(folder).parts[0]
        if name not in _FOLDERS:
            message = f"{quoted(name)} is in neither of {', '.join(_FOLDERS)}"
            raise DataError(message, path=folder, hint=_HINT, code="unknown_value")


def _refuse_outside(path: Path, source: Path, row: Row | None = None) -> None:
    """Raise DataError where `path` is, or lies behind, a link that leads out of `source`."""
    if not leads_out(path, source):
        return
    message = f"{quoted(path.name)} is a link out of the data set's folder"
    hint = "copy in what it leads to, or name the folder that it leads to; nothing outside is read"
    if row is not None:
        raise row.error(_NAME, message, hint=hint, code="outside_folder")
    raise DataError(message, path=path.parent, hint=hint, code="outside_folder")


def _not_empty(records: list[Record], folder: Path) -> list[Record]:
    if not records:
        looked_for = ", ".join(sorted(IMAGE_SUFFIXES))
        raise DataError(
            "no image of the data set is there",
            path=folder,
            hint=f"looked for {looked_for}; folders that are links are not looked into",
            code="no_images",
        )
    return records
