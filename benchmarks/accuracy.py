"""Train recipes over seeds, evaluate each run once on test, write the results into the README.

    python benchmarks/accuracy.py --data FOLDER [--work bench] [--recipes default,original]
                                  [--seeds 0,1,2,3,4] --why "network 10 measured"

FOLDER is the CoronaHack data set. A run takes about a quarter of an hour on two cores, one of the
recipe `best` one to two hours. Finished runs are not trained or evaluated again, so an interrupted
benchmark goes on where it was (of the time before that the whole epochs are counted); every run of
a recipe in the work folder is reported, none is left out, so a recipe that changed wants a new work
folder. Each look at test is entered in benchmarks/test_ledger.csv, with --why it was taken. Writes
the recipes of the work folder into benchmarks/results/accuracy.json, beside the runs of the same
commit that are there (seeds may be measured one by one, on several machines), and, from it alone,
the table between the README's two `results` marks.
"""

import argparse
import csv
import datetime
import json
import statistics
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from provenance import provenance

from cxrdiag.runs import discard, is_finished, is_interrupted
from cxrdiag.training.recipe import load_recipe

RESULTS = Path(__file__).parent / "results" / "accuracy.json"
LEDGER = Path(__file__).parent / "test_ledger.csv"
README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- results: benchmarks/accuracy.py -->\n", "<!-- end of results -->"
METRICS = ("accuracy", "auroc", "sensitivity", "specificity", "auprc", "brier", "ece")


def main() -> None:
    """Prepare once, then train and evaluate what is not there yet."""
    arguments = parse_arguments()
    store, runs = arguments.work / "prepared", arguments.work / "runs"
    cxrdiag("prepare", "--kaggle-dir", arguments.data, "--out", store)
    for seed in arguments.seeds.split(","):
        for recipe in arguments.recipes.split(","):
            measure(recipe, int(seed), store, runs / f"{recipe}-seed{seed}", arguments.why)
            write_results(runs)
    document = json.loads(RESULTS.read_text())
    README.write_text(with_table(README.read_text(), document), encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("bench"))
    parser.add_argument("--recipes", default="default,original")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--why", required=True, help="goes into the ledger of looks at test")
    return parser.parse_args()


def measure(recipe: str, seed: int, store: Path, run: Path, why: str) -> None:
    """Train the run and evaluate it on test, what of it is not done yet."""
    if not is_finished(run):
        if is_interrupted(run):
            what, spent = ["--resume"], epoch_seconds(run)
        else:
            what, spent = ["--recipe", recipe, "--seed", seed], 0.0
            discard(run)  # what a training killed in its first epoch left
        origin = provenance()  # of the code that trains, not of later edits
        started = time.perf_counter()
        cxrdiag("train", "--data", store, "--run", run, *what)
        spent += time.perf_counter() - started
        (run / "benchmark.json").write_text(json.dumps({**origin, "training_seconds": spent}))
    elif load_recipe(str(run / "config.yaml")) != load_recipe(recipe, [f"training.seed={seed}"]):
        sys.exit(f"{run} was trained with another {recipe}: choose a new --work")
    if not (run / "benchmark.json").exists():  # killed before it could be written
        sys.exit(f"{run} was trained by code that is not known: remove it")
    if not (run / "metrics.json").exists():
        cxrdiag("eval", "--data", store, "--run", run)
    enter(run, why)


def cxrdiag(*arguments: object) -> None:
    """Run the command line tool as a user would."""
    subprocess.run([sys.executable, "-m", "cxrdiag", *map(str, arguments)], check=True)


def enter(run: Path, why: str) -> None:
    """Append a run's look at test to the ledger, once; none is ever taken out."""
    model, metrics, benchmark = (
        json.loads((run / name).read_text())
        for name in ("model.json", "metrics.json", "benchmark.json")
    )
    weights = model["weights_sha256"][:12]
    with LEDGER.open(newline="", encoding="utf-8") as file:
        if weights in {look["weights"] for look in csv.DictReader(file)}:
            return
    values = [datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M")]
    values += [benchmark["commit"], model["recipe"], model["seed"], weights, why]
    values += [
        f"{metrics[name]:.4f}" for name in ("accuracy", "auroc", "sensitivity", "specificity")
    ]
    with LEDGER.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerow(values)


def write_results(runs: Path) -> None:
    """Collect the runs that were evaluated, by recipe; what is known of other recipes stays.

    So do runs of the same recipe and commit that were measured in another work folder.
    """
    # A run is evaluated once: a second look would make its result a chosen one.
    rows = [read_run(path.parent) for path in sorted(runs.glob("*/metrics.json"))]
    if any(row["test_evaluations"] != 1 for row in rows):
        sys.exit("a run was evaluated on test twice: its result is a chosen one")
    document = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for recipe in {row["recipe"] for row in rows}:
        merged = {}
        found = [row for row in rows if row["recipe"] == recipe]
        commits = {row["commit"] for row in found}
        for row in [*document.get(recipe, {"runs": []})["runs"], *found]:
            if row["commit"] in commits:
                merged[row["seed"], row["commit"]] = row
        document[recipe] = summary([merged[key] for key in sorted(merged)])
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(dict(sorted(document.items())), indent=2) + "\n")


