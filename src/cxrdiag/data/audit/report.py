"""The audit of a store: its findings as JSON takes them, and sheets of the images to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxrdiag.data.audit.near_duplicates import (
    MAX_DISTANCE,
    NearDuplicates,
    find_near_duplicates,
)
from cxrdiag.data.audit.odd import find_odd
from cxrdiag.data.audit.shortcuts import (
    FACTS,
    find_shortcuts,
    rows_to_fit,
    views_without_lungs,
)
from cxrdiag.data.audit.thumbnails import look_at, write_sheet
from cxrdiag.data.image import Encoding
from cxrdiag.data.kaggle import PNEUMONIA
from cxrdiag.data.store import NEAR_SHEET, ODD_SHEET

_SHOWN = 40
"""Images on a sheet, and pairs in the findings, at most."""


def audit(
    images_NSS: NDArray[np.uint8],
    records: pd.DataFrame,
    folder: Path,
    encodings: Sequence[Encoding] = (),
) -> dict[str, Any]:
    """Audit the images of a store and its records; write the sheets, where any, into `folder`.

    `encodings` are those of the files, which a store does not keep. Shortcuts are sought in train
    and val: the classes of the test split are for `eval` to read.
    """
    looks = look_at(images_NSS)
    near = find_near_duplicates(
        looks.hashes_N4, _numbers(records["patient"]), _numbers(records["sha256"])
    )
    odd = find_odd(looks.thumbnails_NTT)
    _write_sheets(folder, images_NSS, records, near, odd)
    rows = rows_to_fit(records["split"])
    part = records.iloc[rows]
    views = views_without_lungs(
        looks.thumbnails_NTT[rows],
        looks.grays_NG[rows],
        part[FACTS].to_numpy(dtype=np.float64),
        [encodings[int(row)] for row in rows] if encodings else (),
    )
    shortcuts = find_shortcuts(
        views,
        (part["label"] == PNEUMONIA).to_numpy().astype(np.int64),
        list(part["patient"].where(part["patient"] != "", part["name"])),
    )
    return {
        "shortcuts": {"n": len(rows), "told_by": [asdict(shortcut) for shortcut in shortcuts]},
        "near_duplicates": _describe(near, records),
        "odd": {kind: list(records["name"].iloc[found]) for kind, found in odd.items()},
    }


def _numbers(names: pd.Series[str]) -> NDArray[np.int64]:
    """A number for each name, -1 for none."""
    return np.asarray(pd.factorize(names.where(names != ""))[0], dtype=np.int64)


def _describe(near: NearDuplicates, records: pd.DataFrame) -> dict[str, Any]:
    first = records.iloc[[pair.first for pair in near.pairs]].reset_index(drop=True)
    second = records.iloc[[pair.second for pair in near.pairs]].reset_index(drop=True)
    known = (first["patient"] != "") & (second["patient"] != "")
    return {
        "max_distance": MAX_DISTANCE,
        "pairs": len(near.pairs),
        "all_pairs": near.is_complete,
        "across_splits": int((first["split"] != second["split"]).sum()),
        "conflicting_labels": int((first["label"] != second["label"]).sum()),
        "of_strangers": int((known & (first["patient"] != second["patient"])).sum()),
        "strangers": near.strangers,
        "strangers_near": near.strangers_near,
        "strangers_median": near.strangers_median,
        "own_median": near.own_median,
        "nearest": [
            {"distance": pair.distance, "first": a, "second": b}
            for pair, a, b in zip(
                near.pairs[:_SHOWN], first["name"][:_SHOWN], second["name"][:_SHOWN], strict=True
            )
        ],
    }


def _write_sheets(
    folder: Path,
    images_NSS: NDArray[np.uint8],
    records: pd.DataFrame,
    near: NearDuplicates,
    odd: dict[str, list[int]],
) -> None:
    names, labels, splits = (list(records[column]) for column in ("name", "label", "split"))
    pairs = [(row, f"{p.distance} bits") for p in near.pairs for row in (p.first, p.second)]
    kinds = [(row, kind) for kind, rows in odd.items() for row in rows]
    for name, found in ((NEAR_SHEET, pairs), (ODD_SHEET, kinds)):
        (folder / name).unlink(missing_ok=True)  # that of an earlier audit
        shown = found[:_SHOWN]
        captions = [
            f"{names[row][-26:]}\n{labels[row]}, {splits[row]}, {note}" for row, note in shown
        ]
        if shown:
            write_sheet(folder / name, [images_NSS[row] for row, _ in shown], captions)
