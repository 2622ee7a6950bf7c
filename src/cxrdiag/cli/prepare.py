"""`cxrdiag prepare`: raw folder -> prepared store."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxrdiag.cli.audit import show_audit, show_found
from cxrdiag.cli.options import STORE, Json
from cxrdiag.errors import DataError, UsageError

if TYPE_CHECKING:
    from cxrdiag.data.store import Store

KAGGLE_DATASET = "praveengovi/coronahack-chest-xraydataset"


def prepare(
    kaggle_dir: Annotated[
        Path | None,
        typer.Option(
            help="The unzipped data set: CoronaHack or chest-xray-pneumonia.", readable=False
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the store is written.", readable=False)] = STORE,
    size: Annotated[
        int, typer.Option(min=32, max=1024, help="Side of the stored squares in pixels.")
    ] = 256,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Seed of the validation split.")
    ] = 0,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch CoronaHack from Kaggle (needs kagglehub).")
    ] = False,
    strict_patients: Annotated[
        bool,
        typer.Option(
            "--strict-patients",
            help="Leave out of train the patients who are also in test if numbers do not restart.",
        ),
    ] = False,
    audit: Annotated[
        bool, typer.Option(help="Look for shortcuts, near-duplicates and odd images.")
    ] = True,
    json: Json = False,
) -> None:
    """Decode a data set once, draw the validation split, audit it.

    A store that is there already, of the same files and settings, is left as it is.
    """
    from cxrdiag.cli.console import out as console
    from cxrdiag.cli.console import print_json, progress_bar
    from cxrdiag.data.prepare import prepare as build

    if download == (kaggle_dir is not None):
        raise UsageError(
            "give either --kaggle-dir FOLDER or --download",
            hint="FOLDER is the unzipped CoronaHack or chest-xray-pneumonia data set",
            code="no_source",
        )
    replaced = ", in place of the store that was there" if (out / "store.json").is_file() else ""
    source = kaggle_dir if kaggle_dir is not None else _download()
    started = time.perf_counter()
    with progress_bar(quiet=json) as bar:
        task = bar.add_task("preparing", total=None, note="")

        def show(done: int, total: int) -> None:
            rate = done / (time.perf_counter() - started)
            note = "auditing" if audit and done == total else f"{rate:.0f} images/s"
            bar.update(task, completed=done, total=total, note=note)

        store, built = build(
            source,
            out,
            size=size,
            seed=seed,
            strict_patients=strict_patients,
            audited=audit,
            progress=show,
        )
    seconds = time.perf_counter() - started
    if json:
        print_json({"store": str(out), "built": built, "seconds": seconds, **store.info})
        return
    if built:
        _show_report(store)
        console.print(
            f"{len(store.records)} images in {seconds:.1f} s -> {out}{replaced}", soft_wrap=True
        )
    else:
        unchanged = f"{out} is already there and unchanged: {len(store.records)} images"
        console.print(unchanged, soft_wrap=True)


def _download() -> Path:
    try:
        import kagglehub
    except ImportError as error:
        raise UsageError(
            "--download needs kagglehub",
            hint="pip install kagglehub, or unzip the data set and give --kaggle-dir",
            code="no_kagglehub",
        ) from error
    try:
        return Path(kagglehub.dataset_download(KAGGLE_DATASET))
    except Exception as error:  # kagglehub raises whatever its HTTP client does
        raise DataError(
            f"the download failed: {type(error).__name__}: {error}".splitlines()[0],
            hint="or download the data set in a browser and give --kaggle-dir",
            code="download_failed",
        ) from error


def _show_report(store: Store) -> None:
    from cxrdiag.cli.console import out as console
    from cxrdiag.cli.console import table, warn
    from cxrdiag.data.kaggle import SPLITS

    counts = {(c["label"], c["subtype"], c["split"]): c["n"] for c in store.info["counts"]}
    kinds = sorted({(label, subtype) for label, subtype, _ in counts})
    splits = [s for s in SPLITS if any(key[2] == s for key in counts)]
    rows = [
        [f"{label} {subtype}".strip(), *(str(counts.get((label, subtype, s), 0)) for s in splits)]
        for label, subtype in kinds
    ]
    totals = [str(sum(n for key, n in counts.items() if key[2] == s)) for s in splits]
    console.print(table("Images", ["", *splits], [*rows, ["all", *totals]]))
    show_found(store)
    if "audit" in store.info["findings"]:
        show_audit(store.info["findings"]["audit"], store.path)
    if "test" not in splits:
        warn("there are no test films: eval takes --split val")
    tested = {label for label, _, split in counts if split == "test"}
    if len(tested) == 1:
        warn(f"test has films of {min(tested)} alone: there will be no AUROC")
    if splits == ["test"]:
        console.print("only test films: enough for eval, not for train", soft_wrap=True)
    if 2 * store.info["findings"]["unknown_patient"] > len(store.records):
        warn(
            "most files' names tell no patient: each counts as one, and films of one patient may "
            "be in more than one split"
        )
    for item in store.info["findings"]["unreadable"]:
        console.print(f"left out: {item['name']}: {item['message']}", soft_wrap=True)
    for name in store.info["findings"]["missing"][:10]:
        console.print(f"missing, or no file: {name}", soft_wrap=True)
