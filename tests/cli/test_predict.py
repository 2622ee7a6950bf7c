"""`cxrdiag predict`: card, table, CSV, JSON and maps, for files of any name, good or bad."""

from __future__ import annotations

import csv
import dataclasses
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cxrdiag
from cxrdiag.inference.abstain import LIKE, NOT_A_FILM, UNLIKE
from cxrdiag.inference.diagnosis import in_words
from cxrdiag.model.answers import Answers, Detected
from cxrdiag.model.onnx import OnnxClassifier

NEWEST = ", the newest run (for the packaged model: --run shipped)"
RATES = ("sensitivity", "specificity")
FIELDS = (
    "file,label,probability,prevalence,operating_point,threshold,"
    "validation_sensitivity,validation_sensitivity_ci95,"
    "validation_specificity,validation_specificity_ci95,"
    "uncertain_from,uncertain_below,uncertain,abstained,forced,reason,warning,"
    "heatmap,heatmap_error,notice"
)
ODD_NAMES = (
    "sp ace.jpeg",
    "lung-ü-肺.jpeg",
    ":lung:.jpeg",
    "[red]x[bold].jpeg",
    "[red]x[/].jpeg",  # a folder, on most systems: [red]x[ and in it ].jpeg
    "-dash.jpeg",
    "a'b\"c,d.jpeg",
    "no suffix",
)


@pytest.fixture
def odd(desk: Path, films: list[Path]) -> list[str]:
    for name, film in zip(ODD_NAMES, films, strict=False):
        (desk / "odd" / name).parent.mkdir(parents=True, exist_ok=True)
        (desk / "odd" / name).write_bytes(film.read_bytes())
    return [f"odd/{name}" for name in ODD_NAMES]


def test_one_file_gives_a_card(desk: Path, films: list[Path], cxrdiag_command) -> None:
    model = cxrdiag.load("runs/tiny")
    usual = next(film for film in films if model.diagnose(film).warning is None)
    (desk / "film.jpeg").write_bytes(usual.read_bytes())
    diagnosis, info = model.diagnose("film.jpeg"), model.classifier.info
    assert diagnosis.probability is not None
    outcome = cxrdiag_command("predict", "film.jpeg")
    assert (outcome.code, outcome.err) == (0, "")
    lines = [line.strip("│ ") for line in outcome.out.splitlines()]
    ends = [info.operating_points[f"{rate}=0.98"].threshold for rate in RATES]
    low, high = min(*ends, info.threshold), max(*ends, info.threshold)
    point = info.operating_points["balanced"]
    # At even odds a probability is a likelihood ratio; at 5 % the odds before are 1 to 19.
    ratio = diagnosis.probability / (1 - diagnosis.probability)
    rare = ratio / (ratio + 19)
    assert lines[1:8] == [
        "film.jpeg",
        in_words(diagnosis),
        f"probability {diagnosis.probability:.3f} where 50% of films show pneumonia, "
        f"{rare:.3f} where 5% do",
        f"Normal below {low:.3f}, Pneumonia from {high:.3f}, uncertain between, "
        f"threshold {info.threshold:.3f}",
        "operating point balanced:",
        ", ".join(
            f"{name} {getattr(point, name):.2f} ({ends[0]:.2f} to {ends[1]:.2f})"
            for name in RATES
            for ends in [getattr(point, f"{name}_ci95")]
        ),
        "on the shifted validation films it was chosen on; elsewhere they differ",
    ]
    assert " ".join(lines[8:10]) == LIKE
    assert lines[10] == f"model runs/tiny{NEWEST}"
    assert diagnosis.uncertain == (low <= diagnosis.probability < high)
    assert lines[-1] == "For research and education. Not a medical device, not for diagnosis."


def test_many_files_give_a_table_in_their_order(
    desk: Path, odd: list[str], cxrdiag_command, monkeypatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    outcome = cxrdiag_command("predict", *odd)
    assert (outcome.code, outcome.err) == (0, "")
    rows = [line.strip("│ ") for line in outcome.out.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in row.split("│")] for row in rows]
    assert [row[0] for row in cells] == odd
    predictor = cxrdiag.load("runs/tiny")
    for name, answer, shown in cells:
        diagnosis = predictor.diagnose(name)
        assert answer.removesuffix(" (!)") == in_words(diagnosis)
        assert answer.endswith("(!)") == (diagnosis.warning is not None)
        assert float(shown) == pytest.approx(diagnosis.probability, abs=6e-4)
    threshold = predictor.classifier.info.threshold
    limits = f"uncertain between, threshold {threshold:.3f}, operating point balanced"
    assert limits in outcome.out
    answers = [in_words(predictor.diagnose(name)) for name in odd]
    counts = ", ".join(
        f"{sum(a.startswith(kind) for a in answers)} {kind}"
        for kind in ("Pneumonia", "Normal", "uncertain")
    )
    said = f"{len(odd)} read by runs/tiny{NEWEST}: {counts}, 0 without an answer; 0 not readable"
    assert said in outcome.out


