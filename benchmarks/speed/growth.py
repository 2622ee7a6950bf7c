"""How time and memory grow with the number of films; writes results/growth.json and growth.svg.

    python benchmarks/speed/growth.py [--work bench/speed] [--sizes 1000,5000,25000,100000]

The films are phantoms of 224 x 224 pixels (`films.py`). Of each number: `prepare` with its audit
and without, `train` for an epoch (a small network at 32 pixels, whose step is quick, so that
reading counts), and `predict` of all. Memory is what a process has for itself;
pages of the store that are mapped come on top while there is room for them, and are given back.
"""

import argparse
import csv
import json
import shutil
import sys
from pathlib import Path

from films import write_films
from side_by_side import README, machine, with_table
from timing import Run, Side, run_once

sys.path.insert(0, str(Path(__file__).parent.parent))

RESULTS = Path(__file__).parent.parent / "results"
CXRDIAG = (sys.executable, "-m", "cxrdiag")
SIZES = (1000, 5000, 25_000, 100_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("bench/speed"))
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    arguments = parser.parse_args()
    path = RESULTS / "growth.json"
    sizes = json.loads(path.read_text())["sizes"] if path.exists() else {}
    for n in map(int, arguments.sizes.split(",")):
        sizes[str(n)] = measure(n, arguments.work.resolve())
        sizes = dict(sorted(sizes.items(), key=lambda item: int(item[0])))
        path.write_text(json.dumps({"sizes": sizes}, indent=2) + "\n")
    README.write_text(with_table(README.read_text(), "growth", table(sizes)))
    print(table(sizes))
    draw(sizes, RESULTS / "growth.svg")


def measure(n: int, work: Path) -> dict:
    """All commands on `n` films."""
    from provenance import provenance

    origin = provenance()  # of the code that ran, not of later edits
    films, store = work / f"phantoms{n}", work / f"phantoms{n}-store"
    work.mkdir(parents=True, exist_ok=True)
    write_films(films, n)
    shutil.rmtree(store, ignore_errors=True)
    prepare = (*CXRDIAG, "prepare", "--kaggle-dir", str(films), "--out", str(store))
    runs = {"prepare": run_once(Side("prepare", prepare))}
    size = sum(path.stat().st_size for path in store.iterdir())
    quick = (*prepare[:-1], "{work}/store", "--no-audit")
    runs["prepare without audit"] = run_once(Side("prepare", quick))
    runs["train"] = train(store)
    predict = (*CXRDIAG, "predict", str(films), "--csv", "{work}/out.csv", "--json")
    runs["predict"] = run_once(Side("predict", predict))
    return {
        **origin,
        "machine": machine(),
        "store_bytes": size,
        **{name: {"seconds": run.seconds, "own_mb": run.own_mb, **run.said}
           for name, run in runs.items()},
    }  # fmt: skip


def train(store: Path) -> Run:
    """One epoch; its images a second are of the steps alone."""

    def rate(work: Path, out: str) -> dict[str, float]:
        with (work / "run" / "history.csv").open(newline="") as file:
            (row,) = csv.DictReader(file)
        return {"images_per_s": float(row["images_per_s"])}

    command = (*CXRDIAG, "train", "--recipe", "smoke", "--epochs", "1", "--data", str(store))
    command += ("--set", "data.resolution=32", "--set", "model.width=8")
    return run_once(Side("train", (*command, "--run", "{work}/run"), rate))


def table(sizes: dict[str, dict]) -> str:
    """A row for each number of films, as Markdown."""
    rows = [
        "| films | store | prepare | without audit | train | predict |",
        "|---|---|---|---|---|---|",
    ]
    for n, found in sizes.items():
        cells = [f"{found['store_bytes'] / 1e6:,.0f} MB"]
        for name in ("prepare", "prepare without audit"):
            cells.append(f"{found[name]['seconds']:.0f} s, {found[name]['own_mb']:.0f} MB")
        train_, predict = found["train"], found["predict"]
        cells.append(f"{train_['images_per_s']:.0f} images/s, {train_['own_mb']:.0f} MB")
        cells.append(f"{int(n) / predict['seconds']:.0f} films/s, {predict['own_mb']:.0f} MB")
        rows.append(f"| {int(n):,} | {' | '.join(cells)} |")
    return "\n".join(rows)


def draw(sizes: dict[str, dict], path: Path) -> None:
    """Time and memory against the number of films, both axes in powers of ten."""
    import matplotlib

    matplotlib.rcParams["svg.hashsalt"] = "growth"
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    time, memory = figure.subplots(1, 2)
    n = [int(size) for size in sizes]
    styles = {
        "prepare": "C0o-",
        "prepare without audit": "C0o--",
        "train": "C1o-",
        "predict": "C2o-",
    }
    for name, style in styles.items():
        if name != "train":  # of an epoch alone
            time.plot(n, [found[name]["seconds"] for found in sizes.values()], style, label=name)
        memory.plot(n, [found[name]["own_mb"] for found in sizes.values()], style, label=name)
    memory.plot(
        n, [found["store_bytes"] / 1e6 for found in sizes.values()], "k:", label="the store"
    )
    for axes, what in ((time, "seconds"), (memory, "MB")):
        axes.set(xscale="log", yscale="log", xlabel="films", ylabel=what)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
