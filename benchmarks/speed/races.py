"""The races: what cxrdiag runs beside, on which films, and the goals."""

import argparse
import csv
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from folders import all_films, few_films, repeated
from timing import Side, last_json, program, run_once

HERE = Path(__file__).parent
PYTHON = sys.executable
CXRDIAG = (PYTHON, "-m", "cxrdiag")
FLOORS = str(HERE / "floors.py")
_ACCURACY, _EPOCHS, _MINUTES = 0.93, 14, 48
"""On test; of the recipe `default`; after which torchvision's loop is ended."""


@dataclass(frozen=True)
class Versus:
    """A goal: so many times as good as a peer by a figure."""

    peer: str
    goal: float


@dataclass(frozen=True)
class Line:
    """A line of the table."""

    what: str
    goals: Sequence[Versus]
    figure: str = "seconds"
    """`seconds`, `peak_mb`, or the name of what a side says of itself: more is better then."""
    ours: str = "cxrdiag"


@dataclass(frozen=True)
class Race:
    """Sides that run in turn, and what is read off them; one named `floor` is no peer."""

    name: str
    sides: Sequence[Side]
    lines: Sequence[Line]
    floor: str
    """What bounds them, in words."""
    repeats: int
    warm_up: bool = True


def help_(a: argparse.Namespace) -> Race:
    """How long it takes to say what it can do."""
    return Race(
        name="help",
        sides=(
            Side("cxrdiag", (program(Path(sys.prefix), "cxrdiag"), "--help")),
            Side("yolo", (program(a.peers, "yolo"), "help")),
            Side("floor", (PYTHON, "-c", "import typer")),
        ),
        lines=[Line("help", [Versus("yolo", 10)])],
        floor="to start Python and import typer",
        repeats=11,
    )


def predict(a: argparse.Namespace) -> Race:
    """One film, in a new process."""
    film = str(next(iter(sorted(a.films.rglob("*.jpeg")))))
    python, yolo = (program(a.peers, name) for name in ("python", "yolo"))
    weights = a.work / "random.pt"
    if not weights.exists():
        make = f"from ultralytics import YOLO; YOLO('yolo11n-cls.yaml').save('{weights}')"
        run_once(Side("weights", (python, "-c", make)))
    options = (f"model={weights}", f"source={film}", "imgsz=224", "project={work}")
    xrv = str(HERE / "peers" / "xrv_predict.py")
    return Race(
        name="predict",
        sides=(
            Side("cxrdiag", (program(Path(sys.prefix), "cxrdiag"), "predict", film)),
            Side("yolo", (yolo, "classify", "predict", *options)),
            Side("torchxrayvision", (python, xrv, film, "{work}/out.csv")),
            Side("floor", (PYTHON, FLOORS, "predict", film)),
        ),
        lines=[Line("predict one film", [Versus("yolo", 8), Versus("torchxrayvision", 8)])],
        floor="to import NumPy, Pillow and ONNX Runtime, load the graph and run it",
        repeats=7,
    )


def folder(a: argparse.Namespace) -> Race:
    """A folder of native films."""
    n, python = a.n, program(a.peers, "python")
    films = str(repeated(a.films, a.work / f"films{n}", n))

    def count(work: Path, out: str) -> dict[str, float]:
        with (work / "out.csv").open(newline="") as file:
            rows = sum(1 for _ in csv.reader(file))
        assert rows in (n, n + 1), f"{rows} answers"
        return {}

    xrv, torch_loop = (str(HERE / "peers" / f"{name}_predict.py") for name in ("xrv", "torch"))
    csv_file = "{work}/out.csv"
    return Race(
        name="folder",
        sides=(
            Side("cxrdiag", (*CXRDIAG, "predict", films, "--csv", csv_file), count),
            Side("torchxrayvision", (python, xrv, films, csv_file), count),
            Side("PIL and torch", (python, torch_loop, films, csv_file), count),
            Side("floor", (PYTHON, FLOORS, "decode", films)),
        ),
        lines=[
            Line(
                f"predict {n:,} native films",
                [Versus("torchxrayvision", 5), Versus("PIL and torch", 3)],
            ),
            Line(
                "predict, peak memory",
                [Versus("torchxrayvision", 1), Versus("PIL and torch", 1)],
                "peak_mb",
            ),
        ],
        floor="to decode them at a reduced scale, on all cores",
        repeats=3,
        warm_up=False,  # a round takes many minutes
    )


def prepare(a: argparse.Namespace) -> Race:
    """Native films into a store."""
    n = 3000
    films = str(repeated(a.films, a.work / f"films{n}", n))
    loop = (PYTHON, str(HERE / "peers" / "pil_prepare.py"), films, "{work}/out.npy")
    ours = (*CXRDIAG, "prepare", "--kaggle-dir", films, "--out", "{work}/store")
    goals = [Versus("PIL, one core", 3.5), Versus("PIL, two cores", 1.8)]
    return Race(
        name="prepare",
        sides=(
            Side("cxrdiag", ours),
            Side("without the audit", (*ours, "--no-audit")),
            Side("PIL, one core", loop),
            Side("PIL, two cores", (*loop, "--processes", "2")),
            Side("floor", (PYTHON, FLOORS, "decode", films)),
        ),
        lines=[
            Line(f"prepare {n:,} native films", goals),
            Line("the same, --no-audit", goals, ours="without the audit"),
        ],
        floor="to decode them at a reduced scale, on all cores",
        repeats=3,
    )


