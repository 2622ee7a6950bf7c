"""Metrics as text: the same digits in tables, on pages, under figures."""

from __future__ import annotations

from typing import Any

NAMES = {
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier score",
    "ece": "ECE",
}
"""The metrics of a whole split, and how to show their names."""

OTHER_STORE = (
    "this is not the store that the model was trained on; whether its films were among those of "
    "training is not known, and if they were, the scores are too good"
)
_STARTED = (
    "the model started from the shipped one; if these films were among those that trained or chose "
    "that one, CoronaHack's train split, the scores are too good"
)
_OWN = {
    "train": "the model was trained on these films: expect lower scores of others",
    "val": "the model's epoch, temperature and thresholds were chosen by these films: expect lower "
    "scores of others",
}


def caution(metrics: dict[str, Any]) -> str | None:
    """Why scores may promise too much, or do: of the model's own films; None of its test films."""
    if not metrics["trained_on_this_store"]:
        return OTHER_STORE
    return _OWN.get(metrics["split"]) or (_STARTED if metrics.get("init") == "shipped" else None)


def share(value: float | None) -> str:
    """Three digits, and a fourth where they would make 1 of what is less; a dash for none."""
    if value is None:
        return "-"
    return f"{min(value, 0.9999):.4f}" if 0.9995 <= value < 1 else f"{value:.3f}"


def interval(metrics: dict[str, Any], name: str) -> str:
    """The 95 % interval of a metric: 0.930 to 0.965; a dash where there is none."""
    ends = metrics.get(f"{name}_ci95")
    return "-" if ends is None else f"{share(ends[0])} to {share(ends[1])}"


def in_words(metrics: dict[str, Any], name: str) -> str:
    """A metric and its interval, where there is one, within a sentence: 0.950 (0.930 to 0.965)."""
    value = share(metrics[name])
    told = interval(metrics, name)
    return value if told == "-" else f"{value} ({told})"


def auroc_in_words(metrics: dict[str, Any]) -> str:
    """For a picture that stands alone: AUROC 0.950 (95 % CI 0.930 to 0.965)."""
    return f"AUROC {in_words(metrics, 'auroc')}".replace("(", "(95 % CI ")
