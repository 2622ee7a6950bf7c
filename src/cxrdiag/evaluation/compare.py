"""Two runs on the same images: is one better, or is it chance?

Shapes: N images.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from cxrdiag.data.kaggle import PNEUMONIA
from cxrdiag.data.store import check_split
from cxrdiag.errors import DataError
from cxrdiag.evaluation.intervals import Float1D, clusters, resamples
from cxrdiag.evaluation.metrics import NAMES
from cxrdiag.files import DAMAGED
from cxrdiag.runs import SHIPPED, SHIPPED_FOLDER, evaluation_folder, of_split

_IDENTITY = ["name", "label", "patient"]


def compare(first: Path, second: Path, split: str = "test", seed: int = 0) -> dict[str, Any]:
    """Compare what `evaluate` wrote of two runs; the images are not looked at again.

    Accuracy, sensitivity, specificity and AUROC of either, and their difference, second less first,
    with the 95 % interval of a bootstrap over patients that draws the same ones for both; and
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
    called = [s >= one.threshold for s, one in zip(scores, evaluated, strict=True)]
    ones = np.ones(len(truth))
    values = [_metrics(truth, s, c, ones) for s, c in zip(scores, called, strict=True)]
    differences = np.array(
        [
            _metrics(truth, scores[1], called[1], weights)
            - _metrics(truth, scores[0], called[0], weights)
            for weights in resamples(truth, clusters(a), seed)
        ]
    )
    low, high = np.percentile(differences, [2.5, 97.5], axis=0)
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
                "first_ci95": evaluated[0].metrics.get(f"{name}_ci95"),
                "second": float(values[1][i]),
                "second_ci95": evaluated[1].metrics.get(f"{name}_ci95"),
                "difference": float(values[1][i] - values[0][i]),
                "difference_ci95": [float(low[i]), float(high[i])],
            }
            for i, name in enumerate(METRICS)
        },
        "only_first_right": only_first,
        "only_second_right": only_second,
        "mcnemar_p": binomtest(only_first, disagreed).pvalue if disagreed else 1.0,
    }


METRICS = ("accuracy", "sensitivity", "specificity", "auroc")


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
            roc_auc_score(truth, scores, sample_weight=weights),
        ]
    )


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` wrote of a run."""

    predictions: pd.DataFrame
    """By name; with _IDENTITY and probability at the least."""
    metrics: dict[str, Any]
    threshold: float


def read_evaluation(run: Path, split: str) -> Evaluation:
    """Raises DataError where the run was not evaluated on the split, or its files are damaged."""
    path = run / of_split("metrics.json", split)
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        threshold = float(metrics["threshold"])
        path = run / of_split("predictions.csv", split)
        predictions = pd.read_csv(path, keep_default_na=False, dtype=dict.fromkeys(_IDENTITY, str))
        _check(metrics, predictions[[*_IDENTITY, "probability"]])
        return Evaluation(predictions.sort_values("name", ignore_index=True), metrics, threshold)
    except FileNotFoundError as error:
        on = f" --split {split}" if split != "test" else ""
        named = SHIPPED if run == evaluation_folder(SHIPPED_FOLDER) else run
        raise DataError(
            "the run was not evaluated on this split",
            path=path,
            hint=f"cxrdiag eval --run {named}{on}",
            code="not_evaluated",
        ) from error
    except DAMAGED as error:
        raise DataError(
            f"damaged: {error!r}", path=path, hint="evaluate it again", code="damaged_metrics"
        ) from error


def refuse_other_images(runs: Sequence[Path], evaluated: Sequence[Evaluation]) -> None:
    """Raise DataError where a run was evaluated on other images than the first."""
    images = evaluated[0].predictions[_IDENTITY]
    for run, other in zip(runs, evaluated, strict=True):
        if not other.predictions[_IDENTITY].equals(images):
            raise DataError(
                f"was evaluated on other images than {runs[0]}",
                path=run,
                hint="evaluate both on the same store",
                code="different_images",
            )


def _check(metrics: dict[str, Any], predictions: pd.DataFrame) -> None:
    """Raise ValueError on what is no share, or no metric."""
    if not isinstance(metrics["operating_point"], str):
        raise ValueError("its operating point has no name")
    shares = predictions["probability"].astype(np.float64)
    if not (shares.between(0, 1).all() and 0 <= metrics["threshold"] <= 1):
        raise ValueError("a probability, or the threshold, is not between 0 and 1")
    for name in NAMES:
        if metrics.get(name) is not None and not _is_share(metrics[name]):
            raise ValueError(f"{name} is {metrics[name]!r}")
    for name in METRICS:
        low, high = metrics.get(f"{name}_ci95") or (0, 1)
        if not (_is_share(low) and _is_share(high)):
            raise ValueError(f"the interval of {name} is {low!r} to {high!r}")


def _is_share(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value <= 1
