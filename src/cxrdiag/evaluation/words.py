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
    """A metric and its interval within a sentence: 0.950 (0.930 to 0.965)."""
    value = share(metrics[name])
    return value if metrics[name] is None else f"{value} ({interval(metrics, name)})"


def auroc_in_words(metrics: dict[str, Any]) -> str:
    """With its interval, which there is none of where classes are told apart without error."""
    told = f" (95 % CI {interval(metrics, 'auroc')})" if metrics["auroc_ci95"] else ""
    return f"AUROC {share(metrics['auroc'])}{told}"
