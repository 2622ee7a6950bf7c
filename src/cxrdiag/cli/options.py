"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cxrdiag.errors import UsageError

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document instead of tables and progress.")
]
# readable=False: what cannot be read is told where it is read, of that one file, with its own code.
Data = Annotated[Path, typer.Option("--data", help="The prepared store.", readable=False)]
Device = Annotated[
    str,
    typer.Option(
        "--device", help="auto, cpu, cuda or mps; auto is cuda where there is one, else cpu."
    ),
]
Run = Annotated[
    Path | None,
    typer.Option(
        "--run", help="The run folder, or 'shipped'.", show_default="the newest", readable=False
    ),
]
Model = Annotated[
    Path | None,
    typer.Option(
        "--run",
        help="The run folder, or 'shipped'.",
        show_default="the newest run, else the shipped model",
        readable=False,
    ),
]
OperatingPoint = Annotated[
    str,
    typer.Option(help="By which threshold uncertain films lean: balanced, sensitivity=0.95, ..."),
]
STORE = Path("data/prepared")


def refuse_to_overwrite(option: str, target: Path, suffix: str, films: Sequence[Path] = ()) -> None:
    """Raise UsageError for what is called as a film is, or is there and is not ours to replace.

    That is a film, what has another suffix than `suffix`, and what lies in a run or a store.
    """
    from cxrdiag.data.find import IMAGE_SUFFIXES
    from cxrdiag.data.kaggle import METADATA, SPLITS
    from cxrdiag.runs import INFO, RESUME, of_split

    place = Path(os.path.realpath(target))  # Path.resolve raises on a loop of links
    is_film = target.suffix.lower() in IMAGE_SUFFIXES or str(place) in map(os.path.realpath, films)
    exists = place.exists()
    does = "would write over this file" if exists else "is called as a film is"
    # A run's own tables, and a store's.
    tables = ("history.csv", "records.csv", *(of_split("predictions.csv", s) for s in SPLITS))
    evaluations = (of_split("metrics.json", split) for split in SPLITS)
    beside = (INFO, RESUME, "config.yaml", "store.json", *evaluations)
    is_kept = place.name in tables and any((place.parent / name).exists() for name in beside)
    is_kept = is_kept or place.name == METADATA  # a data set's own labels
    if is_film or (place.is_file() and (is_kept or place.suffix.lower() != suffix)):
        raise UsageError(
            f"{option} {does}",
            path=target,
            hint=f"name another, with the suffix {suffix}",
            code="overwrite",
        )
