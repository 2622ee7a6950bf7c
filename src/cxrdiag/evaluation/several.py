"""Several runs that were evaluated on the same images: mean and deviation, as over seeds."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cxrdiag.errors import DataError, UsageError
from cxrdiag.evaluation.compare import read_predictions
from cxrdiag.evaluation.metrics import NAMES


def summarise(runs: Sequence[Path], split: str = "test") -> dict[str, Any]:
    """Of each metric mean, standard deviation and each run's value, from what `evaluate` wrote.

    No image is looked at again. Where a run lacks a metric it is None for all. Raises UsageError
    for fewer than two runs, DataError where one was not evaluated on the split, or not on the same
    images as the first.
    """
    if len({run.resolve() for run in runs}) != len(runs) or len(runs) < 2:
        raise UsageError(
            "two different runs or more are needed for a mean and a deviation", code="few_runs"
        )
    suffix = "" if split == "test" else f"-{split}"
    first, _ = read_predictions(runs[0], suffix)
    for run in runs[1:]:
        predictions, _ = read_predictions(run, suffix)
        if not predictions[["name", "label"]].equals(first[["name", "label"]]):
            raise DataError(
                f"was evaluated on other images than {runs[0]}",
                path=run,
                hint="evaluate both on the same store",
                code="different_images",
            )
    found = [json.loads((run / f"metrics{suffix}.json").read_text("utf-8")) for run in runs]
    return {
        "split": split,
        "n": len(first),
        "runs": [str(run) for run in runs],
        **{name: _summary([metrics.get(name) for metrics in found]) for name in NAMES},
    }


def _summary(values: list[float | None]) -> dict[str, Any] | None:
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values):
        return None
    return {
        "mean": statistics.mean(numbers),
        "sd": statistics.stdev(numbers),
        "values": numbers,
    }
