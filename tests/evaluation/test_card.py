"""Every number in a model card is one of its JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from cxrdiag.data.store import Store
from cxrdiag.evaluation.card import model_card
from cxrdiag.evaluation.evaluate import evaluate
from cxrdiag.model.checkpoint import load_model

CPU = torch.device("cpu")
NAMES = {
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "AUROC": "auroc",
    "AUPRC": "auprc",
    "Brier score": "brier",
    "ECE": "ece",
}


def rows(card: str) -> dict[str, list[str]]:
    """First cell of each row of its tables -> the other cells."""
    found = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", card, re.MULTILINE)
    return {name: cells for name, *cells in found if name.strip()}


def check(card: str, info: dict[str, Any], metrics: dict[str, Any]) -> None:
    """Compare each number of the card with the documents."""
    shown = rows(card)
    names = dict(NAMES)
    for kind in ("bacterial", "viral"):
        names[f"sensitivity, {kind} (n = {metrics[f'{kind}_n']})"] = f"{kind}_sensitivity"
        names[f"AUROC, {kind} against all normal films"] = f"{kind}_auroc"
    assert set(shown) - {"by subtype"} == set(names)
    for name, key in names.items():
        value, interval = shown[name]
        assert float(value) == pytest.approx(metrics[key], abs=5.1e-4)
        if key == "ece":
            assert interval == "-"
        else:
            ends = [float(end) for end in interval.split(" to ")]
            assert ends == pytest.approx(metrics[f"{key}_ci95"], abs=5.1e-4)
    text = " ".join(card.split())
    for sentence in (
        f"On the {metrics['n']} films of the official test split, {metrics['n_normal']} Normal and "
        f"{metrics['n_pneumonia']} Pneumonia",
        f"Of {metrics['n_normal']} normal films {metrics['false_positives']} are called Pneumonia; "
        f"of {metrics['n_pneumonia']} films of pneumonia {metrics['false_negatives']} are missed",
        f"{info['arch']} of width {info['width']} on gray squares of {info['resolution']} pixels",
        f"`{info['recipe']}`, seed {info['seed']}, with cxrdiag {info['cxrdiag_version']}",
        f"epoch {info['epoch']}",
        f"from {info['threshold']:.3f} on",
    ):
        assert sentence in text


def test_a_card_says_what_its_json_says(own_run: Path, small_store: Store) -> None:
    metrics = evaluate(own_run, small_store, "test", CPU)
    card = model_card(load_model(own_run, CPU).info, metrics)
    check(card, json.loads((own_run / "model.json").read_text()), metrics)
    assert "Not a medical device" in card