def train(a: argparse.Namespace) -> Race:
    """ResNet-18 at 224 pixels on some hundred films: images a second of an epoch, and memory.

    Of cxrdiag an epoch's steps: to read, to augment, to compute (its films were decoded before, by
    `prepare`). Of torchvision's loop the same, with the decoding and the start of its workers; of
    ultralytics the scores of twenty validation films besides.
    """
    films, store = few_films(a.data, a.work / "few500", 500), a.work / "few500-store"
    prepare_ = (*CXRDIAG, "prepare", "--kaggle-dir", str(films), "--out", str(store))
    run_once(Side("prepare", (*prepare_, "--no-audit")))
    # One view of a film and a plain optimizer, as theirs.
    settings = ("data.resolution=224", "model.width=64", "training.batch_size=32")
    settings += ("training.consistency=0", "training.optimizer=adamw")
    ours = (*CXRDIAG, "train", "--data", str(store), "--run", "{work}/run", "--epochs", "1")
    ours += tuple(option for setting in settings for option in ("--set", setting))

    def of_history(work: Path, out: str) -> dict[str, float]:
        with (work / "run" / "history.csv").open(newline="") as file:
            (row,) = csv.DictReader(file)
        return {"images_per_s": float(row["images_per_s"])}

    def of_yolo(work: Path, out: str) -> dict[str, float]:
        (path,) = work.rglob("results.csv")
        with path.open(newline="") as file:
            (row,) = csv.DictReader(file)
        n_train = sum(path.is_file() for path in (films / "train").rglob("*"))
        return {"images_per_s": n_train / float(row["time"])}

    python, yolo = (program(a.peers, name) for name in ("python", "yolo"))
    network = f"model={HERE}/peers/resnet18-cls.yaml"
    options = (f"data={films}", network, "pretrained=False", "epochs=1", "imgsz=224", "batch=32")
    options += ("workers=2", "device=cpu", "project={work}", "plots=False")
    loop = (python, str(HERE / "peers" / "torchvision_train.py"), str(films))
    return Race(
        name="train",
        sides=(
            Side("cxrdiag", ours, of_history),
            Side("torchvision", loop, last_json),
            Side("yolo", (yolo, "classify", "train", *options), of_yolo),
            Side("floor", (PYTHON, FLOORS, "train", "224"), last_json),
        ),
        lines=[
            Line(
                "train ResNet-18, 224 pixels",
                [Versus("torchvision", 3), Versus("yolo", 2.5)],
                "images_per_s",
            ),
            Line("train, peak memory", [Versus("torchvision", 1), Versus("yolo", 1)], "peak_mb"),
        ],
        floor="the network's step alone, in the number format that is fastest here",
        repeats=3,
        warm_up=False,  # a round takes minutes
    )


def accuracy(a: argparse.Namespace) -> Race:
    """Until a network says of the test films what they are nine times in ten and more.

    Of cxrdiag a whole `prepare` and a whole `train` of fixed length, looked at once, when it has
    ended; the look goes into the ledger. Of torchvision's loop the end of the first epoch after
    which it is so, or `_MINUTES`.
    """
    from accuracy import cxrdiag, enter
    from provenance import provenance

    films, store, run = all_films(a.data, a.work / "all"), "{work}/store", "{work}/run"
    prepare_ = (*CXRDIAG, "prepare", "--kaggle-dir", str(a.data), "--out", store)
    train_ = (*CXRDIAG, "train", "--data", store, "--run", run, "--epochs", str(_EPOCHS))

    def of_test(work: Path, out: str) -> dict[str, float]:
        (work / "run" / "benchmark.json").write_text(json.dumps(provenance()))
        cxrdiag("eval", "--run", work / "run", "--data", work / "store")
        enter(work / "run", f"time to {_ACCURACY}: default for {_EPOCHS} epochs")
        metrics = json.loads((work / "run" / "metrics.json").read_text())
        reached = metrics["accuracy"]
        return {"accuracy": reached, "auroc": metrics["auroc"], "reached": reached >= _ACCURACY}

    loop = (program(a.peers, "python"), str(HERE / "peers" / "torchvision_train.py"), str(films))
    until = ("--epochs", "100", "--until", str(_ACCURACY), "--minutes", str(_MINUTES))
    return Race(
        name="accuracy",
        sides=(
            Side(
                "cxrdiag", ("sh", "-c", f"{shlex.join(prepare_)} && {shlex.join(train_)}"), of_test
            ),
            Side("torchvision", (*loop, *until), last_json),
        ),
        lines=[Line(f"until test accuracy {_ACCURACY}", [Versus("torchvision", 6)])],
        floor="",
        repeats=1,
        warm_up=False,  # a look at test, and most of an hour
    )


RACES = {
    "help": help_,
    "predict": predict,
    "prepare": prepare,
    "train": train,
    "folder": folder,
    "accuracy": accuracy,
}
READS_TEST = "accuracy"
"""Run only where it is named: it reads the labels of the test split."""
