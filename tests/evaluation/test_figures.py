"""The figures are PNG files that show what they were given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cxrdiag.evaluation.charts import roc
from cxrdiag.evaluation.figures import draw_confusion_matrix, draw_roc
from cxrdiag.evaluation.metrics import compute_metrics


def _predictions(pneumonia: list[float], normal: list[float]) -> pd.DataFrame:
    n = len(pneumonia) + len(normal)
    return pd.DataFrame(
        {
            "name": [str(i) for i in range(n)],
            "label": ["Pneumonia"] * len(pneumonia) + ["Normal"] * len(normal),
            "patient": "",
            "subtype": "",
            "probability": pneumonia + normal,
        }
    )


def _pixels(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


GOOD = _predictions([0.9, 0.8, 0.7, 0.4], [0.1, 0.2, 0.3, 0.6])
BAD = _predictions([0.1, 0.2, 0.3, 0.6], [0.9, 0.8, 0.7, 0.4])


@pytest.mark.parametrize("what", ["roc", "confusion"])
def test_a_figure_is_a_png_and_another_model_gives_another(what: str, tmp_path: Path) -> None:
    pictures = []
    for number, predictions in enumerate((GOOD, BAD)):
        path = tmp_path / f"{number}.png"
        metrics = compute_metrics(predictions, 0.5)
        if what == "roc":
            draw_roc(path, predictions, metrics)
        else:
            draw_confusion_matrix(path, metrics)
        pictures.append(_pixels(path))
    first, second = pictures
    assert min(first.shape[:2]) > 500
    assert first.std() > 10
    assert first.shape == second.shape
    assert (first != second).mean() > 0.005
    assert {path.name for path in tmp_path.iterdir()} == {"0.png", "1.png"}


def test_classes_told_apart_without_an_error_have_a_curve_and_no_interval(tmp_path: Path) -> None:
    predictions = _predictions([0.9, 0.8, 0.7, 0.6], [0.1, 0.2, 0.3, 0.4])
    metrics = compute_metrics(predictions, 0.5)
    assert (metrics["auroc"], metrics["auroc_ci95"]) == (1.0, None)
    draw_roc(tmp_path / "roc.png", predictions, metrics)
    assert _pixels(tmp_path / "roc.png").std() > 10
    points = {"balanced": {"threshold": 0.5, "sensitivity": 1.0, "specificity": 1.0}}
    told = {**metrics, "operating_point": "balanced", "operating_points": points}
    assert "AUROC 1.000<" in roc(predictions, told)


def test_a_figure_is_the_same_for_the_same_numbers(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw_confusion_matrix(tmp_path / name, compute_metrics(GOOD, 0.5))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_darkest_cell_is_the_commonest_call(tmp_path: Path) -> None:
    # All called Pneumonia: the right column is dark, the left one white.
    draw_confusion_matrix(tmp_path / "x.png", compute_metrics(GOOD, 0.0))
    blue = _pixels(tmp_path / "x.png").astype(int)
    dark = (blue[..., 2] - blue[..., 0] > 60) & (blue[..., 0] < 60)
    rows, columns = np.nonzero(dark)
    assert dark.mean() > 0.1
    assert columns.min() > blue.shape[1] * 0.45
    assert rows.max() - rows.min() > blue.shape[0] * 0.5


def test_one_class_still_has_a_confusion_matrix(tmp_path: Path) -> None:
    draw_confusion_matrix(tmp_path / "x.png", compute_metrics(_predictions([0.9], []), 0.5))
    assert _pixels(tmp_path / "x.png").std() > 10
