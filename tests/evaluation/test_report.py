"""The page: whole, of its numbers, from nowhere else, and fit to be read aloud."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cxrdiag.data.store import Store
from cxrdiag.errors import DataError
from cxrdiag.evaluation.claim import ITEMS
from cxrdiag.evaluation.evaluate import evaluate
from cxrdiag.evaluation.report import Evaluated, write_report
from cxrdiag.model.checkpoint import load_model

CPU = torch.device("cpu")
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Elements with their attributes, the text, and that each element is closed in its place."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words = ""
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def metrics(own_run: Path, small_store: Store) -> dict[str, Any]:
    return evaluate(own_run, small_store, "test", CPU)


@pytest.fixture
def page(own_run: Path, metrics: dict[str, Any]) -> Page:
    return Page((own_run / "report.html").read_text(encoding="utf-8"))


def test_it_is_whole_and_answers_in_the_order_of_the_questions(page: Page) -> None:
    assert page.open == []
    order = [attributes["id"] for attributes in page.all("section")]
    assert order == ["good", "sure", "fail", "data", "made", "claim"]
    links = [attributes["href"] for attributes in page.all("a")]
    assert links == [f"#{name}" for name in order]
    assert page.words.count("Not a medical device") == 2
    assert "nan" not in page.words.lower().split()
    assert "None" not in page.words.replace("None.", "")


def test_nothing_comes_from_elsewhere(page: Page, own_run: Path) -> None:
    assert page.all("script") == []
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "data", "action", "srcset"):
            if attributes.get(name):
                assert str(attributes[name]).startswith(("data:", "#"))
    text = (own_run / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\(", text)


def test_it_can_be_read_aloud(page: Page) -> None:
    assert page.all("html")[0]["lang"] == "en"
    assert all(attributes.get("alt") for attributes in page.all("img"))
    charts = page.all("svg")
    assert len(charts) >= 3
    assert all(a["role"] == "img" and a["aria-label"] for a in charts)
    assert all(a["scope"] in ("row", "col") for a in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) >= 8


def test_the_tables_say_what_the_metrics_say(page: Page, metrics: dict[str, Any]) -> None:
    rows = {row[0]: row[1:] for row in page.rows}
    for shown, name in (("accuracy", "accuracy"), ("AUROC", "auroc"), ("ECE", "ece")):
        low, high = metrics[f"{name}_ci95"]
        assert rows[shown] == [f"{metrics[name]:.3f}", f"{low:.3f} to {high:.3f}"]
    assert rows["Normal"] == [str(metrics["true_negatives"]), str(metrics["false_positives"])]
    assert rows["Pneumonia"] == [str(metrics["false_negatives"]), str(metrics["true_positives"])]
    npv = metrics["npv_at_0.01"]
    assert rows["1 %"][2] == ("–" if npv is None else f"{npv:.3f}")
    assert rows["1 %"][3] == "{:.3f} to {:.3f}".format(*metrics["npv_at_0.01_ci95"])
    for name, told in metrics["shortcuts"].items():
        interval = "{:.3f} to {:.3f}".format(*told["auroc_ci95"])
        lean = "{:.3f} to {:.3f}".format(*told["lean_normal_ci95"])
        # The later of two such rows.
        assert rows[name][:2] == [f"{told['auroc']:.3f}", interval]
        assert rows[name][2] == f"{told['lean_normal']:.3f} ({lean})"
    for name, found in metrics["specificity_by_series"].items():
        assert rows[name][:2] == [str(found["n"]), f"{found['specificity']:.3f}"]
    point = metrics["operating_points"]["sensitivity=0.90"]
    assert rows["sensitivity=0.90"][::2] == [
        f"{point['threshold']:.3f}",
        "{:.3f} to {:.3f}".format(*point["sensitivity_ci95"]),
        "{:.3f} to {:.3f}".format(*point["specificity_ci95"]),
    ]
    # Phantoms of COVID-19 are in train alone.
    assert rows["COVID-19"] == ["0", "no claim", "–", "no claim", "–"]
    viral = metrics["subtypes"]["viral"]
    assert rows["viral"][:2] == [str(viral["n"]), f"{viral['sensitivity']:.3f}"]
    claim = [row for row in page.rows if row[0].isdigit() and len(row) == 3]
    assert [int(row[0]) for row in claim] == list(range(1, len(ITEMS) + 1))
    assert 0 < [row[2] for row in claim].count("to be filled in") < len(ITEMS)


def test_the_films_are_those_that_were_called_wrongly(
    page: Page, own_run: Path, metrics: dict[str, Any]
) -> None:
    predictions = pd.read_csv(own_run / "predictions.csv", keep_default_na=False)
    called, sick = (
        predictions["probability"] >= metrics["threshold"],
        predictions["label"] == "Pneumonia",
    )
    p = predictions.set_index("name")["probability"]
    alts = [str(a["alt"]).removeprefix("Chest X-ray ") for a in page.all("img")]
    shown = [alt.partition(", labelled ")[0] for alt in alts]
    shown = [name for name in shown if name in p.index]
    missed = predictions.loc[sick & ~called].nsmallest(8, "probability")["name"]
    alarms = predictions.loc[~sick & called].nlargest(8, "probability")["name"]
    assert shown[: len(missed) + len(alarms)] == [*missed, *alarms]
    assert len(missed) + len(alarms) > 0
    hardly = shown[len(missed) + len(alarms) :]
    logits = np.log(p / (1 - p)) - np.log(metrics["threshold"] / (1 - metrics["threshold"]))
    right = logits[list(predictions.loc[called == sick, "name"])].abs()
    assert hardly == list(right.nsmallest(8).index)


def test_a_name_cannot_break_the_page(
    own_run: Path, small_store: Store, metrics: dict[str, Any], tmp_path: Path
) -> None:
    evil = '"><script>alert(1)</script>.png'
    records = small_store.records.assign(name=evil, subtype="<b>viral</b>")
    store = dataclasses.replace(small_store, records=records)
    predictions = pd.read_csv(own_run / "predictions.csv", keep_default_na=False)
    rows = small_store.rows("test")
    evaluated = Evaluated(
        evil, own_run, load_model(own_run, CPU), store, rows, predictions, metrics
    )
    write_report(tmp_path / "report.html", evaluated)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.all("script") == page.all("b") == []
    assert evil in page.words


def test_one_class_and_a_store_without_training_films(
    own_run: Path, small_store: Store, tmp_path: Path
) -> None:
    test = small_store.rows("test")
    normal = test[small_store.targets(test) == 0]
    store = dataclasses.replace(
        small_store,
        images_NSS=np.array(small_store.images_NSS[normal]),
        records=small_store.records.iloc[normal].reset_index(drop=True),
        path=tmp_path,
    )
    metrics = evaluate(own_run, store, "test", CPU)
    assert metrics["auroc"] is None
    page = Page((own_run / "report.html").read_text(encoding="utf-8"))
    assert "One class only" in page.words
    assert "(-)" not in page.words
    assert "Not measured: the store has too few training films" in page.words


def test_of_films_that_chose_the_model_it_says_so(own_run: Path, small_store: Store) -> None:
    evaluate(own_run, small_store, "val", CPU)
    page = Page((own_run / "report-val.html").read_text(encoding="utf-8"))
    assert "thresholds were chosen by these films: expect lower scores" in page.words


@pytest.mark.parametrize(
    "findings", [None, [], {}, {"missing": None}, {"train_test_overlap": 3}, {"audit": {"odd": 1}}]
)
def test_a_store_with_other_findings_is_one_clear_error(
    own_run: Path, small_store: Store, findings: Any
) -> None:
    if isinstance(findings, dict) and findings:
        findings = {**small_store.info["findings"], **findings}
    store = dataclasses.replace(small_store, info={**small_store.info, "findings": findings})
    with pytest.raises(DataError, match="its findings"):
        evaluate(own_run, store, "test", CPU)
    assert not (own_run / "test_evaluations.json").exists()


@pytest.mark.parametrize("damaged", [b"\xff\xfe[1", b"epoch,val_auroc,shifted_auroc\n1,x,y\n"])
def test_it_does_without_what_is_damaged_beside_the_model(
    own_run: Path, small_store: Store, damaged: bytes
) -> None:
    for name in ("history.csv", "environment.json", "config.yaml"):
        (own_run / name).unlink()
        (own_run / name).write_bytes(damaged)
    evaluate(own_run, small_store, "val", CPU)
    page = Page((own_run / "report-val.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert "AUROC while training" not in page.words


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium")
def test_a_browser_opens_it_without_a_complaint(page: Page, own_run: Path, tmp_path: Path) -> None:
    command = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--enable-logging=stderr",
        "--window-size=390,2000",
        f"--screenshot={tmp_path / 'phone.png'}",
        (own_run / "report.html").resolve().as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    # Its policy forbids it to load anything, and a browser says in its console what it forbade.
    assert "CONSOLE" not in done.stderr
    assert (tmp_path / "phone.png").stat().st_size > 20_000
