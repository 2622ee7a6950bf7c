"""The figures are PNG files that show what they were given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.metrics import roc_curve

from cxrdiag.evaluation import charts
from cxrdiag.evaluation.figures import confusion_matrix, draw_confusion_matrix, draw_roc, roc
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


GOOD = _predictions([0.9, 0.8, 0.75, 0.7, 0.4], [0.1, 0.15, 0.2, 0.3, 0.6])


def test_the_roc_curve_is_scikit_learns_and_has_the_operating_point() -> None:
    metrics = compute_metrics(GOOD, 0.65)
    (axes,) = roc(GOOD, metrics).axes
    curve, chance, point = axes.lines
    fpr, tpr, _ = roc_curve(GOOD["label"] == "Pneumonia", GOOD["probability"])
    np.testing.assert_array_equal(curve.get_xydata(), np.c_[fpr, tpr])
    np.testing.assert_array_equal(chance.get_xydata(), [[0, 0], [1, 1]])
    # Of five films with pneumonia one lies below 0.65, of the normal ones none above.
    np.testing.assert_array_equal(point.get_xydata(), [[0, 0.8]])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("1 - specificity", "sensitivity")
    low, high = metrics["auroc_ci95"]
    area = f"AUROC {24 / 25:.3f} (95 % CI {low:.3f} to {high:.3f})"  # 0.4 is below 0.6
    legend = axes.get_legend()
    assert legend is not None
    told = [text.get_text() for text in legend.get_texts()]
    assert told == [area, "chance", "operating point, threshold 0.650"]


def test_the_confusion_matrix_has_each_count_where_it_belongs() -> None:
    predictions = _predictions([0.9, 0.8, 0.1], [0.2, 0.3, 0.4, 0.6, 0.1])
    (axes,) = confusion_matrix(compute_metrics(predictions, 0.5)).axes
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells == {  # column, row
        (0, 0): "4\n80.0%",
        (1, 0): "1\n20.0%",
        (0, 1): "1\n33.3%",
        (1, 1): "2\n66.7%",
    }
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("called", "labelled")
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == ["Normal", "Pneumonia"]
    assert axes.get_title() == "n = 8, threshold 0.500"


def test_classes_told_apart_without_an_error_have_a_curve_and_no_interval(tmp_path: Path) -> None:
    predictions = _predictions([0.9, 0.8, 0.7, 0.6], [0.1, 0.2, 0.3, 0.4])
    metrics = compute_metrics(predictions, 0.5)
    assert (metrics["auroc"], metrics["auroc_ci95"]) == (1.0, None)
    draw_roc(tmp_path / "roc.png", predictions, metrics)
    assert _pixels(tmp_path / "roc.png").std() > 10
    points = {"balanced": {"threshold": 0.5, "sensitivity": 1.0, "specificity": 1.0}}
    told = {**metrics, "operating_point": "balanced", "operating_points": points}
    assert "AUROC 1.000<" in charts.roc(predictions, told)


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
