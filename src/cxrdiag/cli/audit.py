"""`cxrdiag audit`: what in a prepared data set may mislead a network, or who reads its results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cxrdiag.cli.options import STORE, Data, Json


def audit(data: Data = STORE, json: Json = False) -> None:
    """Show what may mislead a network: shortcuts to the class, near-duplicates, odd images.

    `prepare` has sought them; of a store that was prepared with --no-audit they are sought now,
    but for how the files were stored.
    """
    from cxrdiag.cli.console import print_json
    from cxrdiag.data.audit.report import audit as look
    from cxrdiag.data.store import check_findings, open_store

    store = open_store(data)
    check_findings(store)
    findings = store.info["findings"].get("audit")
    if findings is None:
        findings = look(store.images_NSS, store.records, data)
    if json:
        print_json({"store": str(data), **findings})
    else:
        show_audit(findings, data)


def show_audit(findings: dict[str, Any], folder: Path) -> None:
    """Print the findings as tables, what they mean, and where the pictures are."""
    from cxrdiag.cli.console import out as console
    from cxrdiag.cli.console import table
    from cxrdiag.data.audit.near_duplicates import BITS
    from cxrdiag.data.audit.shortcuts import WARN_FROM

    told_by = findings["shortcuts"]["told_by"]
    if told_by:  # a deviation over five folds of patients
        rows = [[told["name"], f"{told['auroc']:.3f} ± {told['sd']:.3f}"] for told in told_by]
        console.print(table("The class, told without the lungs", ["by", "AUROC"], rows))
    near, odd = findings["near_duplicates"], findings["odd"]
    rows = [
        ["pairs of nearly identical pictures", str(near["pairs"])],
        ["... in two splits", str(near["across_splits"])],
        ["... with conflicting labels", str(near["conflicting_labels"])],
        ["... of different patients, by their names", str(near["strangers_near"])],
        *([f"images, {what}", str(len(odd[kind]))] for kind, what in _ODD.items()),
    ]
    console.print(table("To look at", ["", "n"], rows))
    if near["strangers"] and near.get("own_median") is not None:
        rate = near["strangers_near"] / near["strangers"]
        console.print(
            f"nearly identical: {near['max_distance']} or fewer of a hash's {BITS} bits differ, as "
            f"they do for {rate:.2g} of the {near['strangers']:,} pairs of different patients; for "
            f"half of them {near['strangers_median']} or more differ, for half of the pairs "
            f"of one patient in {near['own_median']} or more",
            soft_wrap=True,
        )
    for name, n in (
        ("near-duplicates.png", near["pairs"]),
        ("odd.png", sum(map(len, odd.values()))),
    ):
        if n:
            console.print(f"{folder / name}", soft_wrap=True)
    warned = [told["name"] for told in told_by if told["auroc"] >= WARN_FROM]
    if warned:
        console.print(
            f"warning: the class can be told without the lungs, by {', by '.join(warned)}: a "
            "network may learn that instead of the disease, and fail on films from elsewhere",
            soft_wrap=True,
        )


_ODD = {
    "blank": "blank",
    "inverted": "inverted, bone dark",
    "unlike": "unlike the others: lateral, badly exposed, ...",
}
