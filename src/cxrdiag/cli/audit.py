"""`cxrdiag audit`: what in a prepared data set may mislead a network, or who reads its results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxrdiag.cli.options import STORE, Data, Json

if TYPE_CHECKING:
    from cxrdiag.data.store import Store

_NAMED = 10
"""Films under both labels that are named."""

AuditedRun = Annotated[
    Path | None,
    typer.Option(
        "--run", help="A run folder, or 'shipped', to compare with the shortcuts.", readable=False
    ),
]


def audit(data: Data = STORE, run: AuditedRun = None, json: Json = False) -> None:
    """Show what may mislead a network: shortcuts, near-duplicates.

    `prepare` has already looked for them; in a store prepared with --no-audit they are looked for
    now, except for how the files were stored. With --run, a network's own AUROC on the validation
    films is shown beside those of the shortcuts.
    """
    from cxrdiag.cli.console import print_json
    from cxrdiag.data.audit.report import audit as look
    from cxrdiag.data.store import check_findings, keep_findings, open_store

    store = open_store(data)
    check_findings(store)
    network = None if run is None else _auroc_on_validation(run, store)  # fails soon, if it does
    found = dict(store.info["findings"])
    findings = found.pop("audit", None)
    if findings is None:
        findings = look(store.images_NSS, store.records, data)
        keep_findings(store, {**found, "audit": findings})
    if json:
        print_json({"store": str(data), **found, **findings, "network_on_val": network})
        return
    show_found(store)
    show_audit(findings, data, network)


def _auroc_on_validation(run: Path, store: Store) -> dict[str, Any]:
    import numpy as np
    import pandas as pd

    from cxrdiag import runs
    from cxrdiag.cli.console import warn
    from cxrdiag.data.batches import Split
    from cxrdiag.data.store import check_image_size
    from cxrdiag.evaluation.metrics import auroc_metrics
    from cxrdiag.evaluation.words import OTHER_STORE
    from cxrdiag.model.answers import check_finite
    from cxrdiag.model.checkpoint import load_model
    from cxrdiag.model.device import choose_device

    device = choose_device("auto")
    classifier = load_model(runs.find_model(run), device)
    check_image_size(store, classifier.info.image_size)
    if classifier.info.data_fingerprint != store.fingerprint:
        warn(OTHER_STORE)
    val = Split(store, "val", device)
    films = pd.DataFrame(store.records.iloc[val.rows_N])
    logits_N = classifier.split_logits(val)
    check_finite(logits_N)
    return auroc_metrics(films, logits_N.astype(np.float64))


def show_found(store: Store) -> None:
    """Print what is there twice, or lacking, by files and by patients."""
    from cxrdiag.cli.console import out as console
    from cxrdiag.cli.console import table, warn

    findings = store.info["findings"]
    overlap = findings["train_test_overlap"]
    left_out = findings["left_out_by_strict_patients"]
    shared = {key: f"{o['patients']} ({o['test_images']})" for key, o in overlap.items()}
    rows = [
        [
            "byte-identical files (groups)",
            f"{findings['duplicate_files']} ({findings['duplicate_groups']})",
        ],
        ["... with conflicting labels", str(findings["duplicates_with_conflicting_labels"])],
        ["images of unknown patient", str(findings["unknown_patient"])],
        ["patients in train and test (test images)", shared["patients"]],
        ["... by personN alone, kind ignored", shared["bare_person_numbers"]],
        ["... by IM-N alone, kind ignored", shared["bare_normal_numbers"]],
        *([["left out for that (--strict-patients)", str(left_out)]] if left_out else []),
        *([f"{key} files", str(len(findings[key]))] for key in ("missing", "unreadable")),
    ]
    console.print(table("Found", ["", "n"], rows))
    copied = store.records[store.records["sha256"].duplicated(keep=False)]
    copies = [films for _, films in copied.groupby("sha256", sort=False)]
    contradicting = [films["name"] for films in copies if films["label"].nunique() > 1]
    for names in contradicting[:_NAMED]:
        warn(f"one film under both labels: {', '.join(names)}")


def show_audit(
    findings: dict[str, Any], folder: Path, network: dict[str, Any] | None = None
) -> None:
    """Print the findings as tables, what they mean, and where the pictures are.

    `network` is `auroc` and `auroc_ci95` of one on the validation films.
    """
    from cxrdiag.cli.console import out as console
    from cxrdiag.cli.console import table
    from cxrdiag.data.audit.near_duplicates import BITS
    from cxrdiag.data.audit.shortcuts import WARN_FROM
    from cxrdiag.data.findings import ENCODING
    from cxrdiag.data.store import NEAR_SHEET, ODD_SHEET
    from cxrdiag.evaluation.words import in_words

    told_by = findings["shortcuts"]["told_by"]
    if told_by:  # a deviation over five folds of patients
        rows = [[told["name"], f"{told['auroc']:.3f} ± {told['sd']:.3f}"] for told in told_by]
        if ENCODING not in [told["name"] for told in told_by]:
            rows.append([ENCODING, "not known"])
        if network is not None:
            rows.append(["the network, on validation", in_words(network, "auroc")])
        console.print(table("The class, told by shortcuts alone", ["by", "AUROC"], rows))
    near, odd = findings["near_duplicates"], findings["odd"]
    pairs = {
        "pairs of nearly identical pictures": near["pairs"],
        "... in two splits": near["across_splits"],
        "... with conflicting labels": near["conflicting_labels"],
        "... of different patients, by their names": near["of_strangers"],
    }
    more = "" if near["all_pairs"] else " or more"
    rows = [
        *([name, f"{n}{more}"] for name, n in pairs.items()),
        *([f"images, {_ODD.get(kind, kind)}", str(len(names))] for kind, names in odd.items()),
    ]
    console.print(table("To look at", ["", "n"], rows))
    if near["strangers"] and near["own_median"] is not None:
        rate = near["strangers_near"] / near["strangers"]
        console.print(
            f"nearly identical: {near['max_distance']} or fewer of a hash's {BITS} bits differ, as "
            f"in a share of {rate:.2g} of the {near['strangers']:,} pairs of different patients; "
            f"half of those pairs differ in {near['strangers_median']} bits or more, half of the "
            f"pairs of one patient in {near['own_median']} or more",
            soft_wrap=True,
        )
    for name, n in (
        (NEAR_SHEET, near["pairs"]),
        (ODD_SHEET, sum(map(len, odd.values()))),
    ):
        if n:
            console.print(f"{folder / name}", soft_wrap=True)
    warned = [told["name"] for told in told_by if told["auroc"] >= WARN_FROM]
    if warned:
        console.print(
            f"warning: the class can be told by {', by '.join(warned)}: a "
            "network may learn that instead of the disease, and fail on films from elsewhere",
            soft_wrap=True,
        )


_ODD = {
    "blank": "blank",
    "inverted": "inverted, bone dark",
    "turned": "perhaps turned: 1 in 500 upright ones is listed",
    "unlike": "unlike the others: lateral, badly exposed, ...",
}
