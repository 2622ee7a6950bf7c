"""What an evaluation writes of predictions that are made up."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from cxrdiag.evaluation.metrics import compute_metrics
from cxrdiag.evaluation.read import FORMAT


def write_evaluation(
    folder: Path, predictions: pd.DataFrame, threshold: float = 0.5, point: str = "balanced"
) -> Path:
    """predictions.csv and metrics.json, of the test split, in a folder that may be there."""
    folder.mkdir(exist_ok=True)
    predictions.to_csv(folder / "predictions.csv", index=False)
    metrics = {
        **FORMAT,
        "split": "test",
        "operating_point": point,
        **compute_metrics(predictions, threshold),
        "weights_sha256": folder.name,
        "trained_on_this_store": True,
        "init": "random",
    }
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    return folder
