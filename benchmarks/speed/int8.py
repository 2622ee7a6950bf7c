"""What the shipped model gains, and loses, in 8 bits; writes results/int8.json.

    python benchmarks/speed/int8.py --data STORE

STORE is what `cxrdiag prepare` made of CoronaHack. The graphs are those of `cxrdiag export`, the
one in 32 bits without its maps too. Answers are compared on the validation films, times in turn,
A B A B: 32 films at once, on all cores.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
from side_by_side import machine
from timing import beside

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
    took = beside({name: runner(graph, films) for name, graph in graphs.items()}, REPEATS)
    document = {
        **origin,
        "machine": machine(),
        "answers": {**asdict(change), "loses": change.loses},
        "bytes": {name: graph.ByteSize() for name, graph in graphs.items()},
        "milliseconds a film": {name: round(ms / BATCH, 2) for name, ms in took.items()},
    }
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(document, indent=2))


def runner(graph: onnx.ModelProto, images_BSS: np.ndarray) -> Callable[[], object]:
    session = InferenceSession(graph.SerializeToString())
    return lambda: session.run(None, {"images": images_BSS})


if __name__ == "__main__":
    main()
