"""What the shipped model would gain, and lose, in 8 bits; writes results/int8.json.

    python benchmarks/speed/int8.py --data STORE

The convolutions in 8 bits, weights by output channel, the ranges of what goes between them by 256
training films of STORE, as `cxrdiag prepare` made it (onnxruntime's static quantisation, of the
graph with its batch norms folded in). Answers are compared on its validation films, times in turn,
A B A B. The parts that draw maps stay in 32 bits.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from side_by_side import machine
from sklearn.metrics import roc_auc_score

from cxrdiag.data.store import open_store
from cxrdiag.model.info import read_info
from cxrdiag.model.probability import probability
from cxrdiag.runs import GRAPH, INFO, SHIPPED_FOLDER

sys.path.insert(0, str(Path(__file__).parent.parent))

RESULTS = Path(__file__).parent.parent / "results" / "int8.json"
N_RANGES, BATCH, REPEATS = 256, 32, 15


class Films(CalibrationDataReader):
    """Films to see the ranges of, some at once."""

    def __init__(self, images_NSS: NDArray[np.uint8]) -> None:
        self.feeds = in_batches(images_NSS)

    def get_next(self) -> dict | None:
        return next(self.feeds, None)


def main() -> None:
    from provenance import provenance

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    store = open_store(parser.parse_args().data)
    train, val = store.rows("train"), store.rows("val")
    chosen = np.sort(np.random.default_rng(0).choice(train, N_RANGES, replace=False))
    full = SHIPPED_FOLDER / GRAPH
    with tempfile.TemporaryDirectory() as folder:
        folded, small = Path(folder) / "folded.onnx", Path(folder) / GRAPH
        quant_pre_process(full, folded, skip_symbolic_shape=True)
        quantize_static(
            folded,
            small,
            Films(store.images_NSS[chosen]),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["Conv"],
        )
        in_8_bits = sum(
            weight.data_type == onnx.TensorProto.INT8 and len(weight.dims) == 4
            for weight in onnx.load(small).graph.initializer
        )
        paths = {"32 bits": full, "8 bits": small}
        sessions = {name: onnxruntime.InferenceSession(str(path)) for name, path in paths.items()}
        sizes = {name: path.stat().st_size for name, path in paths.items()}
    images = store.images_NSS[val]
    answers = {name: answer(session, images) for name, session in sessions.items()}
    found = {
        name: {"bytes": sizes[name], **quality(*answers[name], store.targets(val))}
        for name in sessions
    }
    for name, milliseconds in times(sessions, images[:BATCH]).items():
        found[name]["milliseconds_a_film"] = milliseconds
    p, q = (probability(logits, info().temperature) for logits, _, _ in answers.values())
    document = {
        **provenance(),
        "machine": machine(),
        "validation_films": len(val),
        "convolutions_in_8_bits": in_8_bits,
        "largest_difference_of_probability": float(abs(p - q).max()),
        **found,
    }
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(document, indent=2))


def info():
    return read_info(SHIPPED_FOLDER / INFO)[0]


def in_batches(images_NSS: NDArray[np.uint8]) -> Iterator[dict]:
    for start in range(0, len(images_NSS), BATCH):
        yield {"images": images_NSS[start : start + BATCH], "with_maps": np.array(False)}


def answer(session: onnxruntime.InferenceSession, images_NSS: NDArray[np.uint8]) -> list:
    """Logits, film scores and distances."""
    parts = [session.run(None, feed)[:3] for feed in in_batches(images_NSS)]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def quality(logits_N: NDArray, scores_N: NDArray, distances_N: NDArray, targets_N: NDArray) -> dict:
    called = probability(logits_N, info().temperature) >= info().threshold
    return {
        "accuracy": float((called == targets_N).mean()),
        "auroc": float(roc_auc_score(targets_N, logits_N)),
        "refused": int((scores_N < 0).sum()),
        "warned_of": int((distances_N > 1).sum()),
    }


def times(
    sessions: dict[str, onnxruntime.InferenceSession], images_BSS: NDArray[np.uint8]
) -> dict[str, float]:
    """Median milliseconds a film, after one uncounted call."""
    seconds: dict[str, list[float]] = {name: [] for name in sessions}
    for n in range(REPEATS + 1):
        for name, session in sessions.items():
            started = time.perf_counter()
            answer(session, images_BSS)
            if n:
                seconds[name].append(time.perf_counter() - started)
    return {
        name: round(1e3 * statistics.median(some) / len(images_BSS), 2)
        for name, some in seconds.items()
    }


if __name__ == "__main__":
    main()
