"""The prepared store: images.npy (uint8, N x S x S), records.csv and store.json in one folder.

Version 1. `records.csv` has one row an image, in the order of `images.npy`:
name,label,split,patient,subtype,width,height,bytes,sha256 (width and height in pixels of the
source file). The reader refuses any other version.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxrdiag.data.kaggle import PNEUMONIA, SPLITS
from cxrdiag.errors import DataError, UsageError
from cxrdiag.files import write_json

VERSION = 1
NEAR_SHEET, ODD_SHEET = "near-duplicates.png", "odd.png"
SHEETS = frozenset({NEAR_SHEET, ODD_SHEET})
"""Pictures of what the audit found, where it found any."""
COLUMNS = ("name", "label", "split", "patient", "subtype", "width", "height", "bytes", "sha256")

_COUNTED = ("duplicate_groups", "duplicate_files", "duplicates_with_conflicting_labels",
            "unknown_patient", "left_out_by_strict_patients")  # fmt: skip
_OVERLAPS = ("patients", "bare_person_numbers", "bare_normal_numbers")
_UNREADABLE = ("name", "code", "message")
_NEAR = ("pairs", "all_pairs", "across_splits", "conflicting_labels", "of_strangers", "strangers",
         "strangers_near", "max_distance")  # fmt: skip
"""What the audit says of near-duplicates, in numbers."""
_MOST = 1e15


@dataclass(frozen=True)
class Store:
    """An opened store. Images stay on the disk until they are asked for."""

    path: Path
    images_NSS: NDArray[np.uint8]
    """Memory-mapped, read-only; 0 black to 255 white."""
    records: pd.DataFrame
    """COLUMNS, one row an image."""
    info: dict[str, Any]
    """`store.json` as it stands."""

    @property
    def image_size(self) -> int:
        """S, the side of the stored squares in pixels."""
        return int(self.images_NSS.shape[1])

    @property
    def fingerprint(self) -> str:
        """SHA-256 of records.csv: names, labels, splits, and each file's SHA-256."""
        return str(self.info["fingerprint"])

    def rows(self, split: str) -> NDArray[np.int64]:
        """Row numbers of a split. Raises DataError when the split has no image."""
        chosen: NDArray[np.bool_] = (self.records["split"] == split).to_numpy()
        rows = np.flatnonzero(chosen)
        if rows.size == 0:
            raise DataError(
                f"no image in split {split!r}",
                path=self.path,
                hint=f"the store has {', '.join(sorted(set(self.records['split'])))}"
                + ("; val is drawn from films of train" if split in ("train", "val") else ""),
                code="empty_split",
            )
        return rows

    def targets(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """1 for Pneumonia, 0 for Normal."""
        positive: NDArray[np.bool_] = (self.records["label"] == PNEUMONIA).to_numpy()
        return positive[rows].astype(np.int64)


def open_store(path: Path) -> Store:
    """Open a store. Raises DataError when it is absent, incomplete or of another version."""
    if not (path / "store.json").is_file():
        raise DataError(
            "no prepared store is there",
            path=path,
            hint="make it first: cxrdiag prepare --kaggle-dir FOLDER",
            code="no_store",
        )
    try:
        info = json.loads((path / "store.json").read_text(encoding="utf-8"))
        if info.get("version") != VERSION:
            raise DataError(
                f"store version {info.get('version')!r}, this cxrdiag reads {VERSION}",
                path=path,
                hint="prepare it again",
                code="store_version",
            )
        images = np.lib.format.open_memmap(path / "images.npy", mode="r")
        table = (path / "records.csv").read_bytes()
        if hashlib.sha256(table).hexdigest() != info.get("fingerprint"):
            raise _damaged(path, "records.csv is not the one that was prepared")
        records = read_records(table)
    except (
        OSError,
        ValueError,
        AttributeError,
        RecursionError,
        SyntaxError,
        TokenError,
        pd.errors.ParserError,
    ) as error:
        raise _damaged(path, str(error)) from error
    is_square = images.ndim == 3 and images.shape[1] == images.shape[2]
    if tuple(records.columns) != COLUMNS or not is_square or images.dtype != np.uint8:
        raise _damaged(path, "unexpected columns or array")
    if len(records) != len(images):
        raise _damaged(path, f"{len(records)} records, {len(images)} images")
    return Store(path, images, records, info)


def check_image_size(store: Store, size: int) -> None:
    """Raise DataError where a store's squares are not of the `size` that a model takes."""
    if store.image_size != size:
        raise DataError(
            f"the store has squares of {store.image_size} pixels, the model {size}",
            path=store.path,
            hint=f"prepare it with --size {size}",
            code="image_size_mismatch",
        )


def check_split(name: str) -> None:
    """Raise UsageError for a split that no store has."""
    if name not in SPLITS:
        raise UsageError(
            f"unknown split {name!r}", hint=f"one of {', '.join(SPLITS)}", code="unknown_split"
        )


def keep_findings(store: Store, findings: dict[str, Any]) -> None:
    """Write what was found later into store.json, beside what `prepare` found."""
    path = store.path / "store.json"
    built_ns = path.stat().st_mtime_ns
    write_json(path, {**store.info, "findings": findings})
    os.utime(path, ns=(built_ns, built_ns))  # by which prepare tells whether the source is newer


def check_findings(store: Store) -> None:
    """Raise DataError where store.json does not tell what `prepare` counted and found."""
    try:
        counts, findings = store.info["counts"], store.info["findings"]
        overlap = findings["train_test_overlap"]
        told = [
            *(overlap[key][name] for key in _OVERLAPS for name in ("patients", "test_images")),
            *(findings[name] for name in _COUNTED),
            *(row["n"] for row in counts),
        ]
        words = [row[name] for row in counts for name in ("split", "label", "subtype")]
        words += findings["missing"]
        words += [left_out[name] for left_out in findings["unreadable"] for name in _UNREADABLE]
        audit = findings.get("audit")
        if audit is not None:
            near, odd = audit["near_duplicates"], audit["odd"]
            told += [near[name] for name in _NEAR]
            told += [near[name] or 0 for name in ("strangers_median", "own_median")]
            told += [len(names) for names in odd.values()]
            shortcuts = audit["shortcuts"]["told_by"]
            told += [shortcut[name] for shortcut in shortcuts for name in ("auroc", "sd")]
            words += [shortcut["name"] for shortcut in shortcuts]
        # Neither NaN nor a number that no count, and no share, reaches.
        if not all(isinstance(number, int | float) and abs(number) < _MOST for number in told):
            raise TypeError("a count is no number")
        if not all(isinstance(word, str) for word in words):
            raise TypeError("a name is no text")
    except (KeyError, TypeError, AttributeError) as error:
        raise _damaged(store.path, f"its findings: {error!r}") from error


def read_records(table: bytes) -> pd.DataFrame:
    """The rows of a records.csv."""
    return pd.read_csv(
        io.BytesIO(table), keep_default_na=False, dtype=dict.fromkeys(COLUMNS[:5], str)
    )


def _damaged(path: Path, why: str) -> DataError:
    return DataError(
        f"damaged store: {why}", path=path, hint="prepare it again", code="damaged_store"
    )
