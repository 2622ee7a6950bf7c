"""What an evaluation wrote, read back: metrics.json and predictions.csv of a run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxrdiag.data.kaggle import PNEUMONIA
from cxrdiag.errors import DataError
from cxrdiag.evaluation.words import NAMES
from cxrdiag.files import DAMAGED
from cxrdiag.model.info import in_one_line
from cxrdiag.runs import SHIPPED, SHIPPED_FOLDER, evaluation_folder, of_split

if TYPE_CHECKING:
    import pandas as pd

FORMAT = {"format": "cxrdiag metrics", "version": 1}
"""How metrics.json begins."""
_COUNTS = ("true_positives", "false_negatives", "true_negatives", "false_positives")
_IDENTITY = ["name", "label", "patient"]
"""The columns of predictions.csv that tell which images were evaluated."""


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` wrote of a run."""

    predictions: pd.DataFrame
    """By name; with _IDENTITY and probability at the least."""
    metrics: dict[str, Any]


def read_metrics(run: Path, split: str) -> dict[str, Any]:
    """The metrics of a run on a split, every one of NAMES a share or None.

    Raises DataError where the run was not evaluated on the split, or the document is damaged or of
    another version of cxrdiag.
    """
    path = run / of_split("metrics.json", split)
    command = _command(run, split)
    if not path.is_file():  # a pipe would be waited for
        raise DataError(
            "the run was not evaluated on this split", path=path, hint=command, code="not_evaluated"
        )
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        if {name: metrics.get(name) for name in FORMAT} != FORMAT:
            raise DataError(
                "was written by another version of cxrdiag",
                path=path,
                hint=f"evaluate it again: {command}",
                code="metrics_version",
            )
        _check(metrics)
    except DAMAGED as error:
        raise _damaged(path, error, command) from error
    return dict(metrics)


def read_evaluation(run: Path, split: str) -> Evaluation:
    """Metrics and predictions. Raises as `read_metrics`, and where the two do not agree."""
    import pandas as pd  # here: `cxrdiag models` reads metrics alone, and soon

    metrics = read_metrics(run, split)
    path = run / of_split("predictions.csv", split)
    try:
        if not path.is_file():
            raise ValueError("it is missing")
        texts = dict.fromkeys((*_IDENTITY, "probability"), str)
        predictions = pd.read_csv(path, keep_default_na=False, dtype=texts)
        # By Python: some readers are off by the last bit, and the threshold may lie there.
        predictions["probability"] = [float(text) for text in predictions["probability"]]
        predictions = predictions.sort_values("name", ignore_index=True)
        _check_predictions(predictions[[*_IDENTITY, "probability"]], metrics)
    except DAMAGED as error:
        raise _damaged(path, error, _command(run, split)) from error
    return Evaluation(predictions, metrics)


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


def _command(run: Path, split: str) -> str:
    named = SHIPPED if run == evaluation_folder(SHIPPED_FOLDER) else run
    return f"cxrdiag eval --run {shlex.quote(str(named))}" + (
        f" --split {split}" if split != "test" else ""
    )


def _damaged(path: Path, error: Exception, command: str) -> DataError:
    hint = f"evaluate it again: {command}"
    message = f"damaged: {in_one_line(repr(error))}"
    return DataError(message, path=path, hint=hint, code="damaged_metrics")


def _check(metrics: dict[str, Any]) -> None:
    """Raise ValueError on what is no share, no interval or no count; KeyError where one lacks."""
    if not isinstance(metrics["operating_point"], str):
        raise ValueError("its operating point has no name")
    counts = [metrics[name] for name in _COUNTS]
    for count in (*counts, metrics["n"], metrics.get("test_evaluations", 0)):
        if type(count) is not int or count < 0:
            raise ValueError(f"a count is {count!r}")
    if sum(counts) != metrics["n"]:
        raise ValueError("its counts are not those of its images")
    for name in ("split", "weights_sha256"):
        if not isinstance(metrics[name], str):
            raise ValueError(f"{name} is {metrics[name]!r}")
    if not isinstance(metrics["trained_on_this_store"], bool):
        raise ValueError("whether it is of the store that it was trained on is not said")
    if not _is_share(metrics["threshold"]):
        raise ValueError(f"the threshold is {metrics['threshold']!r}")
    for name in NAMES:
        value, interval = metrics[name], metrics[f"{name}_ci95"]
        if value is not None and not _is_share(value):
            raise ValueError(f"{name} is {value!r}")
        if interval is not None:
            low, high = interval
            if not (_is_share(low) and _is_share(high) and low <= high):
                raise ValueError(f"the interval of {name} is {low!r} to {high!r}")


def _check_predictions(predictions: pd.DataFrame, metrics: dict[str, Any]) -> None:
    """Raise ValueError on what is no probability, or where the counts of metrics are not these."""
    shares = predictions["probability"]
    if not shares.between(0, 1).all():
        raise ValueError("a probability is not between 0 and 1")
    sick, called = predictions["label"] == PNEUMONIA, shares >= metrics["threshold"]
    found = [(sick & called).sum(), (sick & ~called).sum()]
    found += [(~sick & ~called).sum(), (~sick & called).sum()]
    if found != [metrics[name] for name in _COUNTS]:
        raise ValueError("it is not what metrics.json was computed from")


def _is_share(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value <= 1
