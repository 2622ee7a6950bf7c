"""The charts of a report: ROC, reliability, probabilities, training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from sklearn.metrics import roc_curve

from cxrdiag.data.kaggle import PNEUMONIA
from cxrdiag.evaluation.calibration import BINS, reliability, weights_at
from cxrdiag.evaluation.svg import Chart
from cxrdiag.evaluation.words import auroc_in_words
from cxrdiag.model.probability import probability


def roc(predictions: pd.DataFrame, metrics: dict[str, Any]) -> Markup:
    """The ROC curve with all operating points on it."""
    fpr, tpr, _ = roc_curve(predictions["label"] == PNEUMONIA, predictions["probability"])
    area = auroc_in_words(metrics)
    chart = Chart(
        "ROC curve and operating points",
        area,
        ("1 - specificity", 0, 1),
        ("sensitivity", 0, 1),
    )
    chart.line([0, 1], [0, 1], "c3", "chance")
    chart.line(fpr, tpr, "c0", area)
    used_point = metrics["operating_point"]
    others = {
        name: point for name, point in metrics["operating_points"].items() if name != used_point
    }
    chart.dots(
        [1 - point["specificity"] for point in others.values()],
        [point["sensitivity"] for point in others.values()],
        "c2",
        "other operating points: see the table",
        [f"{name}: threshold {point['threshold']:.3f}" for name, point in others.items()],
    )
    used = f"threshold {metrics['threshold']:.3f}"
    x, y = 1 - metrics["specificity"], metrics["sensitivity"]
    chart.dots([x], [y], "c1", f"used here, {used}", [used])
    return chart.svg()


def reliability_diagram(predictions: pd.DataFrame, metrics: dict[str, Any]) -> Markup:
    """Frequency against probability with the temperature and without, films reweighted."""
    truth_N = (predictions["label"] == PNEUMONIA).to_numpy()
    weights_N = weights_at(truth_N, metrics["probability_prevalence"])
    chart = Chart(
        "Reliability, with the number of films",
        f"Expected calibration error {metrics['ece_reweighted']:.3f}, without temperature "
        f"{metrics['ece_reweighted_without_temperature']:.3f}",
        ("probability of pneumonia", 0, 1),
        ("frequency of pneumonia", 0, 1),
    )
    chart.line([0, 1], [0, 1], "c3", "perfectly calibrated")
    for name, temperature, colour in (
        ("without temperature", 1.0, "c2"),
        ("as it is", metrics["temperature"], "c0"),
    ):
        p_N = probability(predictions["logit"], temperature)
        mean, frequency, count = reliability(truth_N, p_N, weights_N)
        there = count > 0
        said = [f"{n} films" for n in count[there]]
        # A bin of few films says little: a dot's area is their number, down to what can be seen.
        sizes = list(np.maximum(10 * np.sqrt(count[there] / count.max()), 2.5))
        chart.dots(list(mean[there]), list(frequency[there]), colour, name, said, sizes)
        if colour == "c0":
            chart.texts(list(mean[there]), list(frequency[there]), [str(n) for n in count[there]])
    return chart.svg()


def probabilities(predictions: pd.DataFrame, metrics: dict[str, Any]) -> Markup:
    """How many films of either class got which probability."""
    edges = np.linspace(0, 1, BINS + 1)
    sick_N = predictions["label"] == PNEUMONIA
    counts = {
        name: np.histogram(predictions["probability"][which], edges)[0]
        for name, which in (("labelled Pneumonia", sick_N), ("labelled Normal", ~sick_N))
    }
    top = 4 * -(-max(1, *(int(count.max()) for count in counts.values())) // 4)
    chart = Chart(
        "Probabilities that were given",
        f"Threshold {metrics['threshold']:.3f}",
        ("probability of pneumonia", 0, 1),
        ("films", 0, top),
    )
    for (name, count), colour in zip(counts.items(), ("c1", "c0"), strict=True):
        chart.bars(list(edges), count.tolist(), colour, name)
    chart.line([metrics["threshold"]] * 2, [0, top], "c3", "threshold")
    return chart.svg()


def training(history: pd.DataFrame) -> Markup:
    """AUROC on validation after each epoch."""
    columns = {"val_auroc": ("validation", "c2"), "shifted_auroc": ("shifted validation", "c0")}
    lowest = np.floor(history[list(columns)].min().min() * 10) / 10
    chart = Chart(
        "AUROC while training",
        f"{len(history)} epochs",
        ("epoch", 0, max(len(history), 1)),
        ("AUROC", float(min(lowest, 0.9)), 1),
    )
    for column, (name, colour) in columns.items():
        chart.line(history["epoch"], history[column], colour, name)
    return chart.svg()
