"""Which rule for the threshold calls other films best: validation, halved by patient.

    python benchmarks/threshold_rules.py --data STORE RUN [RUN ...]

A RUN is a folder, or `shipped`. Of each run the logits of shifted validation are taken, normal
films cut to four fifths of their height. 200 times half of the patients choose a threshold by each
rule, and the films of the other half are called by it: sensitivity and specificity, their mean, the
lower of the two, and how far the threshold moves between the draws. Reads the validation split
alone. Writes benchmarks/results/threshold_rules.json, and prints a table.

Shapes: C shifted copies of each of M films.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from provenance import provenance
from sklearn.metrics import roc_curve

from cxrdiag.data.batches import Split
from cxrdiag.data.store import open_store
from cxrdiag.evaluation.threshold import choose_threshold
from cxrdiag.model.checkpoint import load_model
from cxrdiag.runs import find_model
from cxrdiag.training.environment import describe_environment
from cxrdiag.training.validation import Validation

RESULTS = Path(__file__).parent / "results" / "threshold_rules.json"
NORMAL_CUT, DRAWS = 0.2, 200
FIGURES = ("threshold", "threshold_sd", "specificity", "sensitivity", "mean", "lower")

Rule = Callable[[np.ndarray, np.ndarray], float]
"""Logits and targets, both (C, M), to a logit."""


def equal_error_rate(logits: np.ndarray, targets: np.ndarray) -> float:
    """Where sensitivity and specificity are alike."""
    fpr, tpr, thresholds = roc_curve(targets.ravel(), logits.ravel(), drop_intermediate=False)
    return float(thresholds[1:][np.abs(tpr - (1 - fpr))[1:].argmin()])


def youden(logits: np.ndarray, targets: np.ndarray) -> float:
    """Where their sum is highest."""
    fpr, tpr, thresholds = roc_curve(targets.ravel(), logits.ravel(), drop_intermediate=False)
    return float(thresholds[1:][(tpr - fpr)[1:].argmax()])


def nearest_to_a_half(logits: np.ndarray, targets: np.ndarray) -> float:
    """The rule of network 10: the mean over copies of the best, or as good, nearest to 0.

    As good is a balanced accuracy within one standard error of the highest.
    """
    return float(np.mean([_nearest(*copy) for copy in zip(logits, targets, strict=True)]))


def _nearest(logits: np.ndarray, targets: np.ndarray) -> float:
    fpr, tpr, thresholds = roc_curve(targets, logits, drop_intermediate=False)
    balanced = (tpr + 1 - fpr) / 2
    best = int(balanced.argmax())
    n_pneumonia = targets.sum()
    variance = tpr * (1 - tpr) / n_pneumonia + fpr * (1 - fpr) / (len(targets) - n_pneumonia)
    worse = np.flatnonzero(balanced < balanced[best] - np.sqrt(variance[best]) / 2)
    first = max((int(i) + 1 for i in worse if i < best), default=0)
    last = min((int(i) - 1 for i in worse if i > best), default=len(thresholds) - 1)
    ends = np.append(np.clip(thresholds, -36, 36), max(thresholds[-1], -36))
    return float(np.clip(0.0, ends[last : last + 2].mean(), ends[first : first + 2].mean()))


RULES: dict[str, Rule] = {
    "logistic regression": lambda logits, targets: choose_threshold(
        logits.ravel(), targets.ravel()
    ),
    "equal error rate": equal_error_rate,
    "Youden's index": youden,
    "nearest to a half": nearest_to_a_half,
    "a half": lambda logits, targets: 0.0,
}


def main() -> None:
    """Draw the halves of every run and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("runs", nargs="+")
    arguments = parser.parse_args()
    device = torch.device("cpu")
    store = open_store(arguments.data)
    val = Split(store, "val", device)
    patients_M = store.records["patient"].to_numpy()[val.rows_N]
    document = {
        **provenance(),
        "environment": describe_environment(device),
        "draws": DRAWS,
        "runs": {},
    }
    for name in arguments.runs:
        classifier = load_model(find_model(name), device)
        validation = Validation(val, classifier.info.resolution, NORMAL_CUT)
        found = halves(*validation.shifted_logits(classifier), patients_M)
        document["runs"][Path(name).name] = found
        show(Path(name).name, found)
    rules = {rule: [found[rule] for found in document["runs"].values()] for rule in RULES}
    document["mean"] = {
        rule: {figure: float(np.mean([row[figure] for row in rows])) for figure in FIGURES}
        for rule, rows in rules.items()
    }
    show("mean of the runs", document["mean"])
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")


def halves(logits_CM: np.ndarray, targets_CM: np.ndarray, patients_M: np.ndarray) -> dict:
    """FIGURES of each rule, means over the draws."""
    rng, patients = np.random.default_rng(0), np.unique(patients_M)
    rows: dict[str, list[tuple[float, float, float]]] = {rule: [] for rule in RULES}
    for _ in range(DRAWS):
        chosen_M = np.isin(patients_M, rng.choice(patients, len(patients) // 2, replace=False))
        others, truth = logits_CM[:, ~chosen_M], targets_CM[:, ~chosen_M] > 0
        for name, rule in RULES.items():
            threshold = rule(logits_CM[:, chosen_M], targets_CM[:, chosen_M])
            called = others >= threshold
            rows[name].append((threshold, (~called)[~truth].mean(), called[truth].mean()))
    found = {}
    for name, of_rule in rows.items():
        threshold, specificity, sensitivity = np.array(of_rule).T
        figures = (
            threshold.mean(),
            threshold.std(),
            specificity.mean(),
            sensitivity.mean(),
            (specificity + sensitivity).mean() / 2,
            np.minimum(specificity, sensitivity).mean(),
        )
        found[name] = dict(zip(FIGURES, map(float, figures), strict=True))
    return found


def show(name: str, found: dict) -> None:
    """One run as a table."""
    print(f"\n{name:22s}" + "".join(f"{figure:>14s}" for figure in FIGURES))
    for rule, figures in found.items():
        print(f"{rule:22s}" + "".join(f"{figures[figure]:14.4f}" for figure in FIGURES))


if __name__ == "__main__":
    main()
