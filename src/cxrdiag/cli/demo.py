"""`cxrdiag demo`: phantoms through prepare, train, eval and predict, with the real code."""

from __future__ import annotations

import contextlib
import io
import shlex
import shutil
import time
from collections.abc import Callable
from json import loads
from pathlib import Path
from typing import Annotated, Any

import typer

from cxrdiag.cli.options import Device, Json
from cxrdiag.errors import UsageError

_FOLDERS = ("coronahack", "prepared", "runs/demo", "heatmaps")
_N_TRAIN, _N_TEST = 900, 300
_OVERRIDES = [
    "training.epochs=24",
    "training.batch_size=32",
    "augment.crop=[0.9,1.1]",  # phantoms are framed alike, whatever they show, and are few
    "augment.normal_cut=0",
    "augment.aspect=0.1",
    "augment.shift=0.05",
    "augment.erase=0.1",
]

Out = Annotated[Path, typer.Option(help="Where everything is written.", readable=False)]


def demo(
    out: Out = Path("demo"),
    device: Device = "auto",
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Seed of the phantoms and the training.")
    ] = 0,
    json: Json = False,
) -> None:
    """Show the whole way on synthetic chest X-rays, in minutes.

    It needs no data. The phantoms are drawn, not taken: what a model scores on them says nothing of
    real X-rays.
    """
    from cxrdiag.cli import evaluate, predict, prepare, train
    from cxrdiag.cli.console import out as console
    from cxrdiag.cli.console import print_json, progress_bar
    from cxrdiag.data.phantom.dataset import write_coronahack

    source, store, run, heatmaps = (out / name for name in _FOLDERS)
    documents: dict[str, Any] = {}

    def step(number: str, command: Callable[..., None], *typed: object, **options: Any) -> None:
        if json:
            documents[str(typed[0])] = _document(command, **options)
        else:
            _announce(number, *typed)
            command(**options)

    _clear(out)
    started = time.perf_counter()
    if not json:
        console.print("\n1/5 drawing phantoms in the CoronaHack layout", style="bold")
    with progress_bar(quiet=json) as bar:
        task = bar.add_task("drawing", total=None, note="")
        write_coronahack(
            source,
            n_train=_N_TRAIN,
            n_test=_N_TEST,
            seed=seed,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    on = [] if device == "auto" else ["--device", device]
    to_store = ["--kaggle-dir", source, "--out", store]
    step("2/5", prepare.prepare, "prepare", *to_store, kaggle_dir=source, out=store)
    in_out = ["--data", store, "--run", run]
    sets = [word for override in _OVERRIDES for word in ("--set", override)]
    typed = ["train", *in_out, "--seed", seed, *sets, *on]
    chosen = {"seed": seed, "set_": _OVERRIDES}
    step("3/5", train.train, *typed, data=store, run=run, device=device, **chosen)
    step("4/5", evaluate.evaluate, "eval", *in_out, *on, data=store, run=run, device=device)
    films = sorted(source.glob("**/test/*.jpeg"))[:: _N_TEST // 4]
    typed = ["predict", *films, "--run", run, "--heatmap", heatmaps, *on]
    step("5/5", predict.predict, *typed, files=films, run=run, heatmap=heatmaps, device=device)
    seconds = time.perf_counter() - started
    figures = [run / name for name in ("report.html", "curves.png", "roc.png", "confusion.png")]
    figures.append(heatmaps)
    if json:
        print_json({"seconds": seconds, "figures": [str(path) for path in figures], **documents})
        return
    console.print(f"\ndone in {seconds:.0f} s; look at")
    for path in figures:
        console.print(f"  {path}")


def _document(command: Callable[..., None], **options: Any) -> Any:
    """What the command prints with --json."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        command(**options, json=True)
    return loads(printed.getvalue())


def _clear(out: Path) -> None:
    """Remove what an earlier demo wrote; any other folder that holds something is refused."""
    marker = out / ".cxrdiag-demo"
    if out.exists() and not marker.is_file() and any(out.iterdir()):
        raise UsageError(
            "there is something else already",
            path=out,
            hint="give --out a new folder; nothing was changed",
            code="not_a_demo",
        )
    for name in _FOLDERS:
        if (out / name).exists():
            shutil.rmtree(out / name)
    out.mkdir(parents=True, exist_ok=True)
    marker.touch()


def _announce(step: str, *command: object) -> None:
    """Print the command as it could be typed."""
    from cxrdiag.cli.console import out as console

    typed = shlex.join(["cxrdiag", *map(str, command)])
    console.print(f"\n{step} {typed}", style="bold", soft_wrap=True)