def test_a_long_name_is_folded_and_not_cut_off(
    desk: Path, films: list[Path], cxrdiag_command
) -> None:
    names = [f"{'x' * 90}{n}.jpeg" for n in range(2)]
    for name in names:
        (desk / name).write_bytes(films[0].read_bytes())
    for arguments in (names, names[:1]):
        out = cxrdiag_command("predict", *arguments).out
        first_cells = [line.split("│")[1].strip() for line in out.splitlines() if "│" in line]
        assert "…" not in out
        assert all(name in "".join(first_cells) for name in arguments)


def test_json_is_one_document_with_the_documented_keys(
    desk: Path, odd: list[str], cxrdiag_command
) -> None:
    outcome = cxrdiag_command("predict", *odd, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    document = outcome.document
    assert list(document) == ["diagnoses", "errors", "model", "version", "notice"]
    assert document["errors"] == []
    assert document["model"] == "runs/tiny"
    assert document["version"] == cxrdiag.__version__
    assert "Not a medical device" in document["notice"]
    assert [d["file"] for d in document["diagnoses"]] == odd
    for diagnosis in document["diagnoses"]:
        assert ",".join(diagnosis) == FIELDS
        called = diagnosis["probability"] >= diagnosis["threshold"]
        assert diagnosis["label"] == ("Pneumonia" if called else "Normal")
        assert diagnosis["operating_point"] == "balanced"
        assert (diagnosis["abstained"], diagnosis["forced"]) == (False, False)
        assert (diagnosis["reason"], diagnosis["heatmap"]) == (None, None)
    assert len({d["probability"] for d in document["diagnoses"]}) == len(odd)


def test_a_folder_stands_for_the_images_below_it(
    desk: Path, odd: list[str], cxrdiag_command
) -> None:
    (desk / "odd" / "._sp ace.jpeg").write_bytes(b"left by an archive")
    (desk / "odd" / "notes.txt").write_text("not an X-ray")
    files = [d["file"] for d in cxrdiag_command("predict", "odd", "--json").document["diagnoses"]]
    assert files == sorted(files, key=Path)
    assert set(files) == {name for name in odd if name.endswith(".jpeg")}


def test_csv_holds_what_json_says(desk: Path, odd: list[str], cxrdiag_command) -> None:
    document = cxrdiag_command("predict", *odd, "--csv", "new/out.csv", "--json").document
    with (desk / "new" / "out.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    assert reader.fieldnames == [*FIELDS.split(","), "code", "message", "model"]
    assert {row["model"] for row in rows} == {document["model"]} == {"runs/tiny"}
    assert [row["file"] for row in rows] == odd
    assert {row["notice"] for row in rows} == {document["notice"]}
    for row, diagnosis in zip(rows, document["diagnoses"], strict=True):
        assert float(row["probability"]) == diagnosis["probability"]
        assert float(row["threshold"]) == diagnosis["threshold"]
        assert (row["label"], row["abstained"]) == (diagnosis["label"], "False")


def test_a_batch_goes_on_past_bad_files(desk: Path, films: list[Path], cxrdiag_command) -> None:
    (desk / "text.jpeg").write_text("no picture")
    (desk / "cut.jpeg").write_bytes(films[0].read_bytes()[:900])
    (desk / "nothing.png").touch()
    (desk / "empty").mkdir()
    bad = ["text.jpeg", "cut.jpeg", "nothing.png", "empty", "gone.jpeg"]
    mixed = [bad[0], films[0], *bad[1:], films[1]]

    outcome = cxrdiag_command("predict", *mixed, "--json")
    assert (outcome.code, outcome.err) == (3, "")
    document = outcome.document
    assert [d["file"] for d in document["diagnoses"]] == [str(films[0]), str(films[1])]
    assert [set(error) for error in document["errors"]] == [{"file", "code", "message"}] * 5
    assert [(error["file"], error["code"]) for error in document["errors"]] == [
        ("text.jpeg", "unsupported_format"),
        ("cut.jpeg", "unreadable_image"),
        ("nothing.png", "unsupported_format"),
        ("empty", "no_images"),
        ("gone.jpeg", "unreadable_file"),
    ]

    outcome = cxrdiag_command("predict", *mixed)
    assert outcome.code == 3
    assert [line.split(":")[1].strip() for line in outcome.err.splitlines()] == bad
    assert f"2 read by runs/tiny{NEWEST}: " in outcome.out
    assert "0 without an answer; 5 not readable" in outcome.out


def test_only_bad_files(desk: Path, cxrdiag_command) -> None:
    (desk / "text.jpeg").write_text("no picture")
    outcome = cxrdiag_command("predict", "text.jpeg")
    assert outcome.code == 3
    assert outcome.err == "error: text.jpeg: not a JPEG, PNG, TIFF, WebP, BMP or DICOM file\n"


def test_the_newest_run_is_taken(desk: Path, films: list[Path], cxrdiag_command) -> None:
    other = desk / "runs" / "other"
    other.mkdir()
    (other / "model.safetensors").symlink_to(desk / "runs" / "tiny" / "model.safetensors")
    (other / "model.json").write_bytes((desk / "runs" / "tiny" / "model.json").read_bytes())
    os.utime(other / "model.json", (1, 1))
    assert cxrdiag_command("predict", films[0], "--json").document["model"] == "runs/tiny"
    os.utime(other / "model.json")
    document = cxrdiag_command("predict", films[0], "--json").document
    assert document["model"] == "runs/other"
    assert math.isfinite(document["diagnoses"][0]["probability"])


@pytest.fixture
def page(desk: Path) -> str:
    """What is no X-ray."""
    rows = np.random.default_rng(0).choice([0, 255], (200, 50)).astype(np.uint8)
    Image.fromarray(rows.repeat(4, axis=1)).save(desk / "page.png")
    return "page.png"


def test_what_is_no_film_gets_no_answer_and_the_reason(
    desk: Path, films: list[Path], page: str, cxrdiag_command
) -> None:
    outcome = cxrdiag_command("predict", page)
    assert outcome.code == 0
    for text in (
        "no answer",
        NOT_A_FILM,
        "use --force to get an answer anyway",
        "Not a medical device",
    ):
        assert text in outcome.out
    assert "probability" not in outcome.out
    document = cxrdiag_command("predict", page, films[0], "--heatmap", "m", "--json").document
    refused, answered = document["diagnoses"]
    assert (refused["abstained"], refused["forced"], refused["uncertain"]) == (True, False, False)
    assert (refused["label"], refused["probability"], refused["heatmap"]) == (None, None, None)
    assert refused["reason"].startswith(NOT_A_FILM)
    assert (answered["abstained"], answered["reason"]) == (False, None)
    assert [path.name for path in (desk / "m").iterdir()] == [films[0].stem + ".png"]
    out = cxrdiag_command("predict", page, films[0]).out
    assert f"{page}: {NOT_A_FILM}" in out
    assert f"2 read by runs/tiny{NEWEST}: " in out
    assert "1 without an answer; 0 not readable" in out


def test_force_answers_and_says_so(desk: Path, page: str, cxrdiag_command) -> None:
    (forced,) = cxrdiag_command("predict", page, "--force", "--json").document["diagnoses"]
    assert (forced["abstained"], forced["forced"]) == (False, True)
    assert forced["label"] in ("Normal", "Pneumonia")
    assert 0 < forced["probability"] < 1
    assert forced["uncertain"]
    for rate in RATES:  # they are of films
        assert (forced[f"validation_{rate}"], forced[f"validation_{rate}_ci95"]) == (None, None)
    assert forced["reason"].startswith(NOT_A_FILM)
    outcome = cxrdiag_command("predict", page, "--force", "--heatmap", "m")
    assert "(forced)" in outcome.out
    assert "how often such an answer is right is not known" in outcome.out
    assert not any(rate in outcome.out for rate in RATES)
    assert NOT_A_FILM in outcome.out
    assert (desk / "m" / "page.png").exists()
    assert cxrdiag.load("runs/tiny", force=True).diagnose(page).forced


def test_an_operating_point_is_its_threshold(
    desk: Path, films: list[Path], cxrdiag_command
) -> None:
    points = cxrdiag.load("runs/tiny").classifier.info.operating_points
    by_point = {}
    for name, point in points.items():
        arguments = ("predict", *films, "--operating-point", name, "--json")
        found = cxrdiag_command(*arguments).document["diagnoses"]
        assert {d["operating_point"] for d in found} == {name}
        assert {d["threshold"] for d in found} == {point.threshold}
        for d in found:
            assert (d["label"] == "Pneumonia") == (d["probability"] >= point.threshold)
        by_point[name] = sum(d["label"] == "Pneumonia" for d in found)
    assert by_point["sensitivity=0.98"] > by_point["specificity=0.98"]
    outcome = cxrdiag_command("predict", films[0], "--operating-point", "sensitivity=0.99")
    assert outcome.code == 2
    assert "no operating point 'sensitivity=0.99'" in outcome.err
    assert "balanced, youden, sensitivity=0.90" in outcome.err


def test_only_the_unusual_is_warned_of(
    desk: Path, films: list[Path], cxrdiag_command, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = OnnxClassifier.answer

    def farther(self: OnnxClassifier, images: Any, **how: Any) -> Answers:
        found = answer(self, images, **how)
        distances_B = np.where(np.arange(len(images)) == 1, 1.01, 1.0).astype(np.float32)
        films_B = np.ones_like(found.detected.film_scores_B)
        return dataclasses.replace(found, detected=Detected(films_B, distances_B))

    monkeypatch.setattr(OnnxClassifier, "answer", farther)
    found = cxrdiag_command("predict", *films[:3], "--json").document["diagnoses"]
    assert [d["warning"] for d in found] == [None, UNLIKE, None]
    assert [d["label"] is None for d in found] == [False] * 3
    assert f"(!) on 1 of these films: {UNLIKE}" in cxrdiag_command("predict", *films[:3]).out
