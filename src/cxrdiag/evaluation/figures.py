"""Confusion matrix and ROC curve as PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from cxrdiag.data.kaggle import NORMAL, PNEUMONIA
from cxrdiag.evaluation.words import auroc_in_words
from cxrdiag.files import write_file


def draw_confusion_matrix(path: Path, metrics: dict[str, Any]) -> None:
    """Write `confusion_matrix` as a PNG file."""
    _write(path, confusion_matrix(metrics))


def draw_roc(path: Path, predictions: pd.DataFrame, metrics: dict[str, Any]) -> None:
    """Write `roc` as a PNG file."""
    _write(path, roc(predictions, metrics))


def confusion_matrix(metrics: dict[str, Any]) -> Figure:
    """Counts and row percentages; a row is what the data set says, a column what the model says."""
    counts = [
        [metrics["true_negatives"], metrics["false_positives"]],
        [metrics["false_negatives"], metrics["true_positives"]],
    ]
    shares = [[n / max(1, sum(row)) for n in row] for row in counts]
    figure = Figure(figsize=(4.8, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in range(2):
        for column in range(2):
            share = shares[row][column]
            axes.text(
                column,
                row,
                f"{counts[row][column]}\n{share:.1%}",
                ha="center",
                va="center",
                fontsize=14,
                color="white" if share > 0.5 else "black",
            )
    names = [NORMAL, PNEUMONIA]
    axes.set_xticks([0, 1], names)
    axes.set_yticks([0, 1], names, rotation=90, va="center")
    axes.set(xlabel="called", ylabel="labelled")
    axes.set_title(f"n = {metrics['n']}, threshold {metrics['threshold']:.3f}", fontsize=10)
    return figure


def roc(predictions: pd.DataFrame, metrics: dict[str, Any]) -> Figure:
    """The ROC curve with the operating point and the interval of its area."""
    fpr, tpr, _ = roc_curve(predictions["label"] == PNEUMONIA, predictions["probability"])
    figure = Figure(figsize=(4.8, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(fpr, tpr, color="#4477aa", label=auroc_in_words(metrics))
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, linestyle="--", label="chance")
    axes.plot(
        1 - metrics["specificity"],
        metrics["sensitivity"],
        "o",
        color="#ee6677",
        label=f"operating point, threshold {metrics['threshold']:.3f}",
    )
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_aspect("equal")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    return figure


def _write(path: Path, figure: Figure) -> None:
    write_file(path, lambda temporary: figure.savefig(temporary, dpi=150))
