"""From a raw folder to a store: list, decode, split by patient, write."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from cxrdiag.data.decode import FileFacts, sha256_of, write_images
from cxrdiag.data.find import STORE_FILES
from cxrdiag.data.findings import count, find, is_audited, refuse_broken
from cxrdiag.data.image import Encoding, read_bytes
from cxrdiag.data.kaggle import Record
from cxrdiag.data.layouts import read_dataset
from cxrdiag.data.split import assign_splits, drop_shared_numbers
from cxrdiag.data.store import (
    COLUMNS,
    SHEETS,
    VERSION,
    Store,
    check_findings,
    open_store,
    read_records,
)
from cxrdiag.errors import DataError
from cxrdiag.files import clear_up, named, new_folder, write_json, write_text


def prepare(
    source: Path,
    out: Path,
    *,
    size: int = 256,
    seed: int = 0,
    strict_patients: bool = False,
    audited: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Store, bool]:
    """Build the store of the data set in `source` at `out`, squares of `size` pixels.

    Returns the store and whether it was built: a store that is there already, of the same
    files and settings, is opened and returned as it is. `strict_patients` leaves out what train
    would share with test if patients were told by their bare numbers. `audited` wants the findings
    of `cxrdiag.data.audit` in it. `progress(done, total)` counts images. Raises DataError
    where the data set cannot be used, and OSError where the store cannot be written; an earlier
    store then stays as it was.
    """
    with suppress(FileNotFoundError):
        out.stat()  # which says of a loop of links, or a file on the way, what is wrong
    clear_up(out)  # first of all, whatever is wrong with the source
    records, missing = read_dataset(source)
    refuse_broken(source, len(records), missing, [])
    n_listed = len(records)
    if strict_patients:
        records = drop_shared_numbers(records)
        if len(records) < n_listed and all(record.split == "test" for record in records):
            raise DataError(
                "all films of train are of patients whose numbers test has too",
                path=source,
                hint="without --strict-patients they count as others",
                code="too_few_patients",
            )
    listing = _listing(records, missing, size, seed)
    store = _unchanged(out, records, listing)
    if store is not None and (not audited or is_audited(store.info["findings"])):
        return store, False
    _refuse_foreign(out)
    with named(out), new_folder(out) as folder:
        started_ns = folder.stat().st_mtime_ns  # by the clock of the files
        kept, facts, encodings, unreadable = write_images(
            folder / "images.npy", records, size, progress
        )
        refuse_broken(source, len(records), missing, unreadable)
        sha256 = [fact.sha256 for fact in facts]
        try:
            splits = assign_splits(kept, sha256, seed)
        except DataError as error:
            raise error.at(source) from error
        rows = _csv_text(kept, splits, facts)
        findings = find(kept, sha256, missing, unreadable)
        findings["left_out_by_strict_patients"] = n_listed - len(records)
        if audited:
            findings["audit"] = _audit(folder, rows, encodings)
        write_text(folder / "records.csv", rows)
        info = {
            "format": "cxrdiag store",
            "version": VERSION,
            "image_size": size,
            "n": len(kept),
            "counts": count(kept, splits),
            "fingerprint": hashlib.sha256(rows.encode()).hexdigest(),
            "listing": listing,
            "split_seed": seed,
            "findings": findings,
        }
        write_json(folder / "store.json", info)
        # A film that is replaced while others are decoded is newer than this.
        os.utime(folder / "store.json", ns=(started_ns, started_ns))
    return open_store(out), True


def _audit(folder: Path, rows: str, encodings: Sequence[Encoding]) -> dict[str, Any]:
    # Here, because a store that is there already needs none of it: two seconds of imports.
    from cxrdiag.data.audit.report import audit

    # A function of its own, because Windows moves no folder with a file that is mapped.
    images_NSS = np.lib.format.open_memmap(folder / "images.npy", mode="r")
    return audit(images_NSS, read_records(rows.encode()), folder, encodings)


def _listing(records: Sequence[Record], missing: Sequence[str], size: int, seed: int) -> str:
    """A digest of what is to be prepared and how, contents aside."""
    digest = hashlib.sha256(f"{VERSION} {size} {seed} {sorted(missing)}\n".encode())
    for r in records:
        line = (r.name, r.label, r.split, r.patient, r.subtype, r.path.stat().st_size)
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()


def _unchanged(out: Path, records: Sequence[Record], listing: str) -> Store | None:
    """The store at `out` if it holds just these files; a file touched since is hashed again."""
    if not (out / "store.json").is_file():
        return None
    try:
        store = open_store(out)
        check_findings(store)
    except DataError:
        return None  # damaged, or of another version: it is built anew
    if store.info.get("listing") != listing:
        return None
    built_ns = (out / "store.json").stat().st_mtime_ns
    known = dict(zip(store.records["name"], store.records["sha256"], strict=True))
    for record in records:
        stat = record.path.stat()
        # ctime too: a copy that keeps an old mtime still changes it.
        touched = max(stat.st_mtime_ns, stat.st_ctime_ns) >= built_ns
        if touched and not _has_digest(record.path, known.get(record.name)):
            return None
    return store


def _has_digest(path: Path, sha256: str | None) -> bool:
    try:
        return sha256_of(read_bytes(path)) == sha256
    except DataError:  # said where it is decoded
        return False


def _refuse_foreign(out: Path) -> None:
    """A store replaces what was at `out`: only an earlier store, or nothing, may be there."""
    if not out.exists():
        return
    inside = {path.name for path in out.iterdir()} if out.is_dir() else {out.name}
    marker = out / "store.json"
    is_store = marker.is_file() and b"cxrdiag store" in marker.read_bytes()
    ours = STORE_FILES | SHEETS if is_store or inside >= STORE_FILES else frozenset()
    other = inside - ours - {".DS_Store"}  # which a desktop leaves in any folder it shows
    if other:
        raise DataError(
            f"is there already and is more than a store: {min(other)!r}",
            path=out,
            hint="give --out a new folder; nothing was changed",
            code="not_a_store",
        )


def _csv_text(records: Sequence[Record], splits: Sequence[str], facts: Sequence[FileFacts]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for record, split, fact in zip(records, splits, facts, strict=True):
        described = (record.name, record.label, split, record.patient, record.subtype)
        writer.writerow(described + astuple(fact))
    return text.getvalue()
