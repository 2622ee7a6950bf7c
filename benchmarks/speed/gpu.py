"""How fast a GPU trains; writes results/gpu.json: where there is no GPU, that it was not run.

    python benchmarks/speed/gpu.py --data FOLDER [--work bench/gpu]

FOLDER is the CoronaHack data set. ResNet-18 at 224 pixels, images a second in the training loop;
and `cxrdiag train --epochs 30 --device cuda` as a whole process, from its start to the written
model, with what it reaches on validation. The test split is not read: what accuracy such a
training has there, and when it passes 0.93, `accuracy.py` is to say.
"""

import argparse
import csv
import json
import sys
from pathlib import Path

from timing import Side, alternate, as_json

sys.path.insert(0, str(Path(__file__).parent.parent))

RESULTS = Path(__file__).parent.parent / "results" / "gpu.json"
CXRDIAG = (sys.executable, "-m", "cxrdiag")
REPEATS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("bench/gpu"))
    arguments = parser.parse_args()
    import torch
    from accuracy import cxrdiag
    from provenance import provenance

    from cxrdiag.training.environment import describe_environment

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    document = {**provenance(), "environment": describe_environment(device)}
    if device.type == "cuda":
        store = (arguments.work / "prepared").resolve()
        cxrdiag("prepare", "--kaggle-dir", arguments.data, "--out", store)
        train = (*CXRDIAG, "train", "--device", "cuda", "--data", str(store), "--run", "{work}/run")
        large = ("data.resolution=224", "model.width=64", "training.batch_size=256")
        large += ("training.consistency=0", "training.optimizer=adamw")  # one view of a film
        settings = [option for setting in large for option in ("--set", setting)]
        sides = (
            Side("224 pixels", (*train, "--epochs", "5", *settings), last_epoch),
            Side("30 epochs", (*train, "--epochs", "30"), last_epoch),
        )
        document["runs"] = as_json(alternate(sides, REPEATS))
    elif RESULTS.exists() and "runs" in json.loads(RESULTS.read_text()):
        print("there is no CUDA device on this machine; what was measured on another stays")
        return
    else:
        document["not_run"] = "there was no CUDA device on this machine"
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    print(RESULTS.read_text())


def last_epoch(work: Path, out: str) -> dict[str, float]:
    """What history.csv says of it."""
    with (work / "run" / "history.csv").open(newline="") as file:
        *_, last = csv.DictReader(file)
    return {name: float(last[name]) for name in ("images_per_s", "val_accuracy", "shifted_auroc")}


if __name__ == "__main__":
    main()
