"""cxrdiag beside what a user would pick instead, on this machine; writes results/speed.json.

    make bench DATA=coronahack FILMS=chest_xray        or
    python benchmarks/speed/side_by_side.py --data FOLDER --films FOLDER --peers VENV
                                            [--work bench/speed] [--only help,predict,...]

DATA is the CoronaHack data set, FILMS a folder of native JPEG files, PEERS an environment with
`peers.txt`. Each line of the table is one comparison: whole processes, all sides in turn (A B A B),
after one uncounted round; the ratio is that of their medians. A line that is measured again takes
the place of the old one in the file. No label of the test split is read.
"""

import argparse
import csv
import itertools
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from timing import Run, Side, alternate, as_json, last_json, program, run_once, summary

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

RESULTS = HERE.parent / "results" / "speed.json"
PYTHON = sys.executable
CXRDIAG = (PYTHON, "-m", "cxrdiag")


@dataclass(frozen=True)
class Versus:
    """A goal: so many times as good as a peer by a figure."""

    peer: str
    goal: float


@dataclass(frozen=True)
class Line:
    """One comparison: cxrdiag's side is the first, a side named `floor` is no peer."""

    what: str
    figure: str
    """`seconds`, `peak_mb`, or the name of what a side says of itself: more is better then."""
    sides: Sequence[Side]
    goals: Sequence[Versus]
    floor: str
    """What bounds it, in words."""
    repeats: int


def main() -> None:
    arguments = parse_arguments()
    os.environ["YOLO_CONFIG_DIR"] = str(arguments.work.resolve())
    chosen = arguments.only.split(",") if arguments.only else list(LINES)
    for name in chosen:
        for line in LINES[name](arguments):
            measure(line)
    print(table(json.loads(RESULTS.read_text())["lines"]))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--films", type=Path, required=True)
    parser.add_argument("--peers", type=Path, default=Path("bench/peers"))
    parser.add_argument("--work", type=Path, default=Path("bench/speed"))
    parser.add_argument("--only", help=f"some of {','.join(LINES)}")
    arguments = parser.parse_args()
    for name in ("data", "films", "peers", "work"):
        setattr(arguments, name, getattr(arguments, name).resolve())
    arguments.work.mkdir(parents=True, exist_ok=True)
    return arguments


def measure(line: Line) -> None:
    """Run all sides and put the line into the results."""
    # Imported late: what this process has in memory slows down those that it forks.
    print(f"== {line.what}", flush=True)
    runs = alternate(line.sides, line.repeats)
    document = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"lines": {}}
    document["lines"][line.what] = described(line, runs)
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    print(table({line.what: document["lines"][line.what]}), flush=True)


def described(line: Line, runs: dict[str, list[Run]]) -> dict:
    """A line of the results, every repetition in it."""
    from accuracy import provenance

    values = {name: [figure(run, line.figure) for run in some] for name, some in runs.items()}
    medians = {name: summary(some) for name, some in values.items()}
    ours = medians[line.sides[0].name]["median"]
    is_rate = line.figure not in ("seconds", "peak_mb")
    ratios = {}
    for versus in line.goals:
        theirs = medians[versus.peer]["median"]
        ratio = ours / theirs if is_rate else theirs / ours
        ratios[versus.peer] = {"ratio": ratio, "goal": versus.goal, "holds": ratio >= versus.goal}
    return {
        **provenance(),
        "machine": machine(),
        "figure": line.figure,
        "medians": medians,
        "ratios": ratios,
        "floor": line.floor,
        "runs": as_json(runs),
    }


def figure(run: Run, name: str) -> float:
    """One of a run's figures."""
    return run.said[name] if name in run.said else float(getattr(run, name))


def machine() -> dict:
    """The processor and the versions that matter."""
    import torch

    from cxrdiag.training.environment import describe_environment

    return describe_environment(torch.device("cpu"))


def table(lines: dict[str, dict]) -> str:
    """A row for each pair of a line, as Markdown."""
    rows = ["| what | ours | against | theirs | ratio | goal | |", "|---|---|---|---|---|---|---|"]
    for what, line in lines.items():
        ours, *_ = line["medians"]
        for peer, versus in line["ratios"].items():
            sides = [shown(line["medians"][name], line["figure"]) for name in (ours, peer)]
            holds = "holds" if versus["holds"] else "falls short"
            rows.append(
                f"| {what} | {sides[0]} | {peer} | {sides[1]} | {versus['ratio']:.1f} | "
                f"{versus['goal']:g} | {holds} |"
            )
    return "\n".join(rows)


def shown(value: dict[str, float], figure: str) -> str:
    """A median with its range, and the unit."""
    unit = {"seconds": " s", "peak_mb": " MB"}.get(figure, "/s")
    digits = 2 if value["median"] < 10 else 0
    median, low, high = (f"{value[name]:.{digits}f}" for name in ("median", "min", "max"))
    return f"{median}{unit} ({low} to {high})"


