"""How far a run's answer depends on how a film was framed and exposed: validation, shifted.

    python benchmarks/shifts.py --data STORE [--native STORE] RUN [RUN ...]

A RUN is a folder, or `shipped`.

What of a film is in view, its width against its height and its gray levels tell where and of whom
it was taken, not whether there is pneumonia. Shifting all films alike hardly shows what a network
makes of that, because all logits move together. So under each of the package's acquisition shifts
(cxrdiag.data.shifts) the films of one class are shifted, and ranked against the other class's as
they are; and it is counted how many of either are called rightly at the run's threshold. These are
the shifts by which epoch and threshold were chosen, one at a time: they show what a network leans
on, and are no independent evidence of how good it is.

Reads the validation split. `--native` names a store of files that nobody has resized before: there
the width over the height of training and validation films is set against the label by itself.
Writes benchmarks/results/shifts.json, and prints a table.

Shapes: N films of the split, C shifted copies of M of them, B batch, S side of a stored square.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from provenance import provenance
from sklearn.metrics import roc_auc_score

from cxrdiag.data.batches import Split
from cxrdiag.data.shifts import SHIFTS, Shift
from cxrdiag.data.store import Store, open_store
from cxrdiag.model.checkpoint import load_model
from cxrdiag.model.classifier import Classifier
from cxrdiag.model.probability import probability
from cxrdiag.runs import find_model
from cxrdiag.training.environment import describe_environment
from cxrdiag.training.validation import Validation

RESULTS = Path(__file__).parent / "results" / "shifts.json"


def main() -> None:
    """Measure every run and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--native", type=Path)
    parser.add_argument("runs", nargs="+")
    arguments = parser.parse_args()
    runs = {Path(run).name: find_model(run) for run in arguments.runs}
    if len(runs) < len(arguments.runs):
        parser.error("two runs of one name: the results are kept by name")
    device = torch.device("cpu")
    val = Split(open_store(arguments.data), "val", device)
    document = {
        **provenance(),
        "environment": describe_environment(device),
        "n": len(val),
        "runs": {},
    }
    if arguments.native:
        document["native_aspect"] = native_aspect(open_store(arguments.native))
        print(f"native width over height: {document['native_aspect']}")
    for name, run in runs.items():
        document["runs"][name] = measure(load_model(run, device), val)
        show(name, document["runs"][name])
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")


def native_aspect(store: Store) -> dict:
    """Width over height of the files as they came: its medians, and how well it tells the class."""
    records = store.records[store.records["split"] != "test"]
    aspect = records["width"] / records["height"]
    targets = records["label"] == "Pneumonia"
    return {
        "n": len(aspect),
        "median_normal": round(float(aspect[~targets].median()), 2),
        "median_pneumonia": round(float(aspect[targets].median()), 2),
        "auroc": round(float(roc_auc_score(targets, aspect)), 3),
    }


def measure(classifier: Classifier, val: Split) -> dict:
    """AUROC as it is, and with films of both classes and of either shifted; calls when shifted."""
    targets_N = val.targets_N.numpy()
    images_NSS = val.images(torch.arange(len(val)))
    plain_N = classifier.split_logits(val)
    result = {"auroc": float(roc_auc_score(targets_N, plain_N))}
    for kind, shifts in SHIFTS.items():
        logits = {name: shifted_logits(classifier, images_NSS, f) for name, f in shifts.items()}
        result[kind] = {
            what: with_mean(
                {
                    name: float(roc_auc_score(targets_N, np.where(moved_N, logits_N, plain_N)))
                    for name, logits_N in logits.items()
                }
            )
            for what, moved_N in (
                ("all", np.ones_like(targets_N, dtype=bool)),
                ("normal", targets_N == 0),
                ("pneumonia", targets_N == 1),
            )
        }
        called = {name: is_called(classifier, logits_N) for name, logits_N in logits.items()}
        result[kind]["specificity"] = with_mean(
            {name: float(1 - called_N[targets_N == 0].mean()) for name, called_N in called.items()}
        )
        result[kind]["sensitivity"] = with_mean(
            {name: float(called_N[targets_N == 1].mean()) for name, called_N in called.items()}
        )
    result["copies"] = {
        "as they are": of_copies(classifier, val, normal_cut=0),
        "normal films cut": of_copies(classifier, val, normal_cut=0.2),
    }
    return result


def with_mean(values: dict[str, float]) -> dict[str, float]:
    """The values, and their mean."""
    return {**values, "mean": sum(values.values()) / len(values)}


def shifted_logits(classifier: Classifier, images_NSS: torch.Tensor, shift: Shift) -> np.ndarray:
    """Logits (N,) of stored squares after a shift."""
    parts = (shift(images_BSS[:, None])[:, 0] for images_BSS in images_NSS.split(128))
    return np.concatenate([classifier.logits(part) for part in parts])


def of_copies(classifier: Classifier, val: Split, normal_cut: float) -> dict:
    """AUROC of all shifted copies together, and what of them is called rightly."""
    validation = Validation(val, classifier.info.resolution, normal_cut)
    logits_CM, targets_CM = validation.shifted_logits(classifier)
    called_CM = is_called(classifier, logits_CM)
    return {
        "auroc": float(roc_auc_score(targets_CM.ravel(), logits_CM.ravel())),
        "specificity": float(1 - called_CM[targets_CM == 0].mean()),
        "sensitivity": float(called_CM[targets_CM == 1].mean()),
    }


def is_called(classifier: Classifier, logits: np.ndarray) -> np.ndarray:
    """Which of the films are called pneumonia."""
    return probability(logits, classifier.info.temperature) >= classifier.info.threshold


def show(name: str, result: dict) -> None:
    """One run as a table."""
    print(f"\n{name}: AUROC {result['auroc']:.4f}")
    which = ("all", "normal", "pneumonia", "specificity", "sensitivity")
    for kind in SHIFTS:
        print(f"{'AUROC, shifted:':26s}" + "".join(f"{w:>12s}" for w in which))
        for shift in result[kind]["all"]:
            values = (result[kind][w][shift] for w in which)
            print(f"{shift:26s}" + "".join(f"{value:12.4f}" for value in values))
    for name, values in result["copies"].items():
        shown = ", ".join(f"{what} {value:.4f}" for what, value in values.items())
        print(f"all copies, {name}: {shown}")


if __name__ == "__main__":
    main()
