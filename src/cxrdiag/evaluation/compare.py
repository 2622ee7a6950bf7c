"""Two runs on the same images: is one better, or is it chance?

Shapes: N images.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from cxrdiag.data.kaggle import PNEUMONIA
from cxrdiag.data.store import check_split
from cxrdiag.errors import DataError
from cxrdiag.evaluation.intervals import clusters, percentiles, resamples
from cxrdiag.evaluation.read import read_evaluation, refuse_other_images
from cxrdiag.evaluation.scores import Float1D, auroc

METRICS = ("accuracy", "sensitivity", "specificity", "auroc")


def compare(first: Path, second: Path, split: str = "test") -> dict[str, Any]:
    """Compare what `evaluate` wrote of two runs; the images are not looked at again.

    Accuracy, sensitivity, specificity and AUROC of either, and their difference, second less first,
    with the 95 % interval of a bootstrap over patients that draws the same ones for both, None
    where all draws differ alike; and
    McNemar's exact test of which images either calls rightly, which counts films as independent.
    Raises DataError where a run was not evaluated on the split, or the two not on the same images,
    UsageError for a split that no store has.
    """
    check_split(split)
    evaluated = [read_evaluation(run, split) for run in (first, second)]
    a, b = (one.predictions for one in evaluated)
    refuse_other_images((first, second), evaluated)
    truth = (a["label"] == PNEUMONIA).to_numpy()
    if truth.all() or not truth.any():
        raise DataError("images of one class only", path=first, code="one_class")
    scores = [run["probability"].to_numpy(dtype=np.float64) for run in (a, b)]
    called = [s >= one.metrics["threshold"] for s, one in zip(scores, evaluated, strict=True)]
    ones = np.ones(len(truth))
    values = [_metrics(truth, s, c, ones) for s, c in zip(scores, called, strict=True)]
    differences = np.array(
        [
            _metrics(truth, scores[1], called[1], weights)
            - _metrics(truth, scores[0], called[0], weights)
            for weights in resamples(clusters(a), truth)
        ]
    ).reshape(-1, len(METRICS))
    right = [c == truth for c in called]
    only_first, only_second = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    disagreed = only_first + only_second
    return {
        "split": split,
        "n": len(truth),
        "n_normal": int((~truth).sum()),
        "operating_points": [one.metrics["operating_point"] for one in evaluated],
        **{
            name: {
                "first": float(values[0][i]),
                "first_ci95": evaluated[0].metrics[f"{name}_ci95"],
                "second": float(values[1][i]),
                "second_ci95": evaluated[1].metrics[f"{name}_ci95"],
                "difference": float(values[1][i] - values[0][i]),
                "difference_ci95": percentiles(differences[:, i]),
            }
            for i, name in enumerate(METRICS)
        },
        "only_first_right": only_first,
        "only_second_right": only_second,
        "mcnemar_p": binomtest(only_first, disagreed).pvalue if disagreed else 1.0,
    }


def _metrics(
    truth: NDArray[np.bool_], scores: Float1D, called: NDArray[np.bool_], weights: Float1D
) -> Float1D:
    """METRICS, of images with weights."""
    right = called == truth
    return np.array(
        [
            np.average(right, weights=weights),
            np.average(right[truth], weights=weights[truth]),
            np.average(right[~truth], weights=weights[~truth]),
            auroc(truth, scores, weights),
        ]
    )
