"""Time and peak memory of `cxrdiag prepare`; writes benchmarks/results/prepare.json.

    python benchmarks/prepare_cost.py --data FOLDER [--repeats 3]

FOLDER is the CoronaHack data set. Each repetition is a fresh process that builds a new store; the
stores must be byte-identical. One more call, on a store that is there, is timed as `unchanged`.
"""

import argparse
import hashlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "prepare.json"


def main() -> None:
    """Measure, compare the stores, write the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stores = [Path(folder) / f"store{n}" for n in range(arguments.repeats)]
        seconds = [prepare(arguments.data, store) for store in stores]
        unchanged = prepare(arguments.data, stores[0])
        digests = {digest(store) for store in stores}
        info = json.loads((stores[0] / "store.json").read_text())
    # Linux counts in KiB; the largest of all the child processes.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9
    # Imported last: what this process has in memory counts as that of those it starts.
    import torch
    from provenance import provenance

    from cxrdiag.training.environment import describe_environment

    document = {
        **provenance(),
        "environment": describe_environment(torch.device("cpu")),
        "images": info["n"],
        "seconds": [round(s, 2) for s in seconds],
        "median_seconds": round(statistics.median(seconds), 2),
        "unchanged_seconds": round(unchanged, 2),
        "peak_memory_gb": peak,
        "stores_byte_identical": len(digests) == 1,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    sys.stdout.write(RESULTS.read_text())


def prepare(source: Path, out: Path) -> float:
    """Wall seconds of the whole process."""
    command = [sys.executable, "-m", "cxrdiag", "prepare", "--json"]
    started = time.perf_counter()
    command += ["--kaggle-dir", str(source), "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def digest(store: Path) -> str:
    """SHA-256 over the store's files and their names."""
    total = hashlib.sha256()
    for path in sorted(store.iterdir()):
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()


if __name__ == "__main__":
    main()
