"""Train the shipped model and put it into the package, with its card.

    python benchmarks/ship.py --data FOLDER --why "release 0.1" [--work bench]

The recipe `best` with seed 0: which seed was settled before any was looked at on test. A run that
benchmarks/accuracy.py left in the work folder is taken as it is. Writes src/cxrdiag/weights:
model.safetensors, model.json, metrics.json (of test), MODEL_CARD.md.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from accuracy import cxrdiag, measure

from cxrdiag.evaluation.card import shipped_card
from cxrdiag.files import new_folder
from cxrdiag.model.checkpoint import load_model

RECIPE, SEED = "best", 0
PACKAGE = Path(__file__).parent.parent / "src" / "cxrdiag" / "weights"


def main() -> None:
    """Prepare, train and evaluate what is not done yet, then copy and write the card."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("bench"))
    parser.add_argument("--why", required=True, help="goes into the ledger of looks at test")
    arguments = parser.parse_args()
    store = arguments.work / "prepared"
    run = arguments.work / "runs" / f"{RECIPE}-seed{SEED}"
    cxrdiag("prepare", "--kaggle-dir", arguments.data, "--out", store)
    measure(RECIPE, SEED, store, run, arguments.why)
    info = load_model(run, torch.device("cpu")).info
    metrics = json.loads((run / "metrics.json").read_text())
    with new_folder(PACKAGE) as folder:
        for name in ("model.safetensors", "model.json", "metrics.json"):
            shutil.copyfile(run / name, folder / name)
        (folder / "MODEL_CARD.md").write_text(shipped_card(info, metrics), encoding="utf-8")


if __name__ == "__main__":
    main()
