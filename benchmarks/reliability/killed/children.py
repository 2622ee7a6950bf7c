"""The command line in a forked process, and small trainings of which it is known how they end.

Whoever imports this has torch imported, which the processes forked off it share.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch._dynamo as _imported_by_the_first_optimizer  # noqa: F401

from cxrdiag.cli import app
from cxrdiag.data.phantom.dataset import write_coronahack
from cxrdiag.data.prepare import prepare
from cxrdiag.training import trainer as _imported_before_the_fork  # noqa: F401
from cxrdiag.training.resume import load_resume

N_EPOCHS = 5
SETTINGS = [
    "data.resolution=32", "model.width=8", f"training.epochs={N_EPOCHS}", "training.batch_size=20",
    "training.ema_decay=0.9", "training.precision=fp32", "augment.rotation=10",
]  # fmt: skip


class Child:
    """`cxrdiag ARGUMENTS` in a process, and a process group, of its own."""

    def __init__(self, *arguments: object, before: Callable[[], object] = lambda: None) -> None:
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reader)
            os.setsid()
            os.dup2(writer, 1)
            os.dup2(writer, 2)
            sys.stdout, sys.stderr = (os.fdopen(n, "w", closefd=False) for n in (1, 2))
            self._run([str(a) for a in arguments], before)
        os.close(writer)
        self._reader = reader
        self.said = ""

    @staticmethod
    def _run(arguments: list[str], before: Callable[[], object]) -> None:
        code = 99
        try:
            before()
            sys.argv = ["cxrdiag", *arguments]
            app.main()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException as error:
            print(f"traceback: {error!r}", flush=True)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def wait(self) -> int:
        """Its exit code, minus the signal's number where one ended it."""
        with os.fdopen(self._reader, encoding="utf-8", errors="replace") as pipe:
            self.said = pipe.read()
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    @property
    def end(self) -> str:
        """The last line that it said: of a trace the error, without the paths of this machine."""
        return self.said.strip().splitlines()[-1] if self.said.strip() else ""

    @property
    def lines(self) -> list[str]:
        lines = self.said.splitlines()
        return [x for x in lines if not x.startswith("epoch ") and " films by recipe " not in x]


class Trainings:
    """A small store, a training of it that was never stopped, and what others are held to."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.raw, self.store = folder, folder / "raw", folder / "store"
        write_coronahack(self.raw, n_train=60, n_test=4, size=32)
        prepare(self.raw, self.store, size=32, audited=False)
        self._n = 0
        whole = self.new()
        child = self.child(whole)
        assert child.wait() == 0, child.said
        self.weights = digest(whole / "model.safetensors")

    def new(self) -> Path:
        self._n += 1
        return self.folder / f"run-{self._n}"

    def child(self, run: Path, before: Callable[[], object] = lambda: None) -> Child:
        """Start the training of `run`, or go on with it."""
        how: list[object] = ["--resume"]
        if not (run / "resume.safetensors").exists():
            shutil.rmtree(run, ignore_errors=True)  # what was killed before its first save
            how = ["--recipe", "smoke", *(x for s in SETTINGS for x in ("--set", s))]
        where = ["--data", self.store, "--run", run, "--device", "cpu"]
        return Child("train", *where, *how, before=before)

    def half_done(self) -> Path:
        """A run stopped after a step of its third epoch."""
        run = self.new()

        def stop() -> None:
            plain, steps = torch.optim.AdamW.step, 0

            def step(self, *arguments, **named):
                nonlocal steps
                steps += 1
                if steps == 8:
                    os.kill(os.getpid(), signal.SIGTERM)
                return plain(self, *arguments, **named)

            torch.optim.AdamW.step = step

        child = self.child(run, before=stop)
        code = child.wait()
        assert code == 143, child.said
        return run

    def problem(self, run: Path, told: str = "") -> str | None:
        """What is wrong with what a process left in `run`, or None."""
        if (run / "resume.safetensors").exists():
            _, state = load_resume(run)
            done = sum(line.startswith("epoch ") for line in told.splitlines())
            if told and len(state["history"]) < done:
                return f"{done} epochs were told to be done, {len(state['history'])} are saved"
        elif (run / "model.json").exists():
            return None if digest(run / "model.safetensors") == self.weights else "other weights"
        elif any(line.startswith("epoch ") for line in told.splitlines()):
            return "an epoch was done, and nothing is saved"
        return None

    def finish(self, run: Path) -> str | None:
        """Resume `run` until it ends; what is wrong with the end, or None."""
        child = self.child(run)
        if (code := child.wait()) != 0:
            return f"it does not go on: {code}: {child.end}"
        strays = [p.name for p in run.iterdir() if p.name.startswith(".")]
        if strays:
            return f"stray: {strays}"
        return None if digest(run / "model.safetensors") == self.weights else "other weights"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree(folder: Path) -> dict[str, str]:
    return {p.name: digest(p) for p in sorted(folder.iterdir())} if folder.is_dir() else {}
