"""`cxrdiag export --int8`: a smaller graph, and what that changes is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from sklearn.metrics import roc_auc_score

from cxrdiag.data.prepare import prepare
from cxrdiag.data.store import Store
from cxrdiag.errors import ModelError
from cxrdiag.inference.quantise import Answered, Change, compare, quantise
from cxrdiag.model.checkpoint import load_model
from cxrdiag.model.graph import build_graph
from cxrdiag.model.info import read_info
from cxrdiag.model.probability import probability
from cxrdiag.model.weights import read_weights


def test_in_8_bits_it_is_smaller_answers_nearly_alike_and_says_so(
    small_store: Store, trained_run: Path, tmp_path: Path, cxrdiag_command
) -> None:
    file = tmp_path / "small.onnx"
    command = ("export", "--run", trained_run, "--out", file, "--int8", "--data", small_store.path)
    document = cxrdiag_command(*command, "--json").document
    graph = onnx.load(file)
    kernels = [w for w in graph.graph.initializer if len(w.dims) == 4]
    assert kernels
    assert all(kernel.data_type == onnx.TensorProto.INT8 for kernel in kernels)
    largest = max(np.abs(onnx.numpy_helper.to_array(kernel)).max() for kernel in kernels)
    assert largest <= 64  # seven bits
    whole = cxrdiag_command(
        "export", "--run", trained_run, "--out", tmp_path / "whole.onnx", "--json"
    ).document
    assert document["bytes"] < 0.8 * whole["bytes"]
    assert [tensor["name"] for tensor in document["tensors"]][:2] == ["images", "logits"]
    rows = small_store.rows("val")
    images, truth = small_store.images_NSS[rows], small_store.targets(rows)
    info, _ = read_info(trained_run / "model.json")
    said = []
    for path, feeds in ((tmp_path / "whole.onnx", {"with_maps": np.array(False)}), (file, {})):
        session = onnxruntime.InferenceSession(path)
        logits = session.run(["logits"], {"images": images, **feeds})[0]
        said.append(probability(logits, info.temperature))
    change = document["int8"]
    assert change["n"] == len(rows)
    assert 0 < np.abs(said[0] - said[1]).max() < 0.2
    assert change["largest_difference"] == pytest.approx(np.abs(said[0] - said[1]).max(), abs=1e-4)
    called = [p >= info.threshold for p in said]
    assert change["changed"] == (called[0] != called[1]).sum()
    for found, expected in zip((change["in_32_bits"], change["in_8_bits"]), said, strict=True):
        assert found["accuracy"] == ((expected >= info.threshold) == truth).mean()
        assert found["auroc"] == pytest.approx(roc_auc_score(truth, expected))
    before, after = change["in_32_bits"], change["in_8_bits"]
    lost = [before[name] - after[name] for name in ("accuracy", "auroc")]
    lost.append((after["refused"] - before["refused"]) / len(rows))
    assert change["loses"] == (max(lost) > 0.003)
    outcome = cxrdiag_command(*command)
    assert f"{len(rows)} validation films" in outcome.out


def test_what_it_counts_are_the_refusals_and_warnings_of_predict(
    small_store: Store, trained_run: Path
) -> None:
    info, weights = read_weights(trained_run)
    graph = build_graph(weights, info, maps=False)
    change = compare(graph, graph, small_store, info)
    detected = load_model(trained_run, torch.device("cpu")).detect(
        small_store.images_NSS[small_store.rows("val")]
    )
    refused = detected.film_scores_B < 0
    warned_of = ~refused & (detected.distances_B > 1)
    assert change.in_8_bits == change.in_32_bits
    assert change.in_8_bits.refused == refused.sum()
    assert change.in_8_bits.warned_of == warned_of.sum()
    assert change.largest_difference == 0


def test_a_graph_in_8_bits_uses_what_onnx_has_and_says_whose_it_is(
    small_store: Store, trained_run: Path
) -> None:
    info, weights = read_weights(trained_run)
    whole = build_graph(weights, info, maps=False)
    small = quantise(whole, small_store, info)
    assert [(opset.domain, opset.version) for opset in small.opset_import] == [("", 17)]
    assert small.producer_name == "cxrdiag"
    assert small.metadata_props == whole.metadata_props
    assert {node.domain for node in small.graph.node} == {""}
    onnx.checker.check_model(small)


def test_a_network_that_answers_no_number_is_refused(small_store: Store, trained_run: Path) -> None:
    info, weights = read_weights(trained_run)
    broken = {**weights, "fc.bias": np.full_like(weights["fc.bias"], np.nan)}
    with pytest.raises(ModelError, match="no number"):
        quantise(build_graph(broken, info, maps=False), small_store, info)


def test_a_graph_that_does_not_run_is_a_model_error(small_store: Store, trained_run: Path) -> None:
    info, weights = read_weights(trained_run)
    graph = build_graph(weights, info, maps=False)
    graph.graph.node[-1].op_type = "NoSuchThing"
    with pytest.raises(ModelError, match="does not run"):
        compare(graph, graph, small_store, info)


def test_neither_a_store_nor_another_run_is_written_over_not_even_through_a_link(
    small_store: Store, trained_run: Path, tmp_path: Path, cxrdiag_command
) -> None:
    runs = [Path(shutil.copytree(trained_run, tmp_path / name)) for name in ("one", "two")]
    store = Path(shutil.copytree(small_store.path, tmp_path / "store"))
    link = tmp_path / "int8-model.onnx"
    link.symlink_to(runs[0] / "model.safetensors")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    command = ("export", "--run", runs[0], "--int8", "--data", store, "--out")
    for out in (link, runs[1] / "model.safetensors", store / "images.npy", store / "store.json"):
        outcome = cxrdiag_command(*command, out)
        assert (outcome.code, "would write over" in outcome.err) == (2, True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_store_is_for_8_bits_alone(trained_run: Path, tmp_path: Path, cxrdiag_command) -> None:
    out = tmp_path / "whole.onnx"
    outcome = cxrdiag_command("export", "--run", trained_run, "--out", out, "--data", tmp_path)
    assert (outcome.code, "add --int8" in outcome.err, out.exists()) == (2, True, False)


def test_in_8_bits_it_takes_a_store_of_its_size(
    phantoms: Path, trained_run: Path, tmp_path: Path, cxrdiag_command
) -> None:
    store = tmp_path / "store"
    command = ("export", "--run", trained_run, "--int8", "--data", store)
    outcome = cxrdiag_command(*command)
    assert (outcome.code, "no prepared store" in outcome.err) == (3, True)
    assert "fitting" not in outcome.err
    prepare(phantoms, store, size=48, audited=False)
    outcome = cxrdiag_command(*command)
    assert (outcome.code, "squares of 48 pixels, the model 64" in outcome.err) == (3, True)
    assert not (trained_run / "int8-model.onnx").exists()


@pytest.mark.parametrize(
    ("before", "after", "loses"),
    [
        (Answered(0.95, 0.99, 1, 0), Answered(0.948, 0.99, 2, 9), False),
        (Answered(0.95, 0.99, 1, 0), Answered(0.946, 0.99, 1, 0), True),
        (Answered(0.95, 0.99, 1, 0), Answered(0.96, 0.98, 1, 0), True),
        (Answered(0.95, 0.99, 1, 0), Answered(0.95, 0.99, 3, 0), True),
        (Answered(1.0, None, 0, 0), Answered(1.0, None, 0, 0), False),
    ],
)
def test_a_loss_is_more_than_three_in_a_thousand(
    before: Answered, after: Answered, loses: bool
) -> None:
    assert Change(500, before, after, 4, 0.1).loses is loses


def test_a_loss_is_said(
    small_store: Store, trained_run: Path, tmp_path: Path, cxrdiag_command, monkeypatch
) -> None:
    lost = Change(500, Answered(0.95, 0.99, 1, 0), Answered(0.9, 0.99, 1, 0), 26, 0.1)
    monkeypatch.setattr("cxrdiag.inference.quantise.compare", lambda *of: lost)
    command = ("export", "--run", trained_run, "--out", tmp_path / "small.onnx", "--int8")
    shown = cxrdiag_command(*command, "--data", small_store.path)
    as_json = cxrdiag_command(*command, "--data", small_store.path, "--json")
    for outcome in (shown, as_json):
        assert (outcome.code, "the safer one" in outcome.err) == (0, True)
    assert as_json.document["int8"]["loses"] is True
