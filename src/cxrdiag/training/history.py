"""The epochs of a run: history.csv and curves.png."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cxrdiag.files import write_file, write_text


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One row of history.csv.

    Validation is computed in the number format of the training (`training.precision`) and without
    the mirror image; the threshold, `eval` and `predict` in fp32, with the mirror image where the
    recipe wants it, and of weights rounded to half precision, as they are written.
    """

    epoch: int
    """From 1."""
    train_loss: float
    """Mean over the augmented training images, as optimised."""
    train_accuracy: float
    val_loss: float
    """Class-balanced cross-entropy, without smoothing."""
    val_accuracy: float
    val_auroc: float
    shifted_auroc: float
    """Of validation under acquisition shifts: what the epoch kept is chosen by."""
    lr: float
    """Learning rate of the last step."""
    images_per_s: float
    seconds: float
    """Training and validation."""


def write_history(path: Path, history: Sequence[Epoch]) -> None:
    """history.csv, whole or not at all."""
    text = io.StringIO()
    names = [field.name for field in dataclasses.fields(Epoch)]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in history:
        writer.writerow([_short(getattr(row, name)) for name in names])
    write_text(path, text.getvalue())


def _short(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def draw_curves(path: Path, history: Sequence[Epoch]) -> None:
    """Accuracy and loss, train and validation, over the epochs, as a PNG."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(10, 4), layout="constrained")
    epochs = [row.epoch for row in history]
    for axes, name in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        for split, colour in (("train", "#4477aa"), ("val", "#ee6677")):
            values = [getattr(row, f"{split}_{name}") for row in history]
            label = {"train": "train (augmented)", "val": "validation"}[split]
            axes.plot(epochs, values, color=colour, marker="o", markersize=3, label=label)
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    write_file(path, lambda temporary: figure.savefig(temporary, dpi=150))
