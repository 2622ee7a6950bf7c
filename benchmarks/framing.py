"""How far a film's framing moves a run's answer: validation films stretched, zoomed and shifted.

    python benchmarks/framing.py --data STORE [--native STORE] RUN [RUN ...]

A film's width against its height, and how closely the chest fills it, tell where and of whom it
was taken, not whether there is pneumonia. Reframing all films alike hardly shows what a network
makes of that, because all logits move together. So the AUROC is also taken with all framings
pooled: the normal films in any framing must rank below the pneumonia films in any other. Reads the
validation split. `--native` names a store of files that nobody has resized before: there the width
over the height of training and validation films is set against the label by itself. Writes
benchmarks/results/framing.json, and prints a table.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from accuracy import provenance
from sklearn.metrics import roc_auc_score
from torch.nn import functional as F

from cxrdiag.data.batches import Split
from cxrdiag.data.resample import resize
from cxrdiag.data.store import Store, open_store
from cxrdiag.model.checkpoint import load_model
from cxrdiag.model.classifier import Classifier
from cxrdiag.training.environment import describe_environment

RESULTS = Path(__file__).parent / "results" / "framing.json"
# Width and height of what is seen, and its offset to the right and down, in image sides.
FRAMINGS = {
    "as it is": (1.0, 1.0, 0.0, 0.0),
    "narrower by 1.2": (1.095, 0.913, 0.0, 0.0),
    "wider by 1.2": (0.913, 1.095, 0.0, 0.0),
    "narrower by 1.4": (1.183, 0.845, 0.0, 0.0),
    "wider by 1.4": (0.845, 1.183, 0.0, 0.0),
    "zoomed in to 0.8": (0.8, 0.8, 0.0, 0.0),
    "zoomed out to 1.2": (1.2, 1.2, 0.0, 0.0),
    "a tenth higher": (1.0, 1.0, 0.0, 0.1),
    "a tenth lower": (1.0, 1.0, 0.0, -0.1),
    "a tenth to the side": (1.0, 1.0, 0.1, 0.0),
}


def main() -> None:
    """Measure every run and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--native", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    arguments = parser.parse_args()
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
    for run in arguments.runs:
        document["runs"][str(run)] = measure(load_model(run, device), val)
        show(str(run), document["runs"][str(run)])
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
    """AUROC as it is, pooled, and with the films of one class reframed."""
    targets_N = val.targets_N.numpy()
    logits = {name: reframed_logits(classifier, val, f) for name, f in FRAMINGS.items()}
    plain_N = logits["as it is"]
    all_alike = {n: float(roc_auc_score(targets_N, logits_N)) for n, logits_N in logits.items()}
    one_class = {
        what: {
            name: float(roc_auc_score(targets_N, np.where(targets_N == label, logits_N, plain_N)))
            for name, logits_N in logits.items()
        }
        for what, label in (("normal_reframed", 0), ("pneumonia_reframed", 1))
    }
    pooled = roc_auc_score(np.tile(targets_N, len(logits)), np.concatenate(list(logits.values())))
    return {
        "auroc": all_alike["as it is"],
        "pooled_auroc": float(pooled),
        "all_reframed": all_alike,
        **one_class,
    }


def reframed_logits(
    classifier: Classifier, val: Split, framing: tuple[float, float, float, float]
) -> np.ndarray:
    """Logits (N,) of the split in one framing."""
    width, height, right, down = framing
    # In affine_grid's units an image is 2 wide.
    theta_23 = torch.tensor([[width, 0, 2 * right], [0, height, 2 * down]])
    logits = []
    for images_BSS, _ in val.in_order(128):
        x = resize(images_BSS, classifier.info.resolution)
        grid = F.affine_grid(theta_23.expand(len(x), 2, 3), list(x.shape), align_corners=False)
        logits.append(classifier.pixel_logits(F.grid_sample(x, grid, align_corners=False)))
    return np.concatenate(logits)


def show(name: str, result: dict) -> None:
    """One run as a table."""
    print(f"\n{name}: AUROC {result['auroc']:.4f}, pooled {result['pooled_auroc']:.4f}")
    which = ("all", "normal", "pneumonia")
    print(f"{'AUROC, reframed:':20s}" + "".join(f"{w:>11s}" for w in which))
    for framing in FRAMINGS:
        values = (result[f"{w}_reframed"][framing] for w in which)
        print(f"{framing:20s}" + "".join(f"{value:11.4f}" for value in values))


if __name__ == "__main__":
    main()
