"""Several runs that were evaluated on the same images: mean and deviation, as over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cxrdiag.errors import DataError, UsageError
from cxrdiag.evaluation.read import read_evaluation, refuse_other_images
from cxrdiag.evaluation.words import NAMES, caution


def refuse_few(runs: Sequence[Path], weights_sha256: Sequence[str]) -> None:
    """Raise UsageError for fewer than two runs, or where two have the same weights."""
    first: dict[str, Path] = {}
    for run, sha256 in zip(runs, weights_sha256, strict=True):
        if sha256 in first:
            raise UsageError(
                f"the same weights as in {first[sha256]}",
                path=run,
                hint="a deviation is one between different trainings: give each once",
                code="few_runs",
            )
        first[sha256] = run
    if len(runs) < 2:
        raise UsageError("two runs or more are needed for a mean and a deviation", code="few_runs")


def summarise(runs: Sequence[Path], split: str = "test") -> dict[str, Any]:
    """Of each metric mean, standard deviation and each run's value, from what `evaluate` wrote.

    With it how often each was evaluated on test, and why its scores may promise too much
    (`caution`). No image is looked at again. Where a run lacks a metric it is None for all. Raises
    UsageError as `refuse_few`, DataError where one was not evaluated on the split, on the same
    images as the first and at the same operating point.
    """
    evaluated = [read_evaluation(run, split) for run in runs]
    refuse_few(runs, [one.metrics["weights_sha256"] for one in evaluated])
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
        "test_evaluations": [one.metrics.get("test_evaluations") for one in evaluated],
        "cautions": [caution(one.metrics) for one in evaluated],
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
