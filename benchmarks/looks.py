"""Keep the looks at test of a recipe before it is measured anew: accuracy.json -> looks.json.

    python benchmarks/looks.py NAME

Appends the `default` runs of results/accuracy.json to results/looks.json, as NAME-seed0 and so on.
"""

import argparse
import json
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Append, or refuse a name that is there already."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name")
    name = parser.parse_args().name
    looks = json.loads((RESULTS / "looks.json").read_text())
    document = json.loads((RESULTS / "accuracy.json").read_text())
    rows = [{**r, "run": f"{name}-seed{r['seed']}"} for r in document["recipes"]["default"]["runs"]]
    if {row["run"] for row in rows} & {look["run"] for look in looks}:
        parser.error(f"{name} is kept already")
    (RESULTS / "looks.json").write_text(json.dumps(looks + rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
