"""The `cxrdiag` command. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import logging
import os
import signal
import sys
from typing import Annotated, Any

import typer

from cxrdiag import __version__
from cxrdiag.cli import audit, compare, demo, evaluate, export, models, predict, prepare, train
from cxrdiag.errors import (
    CxrdiagError,
    UsageError,
    as_document,
    is_out_of_memory,
    of_the_system,
    plain,
    printable,
)

_WrongUsage: Any = typer.BadParameter.__base__
"""Of an unknown option, a missing argument and so on, too: Typer has no name for it."""

app = typer.Typer(
    name="cxrdiag",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # boxes around the help cost a tenth of a second
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help=(
        "From a folder of chest X-rays to a pneumonia classifier.\n\n"
        "Run prepare, train, eval and predict in this order; prepare needs --kaggle-dir or "
        "--download. Without training, predict uses the model in the package. "
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
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or open(os.devnull, "w")  # noqa: SIM115 - closed by who starts it
        setattr(sys, name, stream)
        if isinstance(stream, io.TextIOWrapper):
            # A file's name may be no text in this encoding: that must not end in a traceback.
            stream.reconfigure(errors="backslashreplace")
    sys.exit(_written(_run()))


def _run() -> int:
    """Run the command; returns its exit code, and has told of what went wrong."""
    try:
        if "" in sys.argv[1:]:
            hint = "is a variable not set?"
            raise UsageError("an argument is empty", hint=hint, code="empty_argument")
        code = app(standalone_mode=False)
        return code if isinstance(code, int) else 0
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except _WrongUsage as error:
        if "--json" in sys.argv:
            hint = f"{error.ctx.command_path} --help" if error.ctx else ""
            return _report(UsageError(error.format_message(), hint=hint, code="usage"))
        with contextlib.suppress(OSError):  # nobody can be told
            error.show()
        return UsageError.exit_code
    except CxrdiagError as error:
        return _report(error)
    except (MemoryError, RuntimeError, ImportError) as error:
        if not is_out_of_memory(error):
            raise
        hint = "give it less at a time, or another --device"
        return _report(CxrdiagError("not enough memory", hint=hint, code="out_of_memory"))
    except OSError as error:
        return _report(of_the_system(error))


def _end(number: int, frame: object) -> None:
    # As an exception, so that what is half-written is removed.
    sys.exit(128 + number)


def _report(error: CxrdiagError) -> int:
    """Tell of an error; returns its exit code."""
    where = f"{printable(str(error.path))}: " if error.path is not None else ""
    hint = f"\n       {plain(error.hint)}" if error.hint else ""
    line = f"error: {where}{plain(error.message)}{hint}"
    if "--json" in sys.argv:
        with contextlib.suppress(OSError):  # standard output is full, or closed by its reader
            typer.echo(json.dumps({"error": as_document(error)}))
            return error.exit_code
    with contextlib.suppress(OSError):  # nobody can be told
        typer.echo(line, err=True)
    return error.exit_code


def _written(code: int) -> int:
    """The exit code, once all that was printed is written; 1 where that fails and it was 0."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            # Or Python tries again at its end, and fails with a code of its own.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            code = code or CxrdiagError.exit_code
            if stream is sys.stdout and error.errno != errno.EPIPE:
                with contextlib.suppress(OSError):
                    typer.echo(f"error: standard output: {error.strerror}", err=True)
    return code
