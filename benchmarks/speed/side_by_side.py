"""cxrdiag beside what a user would pick instead, on this machine; writes results/speed.json.

    make bench DATA=coronahack FILMS=chest_xray        or
    python benchmarks/speed/side_by_side.py --data FOLDER --films FOLDER --peers VENV
                                            [--work bench/speed] [--only help,predict,...]

DATA is the CoronaHack data set, FILMS a folder of native JPEG files, PEERS an environment with
`peers.txt`. Each line of the table is one comparison: whole processes, all sides in turn (A B A B),
after one uncounted round where that takes no minutes; the ratio is that of their medians. A line
that is measured again takes the place of the old one in the file, and benchmarks/README.md shows
all of them. No label of the test split is read but by `--only accuracy`, how long it takes until
a network is right about 0.93 of its films.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from races import RACES, READS_TEST, Line, Race
from timing import Run, alternate, as_json, summary

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

RESULTS = HERE.parent / "results" / "speed.json"
README = HERE.parent / "README.md"


def main() -> None:
    arguments = parse_arguments()
    os.environ["YOLO_CONFIG_DIR"] = str(arguments.work.resolve())
    chosen = (
        arguments.only.split(",")
        if arguments.only
        else [name for name in RACES if name != READS_TEST]
    )
    for name in chosen:
        run_race(RACES[name](arguments))
    lines = json.loads(RESULTS.read_text())["lines"]
    README.write_text(with_table(README.read_text(), "speed", table(lines)))
    print(table(lines))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--films", type=Path, required=True)
    parser.add_argument("--peers", type=Path, default=Path("bench/peers"))
    parser.add_argument("--work", type=Path, default=Path("bench/speed"))
    parser.add_argument("--n", type=int, default=2000, help="films in the folder of predict")
    parser.add_argument("--only", help=f"some of {','.join(RACES)}")
    arguments = parser.parse_args()
    for name in ("data", "films", "peers", "work"):
        setattr(arguments, name, getattr(arguments, name).resolve())
    arguments.work.mkdir(parents=True, exist_ok=True)
    return arguments


def run_race(race: Race) -> None:
    """Run all sides and put its lines into the results."""
    print(f"== {', '.join(line.what for line in race.lines)}", flush=True)
    from provenance import provenance

    origin = provenance()  # of the code that ran, not of later edits
    runs = alternate(race.sides, race.repeats, race.warm_up)
    document = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"lines": {}}
    lines = {line.what: {**origin, **described(line, race, runs)} for line in race.lines}
    others = {what: old for what, old in document["lines"].items() if old["race"] != race.name}
    order = sorted({**others, **lines}.items(), key=lambda item: list(RACES).index(item[1]["race"]))
    RESULTS.write_text(json.dumps({"lines": dict(order)}, indent=2) + "\n")
    print(table(lines), flush=True)


def described(line: Line, race: Race, runs: dict[str, list[Run]]) -> dict:
    """A line of the results, every repetition in it."""
    values = {name: [figure(run, line.figure) for run in some] for name, some in runs.items()}
    medians = {name: summary(some) for name, some in values.items()}
    ours = medians[line.ours]["median"]
    is_rate = line.figure not in ("seconds", "peak_mb")
    ratios = {}
    for versus in line.goals:
        theirs = medians[versus.peer]["median"]
        ratio = ours / theirs if is_rate else theirs / ours
        holds = ratio >= versus.goal and got_there(as_json(runs)[line.ours])
        ratios[versus.peer] = {"ratio": ratio, "goal": versus.goal, "holds": holds}
    return {
        "race": race.name,
        "machine": machine(),
        "figure": line.figure,
        "ours": line.ours,
        "medians": medians,
        "ratios": ratios,
        "floor": race.floor,
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
    rows = ["| what | ours | against | theirs | ratio | goal | floor | on |", "|---" * 8 + "|"]
    for what, line in lines.items():
        on = line["machine"]["processor"].replace("(R)", "").removesuffix(" Processor")
        figures = {name: shown(value, line["figure"]) for name, value in line["medians"].items()}
        for peer, versus in line["ratios"].items():
            more = "" if got_there(line["runs"][peer]) else "more than "  # it was stopped
            holds = "" if versus["holds"] else " falls short"
            rows.append(
                f"| {what} | {figures[line['ours']]} | {peer} | {more}{figures[peer]} "
                f"| {more}{versus['ratio']:.1f} | {versus['goal']:g}{holds} "
                f"| {figures.get('floor', '') if line['figure'] != 'peak_mb' else ''} | {on} |"
            )
    return "\n".join(rows)


def got_there(runs: Sequence[Mapping]) -> bool:
    """Whether all of a side's runs reached what was to be reached."""
    return all(run["said"].get("reached", True) for run in runs)


def with_table(text: str, name: str, table: str) -> str:
    """A text with a table between its two marks of that name."""
    from accuracy import between

    return between(text, f"<!-- {name} -->\n", f"\n<!-- end of {name} -->", table)


def shown(value: dict[str, float], figure: str) -> str:
    """A median with its range, and the unit."""
    unit = {"seconds": " s", "peak_mb": " MB"}.get(figure, "/s")
    digits = 2 if value["median"] < 10 else 0
    median, low, high = (f"{value[name]:.{digits}f}" for name in ("median", "min", "max"))
    return f"{median}{unit} ({low} to {high})"


if __name__ == "__main__":
    main()
