"""Train recipes over seeds, evaluate each run once on test, write benchmarks/results/accuracy.json.

    python benchmarks/accuracy.py --data FOLDER [--work bench] [--recipes default,original]
                                  [--seeds 0,1,2]

Runs that are finished are not trained again, so an interrupted benchmark goes on where it was;
runs of other recipes and seeds already in the work folder are reported too.
FOLDER is the CoronaHack data set. Takes about 13 minutes a run on two cores.
"""

import argparse
import csv
import datetime
import json
import statistics
import subprocess
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "accuracy.json"
METRICS = ("accuracy", "auroc", "sensitivity", "specificity", "auprc", "brier", "ece")


def main() -> None:
    """Prepare once, then train and evaluate what is not there yet."""
    arguments = parse_arguments()
    store, runs = arguments.work / "prepared", arguments.work / "runs"
    cxrdiag("prepare", "--kaggle-dir", arguments.data, "--out", store)
    for seed in arguments.seeds.split(","):
        for recipe in arguments.recipes.split(","):
            run = runs / f"{recipe}-seed{seed}"
            if not (run / "model.json").exists():
                interrupted = (run / "resume.safetensors").exists()
                what = ["--resume"] if interrupted else ["--recipe", recipe, "--seed", seed]
                cxrdiag("train", "--data", store, "--run", run, *what)
            if not (run / "metrics.json").exists():
                cxrdiag("eval", "--data", store, "--run", run)
            write_results(runs)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("bench"))
    parser.add_argument("--recipes", default="default,original")
    parser.add_argument("--seeds", default="0,1,2")
    return parser.parse_args()


def cxrdiag(*arguments: object) -> None:
    """Run the command line tool as a user would."""
    subprocess.run([sys.executable, "-m", "cxrdiag", *map(str, arguments)], check=True)


def write_results(runs: Path) -> None:
    """Collect the runs that were evaluated, by recipe."""
    rows = [read_run(path.parent) for path in sorted(runs.glob("*/metrics.json"))]
    recipes = sorted({row["recipe"] for row in rows})
    document = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": git("rev-parse", "--short", "HEAD"),
        "test_images": rows[0]["n"],
        "environment": json.loads((runs / rows[0]["run"] / "environment.json").read_text()),
        "recipes": {name: summary([r for r in rows if r["recipe"] == name]) for name in recipes},
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")


def summary(rows: list[dict]) -> dict:
    """Mean and standard deviation over seeds, and each seed."""
    means = {}
    for name in (*METRICS, "training_seconds"):
        values = [row[name] for row in rows]
        spread = statistics.stdev(values) if len(values) > 1 else None
        means[name] = {"mean": statistics.mean(values), "sd": spread}
    return {"n_seeds": len(rows), **means, "runs": rows}


def read_run(run: Path) -> dict:
    """One run's figures; its time is that of all epochs, training and validation."""
    metrics = json.loads((run / "metrics.json").read_text())
    model = json.loads((run / "model.json").read_text())
    with (run / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    kept = ("n", "threshold", "test_evaluations", "accuracy_ci95", "auroc_ci95", *METRICS)
    return {
        "run": run.name,
        "recipe": model["recipe"],
        "seed": model["seed"],
        "epoch": model["epoch"],
        "training_seconds": sum(float(row["seconds"]) for row in history),
        "val_auroc": float(history[model["epoch"] - 1]["val_auroc"]),
        **{name: metrics[name] for name in kept},
    }


def git(*arguments: str) -> str:
    """One line of git's output, or "" outside a repository."""
    command = ["git", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=RESULTS.parent, check=False)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
