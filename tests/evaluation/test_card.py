"""Every number in a model card is one of its JSON."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from cxrdiag.data.store import Store
from cxrdiag.evaluation.card import shipped_card
from cxrdiag.evaluation.evaluate import evaluate
from cxrdiag.files import write_json
from cxrdiag.model.checkpoint import load_model
from cxrdiag.runs import SHIPPED_FOLDER

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
    return {name: cells for name, *cells in found}


def check(card: str, info: dict[str, Any], metrics: dict[str, Any]) -> None:
    """Compare each number of the card with the documents."""
    shown = rows(card)
    told = {name: (metrics, key) for name, key in NAMES.items()}
    for kind in ("bacterial", "viral"):
        found = metrics["subtypes"][kind]
        told[f"sensitivity, {kind} (n = {found['n']})"] = (found, "sensitivity")
        told[f"AUROC, {kind} against all normal films"] = (found, "auroc")
    assert set(shown) == set(told)
    for name, (found, key) in told.items():
        value, interval = shown[name]
        assert float(value) == pytest.approx(found[key], abs=5.1e-4)
        ends = [float(end) for end in interval.split(" to ")]
        assert ends == pytest.approx(found[f"{key}_ci95"], abs=5.1e-4)

    def share(which: str) -> str:
        value = metrics[f"accuracy_if_{which}"]
        return "none" if value is None else f"{value:.3f}"

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
        f"a temperature of {info['temperature']:.3f}",
        f'For {metrics["uncertain_n"]} films the answer is "uncertain"',
        f"of those {share('uncertain')} are right",
        f"the others {share('certain')}",
        f"{round(metrics['refused'] * metrics['n'])} of the {metrics['n']} are refused",
        f"the ECE is {metrics['ece_reweighted']:.3f}, without temperature "
        f"{metrics['ece_reweighted_without_temperature']:.3f}",
        "0.9 comes to 0.32 where 5%",  # odds of 9 to 1, of which only 1 in 19 is sick
        f"Of the test split {100 * metrics['n_pneumonia'] / metrics['n']:.0f}% show a pneumonia",
    ):
        assert sentence in text


@pytest.fixture
def run(own_run: Path, small_store: Store) -> Path:
    """A run that calls half of the films Pneumonia."""
    evaluate(own_run, small_store, "test", CPU)
    document = json.loads((own_run / "model.json").read_text())
    middle = pd.read_csv(own_run / "predictions.csv")["probability"].median()
    document["threshold"] = document["operating_points"]["balanced"]["threshold"] = middle
    write_json(own_run / "model.json", document)
    return own_run


def test_a_card_says_what_its_json_says(run: Path, small_store: Store) -> None:
    metrics = evaluate(run, small_store, "test", CPU)
    card = shipped_card(load_model(run, CPU).info, metrics)
    check(card, json.loads((run / "model.json").read_text()), metrics)
    assert "Not a medical device" in card
    assert "mirror image" not in card
    # Where most of the films that are called Pneumonia are normal ones, by Bayes' rule.
    (even,) = re.findall(r"below (\d+)%, most", card)
    false_alarms, hits = 1 - metrics["specificity"], metrics["sensitivity"]
    share = [
        hits * p / (hits * p + false_alarms * (1 - p))
        for p in (float(even) / 100 - 0.02, float(even) / 100 + 0.02)
    ]
    assert share[0] < 0.5 < share[1]


def test_only_the_test_split_gets_a_card(own_run: Path, small_store: Store) -> None:
    metrics = evaluate(own_run, small_store, "val", CPU)
    with pytest.raises(ValueError, match="test split"):
        shipped_card(load_model(own_run, CPU).info, metrics)


def test_a_card_tells_of_the_mirror_image(run: Path, small_store: Store) -> None:
    metrics = evaluate(run, small_store, "test", CPU)
    info = dataclasses.replace(load_model(run, CPU).info, mirror=True)
    assert "two passes, of a film and of its mirror image" in shipped_card(info, metrics)


def test_every_number_of_the_shipped_card_is_one_of_its_json() -> None:
    card = (SHIPPED_FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    metrics = json.loads((SHIPPED_FOLDER / "metrics.json").read_text(encoding="utf-8"))
    check(card, json.loads((SHIPPED_FOLDER / "model.json").read_text(encoding="utf-8")), metrics)
    assert card == shipped_card(load_model(SHIPPED_FOLDER, CPU).info, metrics)
