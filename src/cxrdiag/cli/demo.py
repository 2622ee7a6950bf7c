"""`cxrdiag demo`: phantoms through prepare, train, eval and predict, with the real code."""

from __future__ import annotations

import shlex
import shutil
import time
from pathlib import Path
from typing import Annotated

import typer

from cxrdiag.cli.options import Device
from cxrdiag.errors import UsageError

_FOLDERS = ("coronahack", "prepared", "runs", "heatmaps")


def demo(
    out: Annotated[Path, typer.Option(help="Where everything is written.")] = Path("demo"),
    device: Device = "auto",
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Of the phantoms and the training.")
    ] = 0,
) -> None:
    """Show the whole way on synthetic chest X-rays: minutes on two cores, no data needed.

    The phantoms are drawn, not taken: what a model scores on them says nothing of real X-rays.
    """
    from cxrdiag.cli import evaluate, predict, prepare, train
    from cxrdiag.cli.console import out as console
    from cxrdiag.cli.console import progress_bar
    from cxrdiag.data.phantom.dataset import write_coronahack

    source, store, run, heatmaps = (out / name for name in _FOLDERS)
    run = run / "demo"
    _clear(out)
    started = time.perf_counter()
    console.print("\n1/5 drawing phantoms in the CoronaHack layout", style="bold")
    with progress_bar(quiet=False) as bar:
        task = bar.add_task("drawing", total=None, note="")
        write_coronahack(
            source,
            n_train=900,
            n_test=300,
            seed=seed,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    on = [] if device == "auto" else ["--device", device]
    _announce("2/5", "prepare", "--kaggle-dir", source, "--out", store)
    prepare.prepare(kaggle_dir=source, out=store)
    overrides = [
        "training.epochs=24",
        "training.batch_size=32",
        "augment.crop=[0.9,1.1]",  # phantoms are framed alike, whatever they show, and are few
        "augment.normal_cut=0",
        "augment.aspect=0.1",
        "augment.shift=0.05",
        "augment.erase=0.1",
    ]
    sets = [word for override in overrides for word in ("--set", override)]
    _announce("3/5", "train", "--data", store, "--run", run, "--seed", seed, *sets, *on)
    train.train(data=store, run=run, device=device, seed=seed, set_=overrides)
    _announce("4/5", "eval", "--run", run, "--data", store, *on)
    evaluate.evaluate(run=run, data=store, device=device)
    films = sorted(source.glob("**/test/*.jpeg"))[:: 300 // 4]
    _announce("5/5", "predict", *films, "--run", run, "--heatmap", heatmaps, *on)
    predict.predict(files=films, run=run, heatmap=heatmaps, device=device)
    console.print(f"\ndone in {time.perf_counter() - started:.0f} s; look at")
    for path in (run / "curves.png", run / "roc.png", run / "confusion.png", heatmaps):
        console.print(f"  {path}")


def _clear(out: Path) -> None:
    """Empty the folder of an earlier demo; any other folder that holds something is refused."""
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
