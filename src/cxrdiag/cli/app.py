"""The `cxrdiag` command. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import io
import json
import logging
import signal
import sys
from typing import Annotated

import typer

from cxrdiag import __version__
from cxrdiag.cli import audit, compare, demo, evaluate, export, models, predict, prepare, train
from cxrdiag.errors import CxrdiagError, is_out_of_memory, printable

app = typer.Typer(
    name="cxrdiag",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # boxes around the help cost a tenth of a second
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help=(
        "From a folder of chest X-rays to a pneumonia classifier.\n\n"
        "prepare, train, eval and predict work one after the other; prepare wants "
        "--kaggle-dir or --download. "
        "For research and education. Not a medical device, not for diagnosis."
    ),
)
app.command("prepare")(prepare.prepare)
app.command("audit")(audit.audit)
app.command("train")(train.train)
app.command("eval")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("predict")(predict.predict)
app.command("export")(export.export)
app.command("models")(models.models)
app.command("demo")(demo.demo)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cxrdiag {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; an error becomes one line, or one JSON document, and its exit code."""
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
        signal.signal(signal.SIGTERM, _end)
    # It warns of a home folder that cannot be written to, which costs a second and nothing else.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file's name may be no text in this encoding: that must not end in a traceback.
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except CxrdiagError as error:
        _report(error)
        sys.exit(error.exit_code)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        hint = "give it fewer or smaller pictures at a time, or another --device"
        _report(CxrdiagError("not enough memory", hint=hint, code="out_of_memory"))
        sys.exit(CxrdiagError.exit_code)
    except OSError as error:  # a full disk, a folder that may not be written to
        where = error.filename2 or error.filename
        reason = error.strerror or str(error)
        _report(CxrdiagError(reason, path=where, code="file_error"))
        sys.exit(CxrdiagError.exit_code)


def _end(number: int, frame: object) -> None:
    # As an exception, so that what is half-written is removed.
    sys.exit(128 + number)


def _report(error: CxrdiagError) -> None:
    if "--json" in sys.argv:
        document = {
            "code": error.code,
            "message": error.message,
            "path": str(error.path) if error.path is not None else None,
            "hint": error.hint,
        }
        typer.echo(json.dumps({"error": document}))
    else:
        where = f"{printable(str(error.path))}: " if error.path is not None else ""
        hint = f"\n       {error.hint}" if error.hint else ""
        typer.echo(f"error: {where}{error.message}{hint}", err=True)
