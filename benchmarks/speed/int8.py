"""What the shipped model gains, and loses, in 8 bits; writes results/int8.json.

    python benchmarks/speed/int8.py --data STORE

STORE is what `cxrdiag prepare` made of CoronaHack. The graphs are those of `cxrdiag export`, the
one in 32 bits without its maps too. Answers are compared on the validation films, times in turn,
A B A B: 32 films at once, on all cores.
"""

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
from side_by_side import machine

from cxrdiag.data.store import open_store
from cxrdiag.inference.quantise import compare, quantise
from cxrdiag.model.graph import build_graph
from cxrdiag.model.weights import read_weights
from cxrdiag.runs import SHIPPED_FOLDER

# isort: split
from onnxruntime import InferenceSession  # after cxrdiag, which keeps it from reporting

sys.path.insert(0, str(Path(__file__).parent.parent))

RESULTS = Path(__file__).parent.parent / "results" / "int8.json"
BATCH, REPEATS = 32, 25


def main() -> None:
    from provenance import provenance

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    store, origin = open_store(parser.parse_args().data), provenance()
    info, weights = read_weights(SHIPPED_FOLDER)
    whole = build_graph(weights, info, maps=False)
    graphs = {"32 bits": whole, "8 bits": quantise(whole, store, info)}
    change = compare(*graphs.values(), store, info)
    films = store.images_NSS[store.rows("val")[:BATCH]]
    sessions = {name: session(graph) for name, graph in graphs.items()}
    document = {
        **origin,
        "machine": machine(),
        "answers": {**asdict(change), "loses": change.loses},
        "bytes": {name: graph.ByteSize() for name, graph in graphs.items()},
        "milliseconds a film": times(sessions, films),
    }
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(document, indent=2))


def session(graph: onnx.ModelProto) -> InferenceSession:
    return InferenceSession(graph.SerializeToString())


def times(sessions: dict[str, InferenceSession], images: np.ndarray) -> dict:
    """Median milliseconds a film, after one uncounted call."""
    seconds: dict[str, list[float]] = {name: [] for name in sessions}
    for n in range(REPEATS + 1):
        for name, some in sessions.items():
            started = time.perf_counter()
            some.run(None, {"images": images})
            if n:
                seconds[name].append(time.perf_counter() - started)
    return {
        name: round(1e3 * statistics.median(some) / len(images), 2)
        for name, some in seconds.items()
    }


if __name__ == "__main__":
    main()
