"""Train the shipped model and put it into the package, with its card.

    python benchmarks/ship.py --data FOLDER --why "release 0.1" [--work bench] [--refit]

The recipe `best` with seed 0: which seed was settled before any was looked at on test. A run that
benchmarks/accuracy.py left in the work folder is taken as it is. With --refit the network that is
in the package stays, and what is fitted to it on validation after training is fitted anew:
temperature, operating points, detector. Writes src/cxrdiag/weights: model.safetensors, model.json,
model.onnx, metrics.json (of test), MODEL_CARD.md.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from accuracy import cxrdiag, enter, measure
from provenance import provenance

from cxrdiag.data.batches import Split
from cxrdiag.data.store import open_store
from cxrdiag.evaluation.card import shipped_card
from cxrdiag.files import new_folder
from cxrdiag.model.checkpoint import halved, load_model, save_model
from cxrdiag.model.graph import build_graph
from cxrdiag.model.weights import read_weights
from cxrdiag.runs import GRAPH
from cxrdiag.training.detector import fit_detector
from cxrdiag.training.recipe import load_recipe
from cxrdiag.training.validation import Validation

RECIPE, SEED = "best", 0
PACKAGE = Path(__file__).parent.parent / "src" / "cxrdiag" / "weights"
CPU = torch.device("cpu")


def main() -> None:
    """Prepare, train and evaluate what is not done yet, then copy and write the card."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("bench"))
    parser.add_argument("--why", required=True, help="goes into the ledger of looks at test")
    parser.add_argument("--refit", action="store_true", help="keep the network in the package")
    arguments = parser.parse_args()
    store = arguments.work / "prepared"
    run = arguments.work / "runs" / f"{RECIPE}-seed{SEED}"
    cxrdiag("prepare", "--kaggle-dir", arguments.data, "--out", store)
    if arguments.refit:
        refit(store, run)
        cxrdiag("eval", "--data", store, "--run", run)
        enter(run, arguments.why)
    else:
        measure(RECIPE, SEED, store, run, arguments.why)
    info = load_model(run, CPU).info
    metrics = json.loads((run / "metrics.json").read_text())
    with new_folder(PACKAGE) as folder:
        for name in ("model.safetensors", "model.json", "metrics.json"):
            shutil.copyfile(run / name, folder / name)
        graph = build_graph(read_weights(run)[1], info)
        (folder / GRAPH).write_bytes(graph.SerializeToString())
        (folder / "MODEL_CARD.md").write_text(shipped_card(info, metrics), encoding="utf-8")


def refit(store: Path, run: Path) -> None:
    """Write the network in the package into a new run, with what is fitted to it after training."""
    classifier = load_model(PACKAGE, CPU)
    train, val = (Split(open_store(store), name, CPU) for name in ("train", "val"))
    cut = load_recipe(RECIPE).augment.normal_cut
    validation = Validation(val, classifier.info.resolution, cut)
    info = validation.calibrate(classifier)
    detector = fit_detector(classifier, train, validation)
    run.mkdir(parents=True)
    save_model(run, halved(classifier.network.state_dict()), detector, info)
    (run / "benchmark.json").write_text(json.dumps(provenance()))


if __name__ == "__main__":
    main()
