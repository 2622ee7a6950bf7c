"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
