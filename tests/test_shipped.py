"""The model in the package: whole, small, and usable without a network."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import cxrdiag
from cxrdiag.data.phantom.dataset import render
from cxrdiag.data.phantom.findings import Finding
from cxrdiag.errors import ModelError
from cxrdiag.inference.backend import load_backend
from cxrdiag.model.checkpoint import load_model
from cxrdiag.model.graph import build_graph
from cxrdiag.model.onnx import load_onnx
from cxrdiag.model.probability import probability
from cxrdiag.model.weights import read_weights
from cxrdiag.runs import GRAPH, SHIPPED_FOLDER
from cxrdiag.training.recipe import load_recipe
from cxrdiag.training.start import load_start

ROOT = Path(__file__).parents[1]
METRICS = json.loads((SHIPPED_FOLDER / "metrics.json").read_text(encoding="utf-8"))


def test_its_results_are_of_the_test_split_of_the_data_it_was_trained_on() -> None:
    assert (METRICS["split"], METRICS["n"], METRICS["n_normal"]) == ("test", 624, 234)
    assert METRICS["trained_on_this_store"] is True
    ledger = (ROOT / "benchmarks" / "test_ledger.csv").read_text(encoding="utf-8")
    assert METRICS["test_evaluations"] == ledger.count(f",{METRICS['weights_sha256'][:12]},")
    info = load_model(SHIPPED_FOLDER, torch.device("cpu")).info
    assert (info.recipe, info.seed) == ("best", 0)
    assert METRICS["threshold"] == info.threshold


def test_the_package_stays_small() -> None:
    assert sum(path.stat().st_size for path in SHIPPED_FOLDER.iterdir()) <= 13e6


def test_its_graph_is_the_one_that_its_weights_make() -> None:
    info, weights = read_weights(SHIPPED_FOLDER)
    made, shipped = build_graph(weights, info), onnx.load(SHIPPED_FOLDER / GRAPH)
    assert made.graph == shipped.graph
    assert (made.opset_import, made.ir_version) == (shipped.opset_import, shipped.ir_version)


def test_without_torch_it_says_what_it_says_with_it() -> None:
    rng = np.random.default_rng(0)
    findings: list[Finding] = ["normal", "consolidation", "interstitial", "diffuse"]
    films_BSS = np.stack([render(rng, findings[i % 4]) for i in range(200)])
    films_BSS[::5] = films_BSS[::5, ::-1]  # which read low, as phantoms do not
    by_torch, by_onnx = (
        load_backend(SHIPPED_FOLDER, backend=backend) for backend in ("torch", "onnx")
    )
    there, here = by_torch.answer(films_BSS), by_onnx.answer(films_BSS)
    said = probability(there.logits_B, by_torch.info.temperature)
    assert said.min() < 0.2
    assert said.max() > 0.95
    np.testing.assert_allclose(
        probability(here.logits_B, by_onnx.info.temperature), said, rtol=0, atol=1e-4
    )
    np.testing.assert_allclose(
        here.detected.film_scores_B, there.detected.film_scores_B, rtol=0, atol=1e-3
    )
    np.testing.assert_allclose(
        here.detected.distances_B, there.detected.distances_B, rtol=1e-3, atol=1e-3
    )


def test_a_graph_of_another_model_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "weights"
    shutil.copytree(SHIPPED_FOLDER, package)
    monkeypatch.setattr("cxrdiag.model.onnx.SHIPPED_FOLDER", package)
    assert load_onnx(package).info.threshold == METRICS["threshold"]
    text = (package / "model.json").read_text(encoding="utf-8")
    (package / "model.json").write_text(text.replace('"prevalence": 0.', '"prevalence": 0.1'))
    with pytest.raises(ModelError, match="not of one model"):
        load_onnx(package)
    (package / "model.onnx").write_bytes((package / "model.onnx").read_bytes()[:1_000_000])
    with pytest.raises(ModelError, match="ONNX Runtime does not run it"):
        load_onnx(package)


def test_it_answers_offline(
    films: list[Path], tmp_path: Path, cxrdiag_command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.chdir(tmp_path)
    outcome = cxrdiag_command("predict", *films[:3], "--force", "--json")
    document = outcome.document
    assert (outcome.code, document["model"], document["errors"]) == (0, "shipped", [])
    assert [said["file"] for said in document["diagnoses"]] == [str(film) for film in films[:3]]
    said = [diagnosis["probability"] for diagnosis in document["diagnoses"]]
    # Of these very weights, on phantoms: what comes before or after them did not change either.
    assert said == pytest.approx([0.982, 0.968, 0.980], abs=0.005)
    model = cxrdiag.load("shipped", "cpu", force=True)
    assert said == pytest.approx([model.diagnose(film).probability for film in films[:3]], abs=1e-5)


def test_the_finetune_recipe_fits_it() -> None:
    recipe = load_recipe("finetune")
    start = load_start(recipe)
    assert start is not None
    info = load_model(SHIPPED_FOLDER, torch.device("cpu")).info
    assert (start.mean, start.std) == (info.mean, info.std)
    assert (recipe.data.resolution, recipe.model.mirror) == (info.resolution, info.mirror)