def summary(rows: list[dict]) -> dict:
    """Mean and standard deviation over seeds, and each seed."""
    means = {}
    for name in (*METRICS, "training_seconds"):
        values = [row[name] for row in rows]
        spread = statistics.stdev(values) if len(values) > 1 else None
        means[name] = {"mean": statistics.mean(values), "sd": spread}
    return {"n_seeds": len(rows), **means, "runs": rows}


def read_run(run: Path) -> dict:
    """One run's figures; its time is that of the whole command `cxrdiag train`."""
    environment = json.loads((run / "environment.json").read_text())
    metrics = json.loads((run / "metrics.json").read_text())
    model = json.loads((run / "model.json").read_text())
    kept = read_history(run)[model["epoch"] - 1]
    names = ("n", "threshold", "test_evaluations", "accuracy_ci95", "auroc_ci95", *METRICS)
    return {
        "run": run.name,
        "recipe": model["recipe"],
        "seed": model["seed"],
        "epoch": model["epoch"],
        "val_auroc": float(kept["val_auroc"]),
        "shifted_auroc": float(kept["shifted_auroc"]),
        **json.loads((run / "benchmark.json").read_text()),
        **{name: metrics[name] for name in names},
        "environment": environment,
    }


def epoch_seconds(run: Path) -> float:
    """Of the epochs of an interrupted run."""
    return sum(float(row["seconds"]) for row in read_history(run))


def read_history(run: Path) -> list[dict[str, str]]:
    """The rows of history.csv, one an epoch."""
    with (run / "history.csv").open() as file:
        return list(csv.DictReader(file))


def with_table(readme: str, document: dict) -> str:
    """The README with the table of `document` between its marks."""
    return between(readme, BEGIN, END, markdown(document))


def between(text: str, begin: str, end: str, middle: str) -> str:
    """A text with `middle` for what stands between two marks. Raises ValueError without them."""
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return before + begin + middle + end + after


def markdown(document: dict) -> str:
    """Mean and standard deviation over seeds as a table, with what it was measured on."""
    names = ("accuracy", "AUROC", "sensitivity", "specificity")
    lines = [
        f"| recipe | seeds | {' | '.join(names)} | minutes | threads | commit |",
        "|---|---|" + "---|" * (len(names) + 3),
    ]
    for recipe, result in document.items():
        cells = [plus_minus(result[name.lower()]) for name in names]
        minutes = result["training_seconds"]["mean"] / 60
        seeds, on, commits = (
            ", ".join(map(str, sorted(set(values))))
            for values in (
                [run["seed"] for run in result["runs"]],
                [threads(run["environment"]) for run in result["runs"]],
                [run["commit"] for run in result["runs"]],
            )
        )
        cells += [f"{minutes:.1f}", on, commits]
        lines.append(f"| `{recipe}` | {seeds} | {' | '.join(cells)} |")
    runs = [run for result in document.values() for run in result["runs"]]
    widest = max(runs, key=lambda run: run["accuracy_ci95"][1] - run["accuracy_ci95"][0])
    half = (widest["accuracy_ci95"][1] - widest["accuracy_ci95"][0]) / 2
    days = sorted({run["date"] for run in runs})
    machines = sorted({machine(run["environment"]) for run in runs})
    said = (
        f"Mean ± standard deviation over seeds, on the {runs[0]['n']} official test images, "
        "threshold from shifted validation, each run evaluated once. The size of the test set "
        f"leaves one run's accuracy a 95 % interval of up to ±{half:.3f}. Minutes of "
        f"`cxrdiag train`, all of it, on {'; '.join(machines)}; {days[0]} to {days[-1]}."
    )
    lines += ["", textwrap.fill(said, 100), ""]
    return "\n".join(lines)


def machine(environment: dict) -> str:
    """What a run was trained on, in words."""
    torch = environment["torch"].partition("+")[0]
    return f"{environment['cores']} cores of an {environment['processor']}, torch {torch}"


def threads(environment: dict) -> str:
    """How many threads a run had, and its number format where it was recorded."""
    return f"{environment['threads']} {environment.get('precision', '')}".strip()


def plus_minus(result: dict) -> str:
    """Mean and standard deviation, three decimals."""
    spread = f" ± {result['sd']:.3f}" if result["sd"] is not None else ""
    return f"{result['mean']:.3f}{spread}"


if __name__ == "__main__":
    main()
