"""Several runs that were evaluated on the same images: mean and deviation, as over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cxrdiag.errors import DataError, UsageError
from cxrdiag.evaluation.read import read_evaluation, refuse_other_images
from cxrdiag.evaluation.words import NAMES


def refuse_few(runs: Sequence[Path], models: Sequence[tuple[str, float]]) -> None:
    """Raise UsageError for fewer than two runs, or where two are of one model.

    `models` has the SHA-256 of each run's weights, and its threshold.
    """
    first: dict[tuple[str, float], Path] = {}
    for run, model in zip(runs, models, strict=True):
        if model in first:
            raise UsageError(
                f"the same model as {first[model]}",
                path=run,
                hint="a deviation is one between different trainings: give each once",
                code="few_runs",
            )
        first[model] = run
    if len(runs) < 2:
        raise UsageError("two runs or more are needed for a mean and a deviation", code="few_runs")


def summarise(runs: Sequence[Path], split: str = "test") -> dict[str, Any]:
    """Of each metric mean, standard deviation and each run's value, from what `evaluate` wrote.

    No image is looked at again. Where a run lacks a metric it is None for all. Raises UsageError as
    `refuse_few`, DataError where one was not evaluated on the split, on the same images as the
    first and at the same operating point.
    """
    evaluated = [read_evaluation(run, split) for run in runs]
    refuse_few(runs, [(e.metrics["weights_sha256"], e.metrics["threshold"]) for e in evaluated])
    refuse_other_images(runs, evaluated)
    points = [one.metrics["operating_point"] for one in evaluated]
    if len(set(points)) > 1:
        raise DataError(
            f"evaluated at different operating points: {', '.join(sorted(set(points)))}",
            path=runs[0],
            hint="evaluate all at one: cxrdiag eval --runs",
            code="different_operating_points",
        )
    return {
        "split": split,
        "n": len(evaluated[0].predictions),
        "runs": [str(run) for run in runs],
        **{name: _summary([one.metrics[name] for one in evaluated]) for name in NAMES},
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
