"""How the commands speak: tables and progress for people, one JSON document for programs.

Results go to standard output, progress and warnings to standard error.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from cxrdiag.errors import plain
from cxrdiag.evaluation.words import interval, share
from cxrdiag.files import named

_OUTPUT = Path("standard output")
"""What to call it where it cannot be written to."""
_WIDEST = 1000
"""Columns that a table may take where there is no screen."""
_NARROWEST, _NARROWEST_TABLE = 20, 80
"""Columns below which words, and the first column of a table, would be left out."""


class _Plain(Console):
    """Text is printed as it stands: a file may be called [red]x or :lung:. It steers nothing."""

    def __init__(self, *, stderr: bool) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    def print(self, *objects: Any, **options: Any) -> None:
        has_width = self.is_terminal or "COLUMNS" in os.environ
        is_table = any(isinstance(x, Table) for x in objects)
        if is_table and not has_width:
            self.width = _WIDEST  # in a file, or another program, no column is to be cut off
        elif self.width < (narrowest := _NARROWEST_TABLE if is_table else _NARROWEST):
            self.width = narrowest  # lines are broken by the terminal then, and nothing is lost
        try:
            with named(_OUTPUT):
                super().print(*(plain(x) if isinstance(x, str) else x for x in objects), **options)
        except OSError:
            if not self.stderr:
                raise
            self.quiet = True  # its disk is full, say: a training may take hours, and goes on
        self._width = None

    def on_broken_pipe(self) -> None:
        """Go on in silence where nobody reads messages any more."""
        if not self.stderr:
            super().on_broken_pipe()
        self.quiet = True


out = _Plain(stderr=False)
err = _Plain(stderr=True)


def print_json(document: Any) -> None:
    """Print one JSON document, in ASCII: a file's name may be no text in any encoding.

    Dataclasses in it become objects. NaN would be an error, it is not JSON.
    """
    with named(_OUTPUT):
        # Piece by piece: of many thousand films the text takes more memory than all else.
        json.dump(document, sys.stdout, indent=2, allow_nan=False, default=dataclasses.asdict)
        sys.stdout.write("\n")
        sys.stdout.flush()  # here, where a full disk is an error that is said


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table whose first column is text, never cut off, and whose others are right-aligned."""
    made = Table(title=plain(title), title_justify="left", title_style="bold", header_style="bold")
    for number, column in enumerate(columns):
        if number == 0:
            made.add_column(column, overflow="fold")
        else:
            made.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        made.add_row(*map(plain, row))
    return made


def progress_bar(quiet: bool) -> Progress:
    """A bar with count, rate and time left; it vanishes when done. Use as a context manager."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=quiet or not err.is_terminal,  # to a file it would write but empty lines
    )


def warn(message: str) -> None:
    """Print a warning to standard error."""
    err.print(f"warning: {message}", soft_wrap=True)


def with_interval(metrics: dict[str, Any], name: str) -> tuple[str, str]:
    """A metric and its 95 % interval, for two columns."""
    return share(metrics[name]), interval(metrics, name)
