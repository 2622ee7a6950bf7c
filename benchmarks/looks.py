"""Collect runs that were looked at on test and are not in accuracy.json; writes results/looks.json.

    python benchmarks/looks.py RUN [RUN ...]

A run is a folder that accuracy.py trained and evaluated.
"""

import argparse
import json
from pathlib import Path

from accuracy import read_run

RESULTS = Path(__file__).parent / "results" / "looks.json"


def main() -> None:
    """Read every run and write one list."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+")
    rows = [read_run(run) for run in parser.parse_args().runs]
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
