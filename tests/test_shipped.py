"""The model in the package: whole, small, and usable without a network."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import torch

import cxrdiag
from cxrdiag.model.checkpoint import load_model
from cxrdiag.runs import SHIPPED_FOLDER
from cxrdiag.training.config import load_recipe
from cxrdiag.training.start import load_start

ROOT = Path(__file__).parents[1]
METRICS = json.loads((SHIPPED_FOLDER / "metrics.json").read_text(encoding="utf-8"))


def test_its_results_are_of_the_test_split_of_the_data_it_was_trained_on() -> None:
    assert (METRICS["split"], METRICS["n"], METRICS["n_normal"]) == ("test", 624, 234)
    assert METRICS["trained_on_this_store"] is True
    # The first of its looks was before temperature and detector were fitted to it.
    ledger = (ROOT / "benchmarks" / "test_ledger.csv").read_text(encoding="utf-8")
    assert METRICS["test_evaluations"] == 1 + ledger.count(f",{METRICS['weights_sha256'][:12]},")
    info = load_model(SHIPPED_FOLDER, torch.device("cpu")).info
    assert (info.recipe, info.seed) == ("best", 0)
    assert METRICS["threshold"] == info.threshold


def test_the_package_stays_small() -> None:
    assert sum(path.stat().st_size for path in SHIPPED_FOLDER.iterdir()) <= 8e6


def test_it_answers_offline(
    films: list[Path], tmp_path: Path, cxrdiag_command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.chdir(tmp_path)
    outcome = cxrdiag_command("predict", *films[:3], "--json")
    document = outcome.document
    assert (outcome.code, document["model"], document["errors"]) == (0, "shipped", [])
    assert [said["file"] for said in document["diagnoses"]] == [str(film) for film in films[:3]]
    said = [diagnosis["probability"] for diagnosis in document["diagnoses"]]
    # Of these very weights, on phantoms: what comes before or after them did not change either.
    assert said == pytest.approx([0.903, 0.805, 0.970], abs=0.02)
    model = cxrdiag.load("shipped", "cpu")
    assert said == pytest.approx([model.diagnose(film).probability for film in films[:3]], abs=1e-5)


def test_the_finetune_recipe_fits_it() -> None:
    recipe = load_recipe("finetune")
    start = load_start(recipe)
    assert start is not None
    info = load_model(SHIPPED_FOLDER, torch.device("cpu")).info
    assert (start.mean, start.std) == (info.mean, info.std)
    assert (recipe.data.resolution, recipe.model.mirror) == (info.resolution, info.mirror)
