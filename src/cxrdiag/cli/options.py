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
Data = Annotated[Path, typer.Option("--data", help="The prepared store.", show_default=True)]
Device = Annotated[
    str,
    typer.Option("--device", help="auto, cpu, cuda or mps; auto takes a GPU when there is one."),
]
Run = Annotated[
    Path | None,
    typer.Option("--run", help="The run folder, or 'shipped'.", show_default="the newest"),
]
Model = Annotated[
    Path | None,
    typer.Option(
        "--run",
        help="The run folder, or 'shipped'.",
        show_default="the newest run, else the shipped model",
    ),
]
OperatingPoint = Annotated[
    str,
    typer.Option(help="Which threshold: balanced, youden, sensitivity=0.95, specificity=0.95, ..."),
]
STORE = Path("data/prepared")


def refuse_to_overwrite(option: str, target: Path, films: Sequence[Path], *folders: Path) -> None:
    """Raise UsageError for what is called as a film is, or in the place of one or in `folders`."""
    from cxrdiag.data.find import IMAGE_SUFFIXES

    place = os.path.realpath(target)  # Path.resolve raises on a loop of links
    is_film = target.suffix.lower() in IMAGE_SUFFIXES or place in map(os.path.realpath, films)
    kept = [os.path.realpath(folder) for folder in folders]
    exists = os.path.exists(place)
    does = "would write over this file" if exists else "is called as a film is"
    if is_film or (exists and os.path.dirname(place) in kept):
        raise UsageError(
            f"{option} {does}",
            path=target,
            hint="name another",
            code="overwrite",
        )
