"""Options that several commands share."""

from __future__ import annotations

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
    """Raise UsageError where a file would take the place of a film, or of one in `folders`."""
    from cxrdiag.data.find import IMAGE_SUFFIXES

    place = target.resolve()
    is_film = target.suffix.lower() in IMAGE_SUFFIXES or any(place == f.resolve() for f in films)
    if is_film or (place.exists() and place.parent in [folder.resolve() for folder in folders]):
        raise UsageError(
            f"{option} would write over this file",
            path=target,
            hint="name another",
            code="overwrite",
        )
