"""What `train` says while it trains: a live line, and one for each epoch that is done."""

from __future__ import annotations

from collections.abc import Callable

from cxrdiag.cli.console import err, progress_bar
from cxrdiag.training.config import Recipe
from cxrdiag.training.history import Epoch
from cxrdiag.training.reporter import Reporter, Step


class TrainingProgress:
    """A live line for the epoch at hand, and a printed one for each that is done."""

    def __init__(self, config: Recipe, start: str, quiet: bool, pause: Callable[[], None]) -> None:
        """`start` is said after the first step: an epoch may take minutes."""
        self._epochs = config.training.epochs
        self._start = "" if quiet else start
        self.bar = progress_bar(quiet)
        self._task = self.bar.add_task("training", total=None, note="")
        self._quiet = quiet
        self._auroc = ""
        self.reporter = Reporter(step=self._step, epoch=self._epoch, pause=pause, note=self._note)

    def __enter__(self) -> TrainingProgress:
        self.bar.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.stop()

    def _note(self, text: str) -> None:
        err.print(text, soft_wrap=True)

    def _step(self, step: Step) -> None:
        if self._start:
            self._note(self._start)
            self._start = ""
        note = f"loss {step.loss:.3f}{self._auroc}  {step.images_per_s:.0f} images/s"
        self.bar.update(
            self._task,
            description=f"epoch {step.epoch}/{self._epochs}",
            completed=(step.epoch - 1) * step.n_steps + step.step,
            total=self._epochs * step.n_steps,
            note=note,
        )

    def _epoch(self, row: Epoch) -> None:
        self._auroc = f"  shifted AUROC {row.shifted_auroc:.4f}"
        if not self._quiet:
            self._note(
                f"epoch {row.epoch:3}/{self._epochs}  loss {row.train_loss:.3f}  "
                f"accuracy {row.train_accuracy:.3f}  |  validation: loss {row.val_loss:.3f}  "
                f"accuracy {row.val_accuracy:.3f}  AUROC {row.val_auroc:.4f}, "
                f"shifted {row.shifted_auroc:.4f}  |  {row.images_per_s:.0f} images/s"
            )