# --- the lines -------------------------------------------------------------------------------


def help_(a: argparse.Namespace) -> Iterator[Line]:
    """How long it takes to say what it can do."""
    yield Line(
        what="help, wall",
        figure="seconds",
        sides=(
            Side("cxrdiag", (program(Path(sys.prefix), "cxrdiag"), "--help")),
            Side("yolo", (program(a.peers, "yolo"), "help")),
            Side("floor", (PYTHON, "-c", "import typer")),
        ),
        goals=(Versus("yolo", 10),),
        floor="to start Python and import typer",
        repeats=11,
    )


def predict(a: argparse.Namespace) -> Iterator[Line]:
    """One film, in a new process."""
    film = next(iter(sorted(a.films.rglob("*.jpeg"))))
    weights = a.work / "random.pt"
    if not weights.exists():
        make = f"from ultralytics import YOLO; YOLO('yolo11n-cls.yaml').save('{weights}')"
        run_once(Side("weights", (program(a.peers, "python"), "-c", make)))
    xrv = str(HERE / "peers" / "xrv_predict.py")
    yield Line(
        what="predict one film, wall",
        figure="seconds",
        sides=(
            Side("cxrdiag", (program(Path(sys.prefix), "cxrdiag"), "predict", str(film))),
            Side(
                "yolo",
                (program(a.peers, "yolo"), "classify", "predict", f"model={weights}")
                + (f"source={film}", "imgsz=224", "project={work}"),
            ),
            Side("torchxrayvision", (program(a.peers, "python"), xrv, str(film), "{work}/out.csv")),
            Side("floor", (PYTHON, str(HERE / "floors.py"), "predict", str(film))),
        ),
        goals=(Versus("yolo", 8), Versus("torchxrayvision", 8)),
        floor="to import NumPy, Pillow and ONNX Runtime, load the graph and run it",
        repeats=7,
    )


def folder(a: argparse.Namespace) -> Iterator[Line]:
    """A folder of native films."""
    n = 2000
    films = repeated(a.films, a.work / f"films{n}", n)
    python = program(a.peers, "python")

    def rate(work: Path, out: str) -> dict[str, float]:
        with (work / "out.csv").open(newline="") as file:
            rows = len(list(csv.reader(file)))
        assert rows in (n, n + 1), rows
        return {}

    sides = (
        Side("cxrdiag", (*CXRDIAG, "predict", str(films), "--csv", "{work}/out.csv"), rate),
        Side("floor", (PYTHON, str(HERE / "floors.py"), "decode", str(films))),
        *(
            Side(name, (python, str(HERE / "peers" / script), str(films), "{work}/out.csv"), rate)
            for name, script in (
                ("PIL and torch", "torch_predict.py"),
                ("torchxrayvision", "xrv_predict.py"),
            )
        ),
    )
    yield Line(
        what=f"predict {n} native films, wall",
        figure="seconds",
        sides=sides,
        goals=(Versus("torchxrayvision", 5), Versus("PIL and torch", 3)),
        floor="to decode them at a reduced scale, on all cores",
        repeats=2,
    )


def prepare(a: argparse.Namespace) -> Iterator[Line]:
    """Native films into a store."""
    n = 3000
    films = repeated(a.films, a.work / f"films{n}", n)
    loop = (PYTHON, str(HERE / "peers" / "pil_prepare.py"), str(films), "{work}/out.npy")
    yield Line(
        what=f"prepare {n} native films, wall",
        figure="seconds",
        sides=(
            Side(
                "cxrdiag",
                (*CXRDIAG, "prepare", "--kaggle-dir", str(films), "--out", "{work}/store"),
            ),
            Side("PIL, one core", loop),
            Side("PIL, two cores", (*loop, "--processes", "2")),
            Side("floor", (PYTHON, str(HERE / "floors.py"), "decode", str(films))),
        ),
        goals=(Versus("PIL, one core", 3.5), Versus("PIL, two cores", 1.8)),
        floor="to decode them at a reduced scale, on all cores",
        repeats=3,
    )


def repeated(films: Path, target: Path, n: int) -> Path:
    """The films, each as often as it takes to make `n`, in folders of classes: links, one file."""
    if not target.exists():
        unfinished = target.with_name(f"{target.name}.part")
        shutil.rmtree(unfinished, ignore_errors=True)
        paths = sorted(films.rglob("*.jpeg"))
        for number, path in enumerate(itertools.islice(itertools.cycle(paths), n)):
            copy = unfinished / "train" / path.parent.name / f"{path.stem}-{number}.jpeg"
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        unfinished.rename(target)
    return target


LINES = {"help": help_, "predict": predict, "folder": folder, "prepare": prepare}


if __name__ == "__main__":
    main()
