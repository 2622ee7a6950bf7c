"""What a user should know about a data set before trusting a number made from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cxrdiag.data.kaggle import Record, bare_normal_number, bare_person_number
from cxrdiag.data.split import train_test_overlap
from cxrdiag.errors import DataError

MAX_LOST = 0.05
"""Above this share of missing or unreadable files it is a broken download, not a data set."""
ENCODING = "file mode and quality"
"""The shortcut that is known only while files are decoded: a store does not keep it."""


@dataclass(frozen=True)
class Unreadable:
    """One file that is left out, and why."""

    name: str
    code: str
    message: str


def is_audited(findings: dict[str, Any]) -> bool:
    """Whether all of the audit is there; `cxrdiag audit` alone cannot look for ENCODING."""
    if "audit" not in findings:
        return False
    names = [told["name"] for told in findings["audit"]["shortcuts"]["told_by"]]
    return not names or ENCODING in names


def refuse_broken(
    source: Path, listed: int, missing: Sequence[str], unreadable: Sequence[Unreadable]
) -> None:
    """Raise DataError where more than MAX_LOST of the images are missing or unreadable."""
    lost = [*missing, *(item.name for item in unreadable)]
    if len(lost) > MAX_LOST * (listed + len(missing)):
        raise DataError(
            f"{len(missing)} images are missing and {len(unreadable)} unreadable "
            f"of {listed + len(missing)}, such as {lost[0]!r}",
            path=source,
            hint="an incomplete download? unzip it again; links to folders are not followed",
            code="incomplete_data_set",
        )


def count(records: Sequence[Record], splits: Sequence[str]) -> list[dict[str, str | int]]:
    """Images by split, label and subtype."""
    keys = ((s, r.label, r.subtype) for r, s in zip(records, splits, strict=True))
    return [
        {"split": split, "label": label, "subtype": subtype, "n": n}
        for (split, label, subtype), n in sorted(Counter(keys).items())
    ]


def find(
    records: Sequence[Record],
    sha256: Sequence[str],
    missing: Sequence[str],
    unreadable: Sequence[Unreadable],
) -> dict[str, Any]:
    """Copies, unknown patients, patients in train and test, and what was left out."""
    copies = {digest: n for digest, n in Counter(sha256).items() if n > 1}
    labels = {(digest, r.label) for digest, r in zip(sha256, records, strict=True)}
    return {
        "duplicate_groups": len(copies),
        "duplicate_files": sum(copies.values()),
        "duplicates_with_conflicting_labels": len(labels) - len(set(sha256)),
        "unknown_patient": sum(not record.patient for record in records),
        "train_test_overlap": {
            "patients": asdict(train_test_overlap(records, str)),
            "bare_person_numbers": asdict(train_test_overlap(records, bare_person_number)),
            "bare_normal_numbers": asdict(train_test_overlap(records, bare_normal_number)),
        },
        "missing": list(missing),
        "unreadable": [asdict(item) for item in unreadable],
    }
