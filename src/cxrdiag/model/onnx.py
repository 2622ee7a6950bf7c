"""A classifier run by ONNX Runtime on the processor: the answers of `Classifier`, without torch.

To import torch takes longer than to answer for a film.
"""

from __future__ import annotations

import dataclasses
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrdiag.cores import n_cores
from cxrdiag.errors import ModelError
from cxrdiag.model.answers import Answers, Detected
from cxrdiag.model.info import METADATA, ModelInfo, in_one_line, read_info
from cxrdiag.model.weights import read_weights
from cxrdiag.runs import GRAPH, INFO, SHIPPED_FOLDER

# Its builds by Microsoft report to them, from the import on, and leave a file for it in the
# temporary folder: nothing of a patient's film is anybody else's to know.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime

_ERRORS_ALONE = 3
_AT_ONCE, _MOST = 4, 2**24
"""Pictures that a thread answers at once, and width of the network times pixels of all threads
together: more are no faster, and take memory."""


@dataclass(frozen=True)
class OnnxClassifier:
    """A session on the graph of a model folder, and its ModelInfo."""

    session: onnxruntime.InferenceSession
    info: ModelInfo
    threads: int
    """Pictures are answered side by side: many are sooner done than by all cores at one after the
    other, at the price of one alone."""

    def at(self, operating_point: str) -> OnnxClassifier:
        """As `Classifier.at`."""
        return dataclasses.replace(self, info=self.info.called_at(operating_point))

    def answer(self, images_BSS: NDArray[np.uint8], *, with_maps: bool = False) -> Answers:
        """All that is to be said of decoded squares, uint8 (B, S, S)."""
        asked, n = np.array(with_maps), len(images_BSS)
        step = self.info.at_once(_AT_ONCE, _MOST // self.threads)
        step = max(1, min(step, -(-n // self.threads)))  # few pictures: a thread for each
        some = (images_BSS[i : i + step] for i in range(0, max(n, 1), step))
        feeds = ({"images": images, "with_maps": asked} for images in some)
        with ThreadPoolExecutor(self.threads) as pool:
            parts = list(pool.map(lambda feed: self.session.run(None, feed), feeds))
        logits_B, film_scores_B, distances_B, maps_Bhw = map(
            np.concatenate, zip(*parts, strict=True)
        )
        return Answers(
            logits_B, Detected(film_scores_B, distances_B), maps_Bhw if with_maps else None
        )


def load_onnx(folder: Path) -> OnnxClassifier:
    """Rebuild the classifier of a model folder.

    The graph is built anew from weights that were checked: one from a stranger is never run. That
    of the shipped model lies in the package, as code does. Raises ModelError where it cannot be
    trusted, or is too large for ONNX.
    """
    if folder == SHIPPED_FOLDER:
        return _load_shipped(folder)
    # Inside, because the library that writes graphs takes a tenth of a second to import.
    from cxrdiag.model.graph import build_graph

    info, weights = read_weights(folder)
    graph = build_graph(weights, info).SerializeToString()
    del weights  # a session takes as much again
    return _classifier(graph, info, folder)


def _load_shipped(folder: Path) -> OnnxClassifier:
    info, _ = read_info(folder / INFO)
    classifier = _classifier(str(folder / GRAPH), info, folder)
    told = classifier.session.get_modelmeta().custom_metadata_map.get(METADATA)
    if told != json.dumps(dataclasses.asdict(info)):
        raise ModelError(
            f"{GRAPH} and {INFO} are not of one model",
            path=folder,
            hint="install cxrdiag again",
            code="weights_mismatch",
        )
    return classifier


def _classifier(graph: bytes | str, info: ModelInfo, folder: Path) -> OnnxClassifier:
    """A session on a graph, or on the file that holds it."""
    threads = info.at_once(n_cores(), _MOST)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ALONE
    # A session's threads serve all callers and come on top of theirs; ONNX Runtime counts the
    # caller as the first of them.
    options.intra_op_num_threads = n_cores() - threads + 1
    try:
        return OnnxClassifier(onnxruntime.InferenceSession(graph, options), info, threads)
    except Exception as error:  # its own kinds, which derive from no common one
        raise ModelError(
            f"ONNX Runtime does not run it: {in_one_line(error)}",
            path=folder,
            hint="use --backend torch",
            code="no_onnx",
        ) from error
