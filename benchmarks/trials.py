"""Train short, and say what shifted validation reads: how a recipe is sought without the test.

    python benchmarks/trials.py --data STORE [--work bench/trials]

Each trial is `default`, seed 0, with some keys set, for about as long as the others but for the
last; read are plain and shifted AUROC after its last epoch. Some four minutes each on two cores. A
finished trial is not trained again, an interrupted one goes on. Writes
benchmarks/results/trials.json, and prints the table of benchmarks/README.md.
"""

import argparse
import json
from pathlib import Path

from accuracy import cxrdiag, provenance, read_history

from cxrdiag.runs import discard, is_finished, is_interrupted

RESULTS = Path(__file__).parent / "results" / "trials.json"
TRIALS: dict[str, dict[str, object]] = {
    "width 64, 64 pixels": {"model.width": 64, "data.resolution": 64, "training.epochs": 12},
    "width 48, 96 pixels": {"model.width": 48, "training.epochs": 10},
    "width 32, 128 pixels": {"data.resolution": 128, "training.epochs": 12},
    "width 32, 96 pixels": {"training.epochs": 21},
    "width 24, 96 pixels": {"model.width": 24, "training.epochs": 28},
    "width 32, 96 pixels, lr 4e-3": {"training.lr": 4e-3, "training.epochs": 21},
    "width 32, 96 pixels, twice as long": {"training.epochs": 42},
}


def main() -> None:
    """Train what is not there yet, and write what all trials gave."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("bench/trials"))
    arguments = parser.parse_args()
    rows = [trial(name, arguments.data, arguments.work) for name in TRIALS]
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n")
    print("| trial | epochs | plain | shifted |\n|---|---|---|---|")
    for row in rows:
        plain, shifted = row["val_auroc"], row["shifted_auroc"]
        print(f"| {row['trial']} | {row['epochs']} | {plain:.3f} | {shifted:.3f} |")


def trial(name: str, data: Path, work: Path) -> dict[str, object]:
    """One trial, trained if need be."""
    run = work / name.replace(",", "").replace(" ", "-")
    sets = {"training.seed": 0, **TRIALS[name]}
    if is_interrupted(run):
        cxrdiag("train", "--data", data, "--run", run, "--resume")
    elif not is_finished(run):
        discard(run)
        typed = [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
        cxrdiag("train", "--data", data, "--run", run, *typed)
    last = read_history(run)[-1]
    return {
        "trial": name,
        **provenance(),
        "set": sets,
        "epochs": int(last["epoch"]),
        "val_auroc": float(last["val_auroc"]),
        "shifted_auroc": float(last["shifted_auroc"]),
    }


if __name__ == "__main__":
    main()
