"""The reason says what would make a film of it, by the shipped model on phantoms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import cxrdiag
from cxrdiag.data.image import read_image
from cxrdiag.inference.abstain import NOT_A_FILM
from cxrdiag.inference.diagnosis import Diagnosis, in_words
from cxrdiag.inference.predictor import Predictor


@pytest.fixture(scope="module")
def shipped() -> Predictor:
    return cxrdiag.load("shipped", "cpu")


@pytest.mark.parametrize(
    ("remedy", "spoilt"),
    [
        ("rotated by 180 degrees", lambda film: film[::-1, ::-1]),
        ("rotated by 90 degrees anticlockwise", lambda film: np.rot90(film, -1)),
        ("rotated by 90 degrees clockwise", np.rot90),
        ("with black and white exchanged", lambda film: 255 - film),
    ],
)
def test_what_would_help_is_said(
    shipped: Predictor, films: list[Path], tmp_path: Path, remedy: str, spoilt
) -> None:
    n_tried = 0
    for film in films[:12]:
        upright = read_image(film, 256)
        if shipped.classifier.answer(upright[None]).detected.film_scores_B[0] < 1:
            continue  # not every phantom is taken for a film, and for sure
        n_tried += 1
        picture: NDArray[np.uint8] = np.ascontiguousarray(spoilt(upright))
        Image.fromarray(picture).save(tmp_path / "spoilt.png")
        diagnosis = shipped.diagnose(tmp_path / "spoilt.png")
        assert diagnosis.abstained
        assert diagnosis.reason == f"{NOT_A_FILM}; {remedy} it would look like one"
    assert n_tried >= 5


def test_a_blank_picture_is_called_blank_and_noise_is_not(
    shipped: Predictor, tmp_path: Path
) -> None:
    Image.new("L", (300, 200), 90).save(tmp_path / "blank.png")
    assert shipped.diagnose(tmp_path / "blank.png").reason == f"{NOT_A_FILM}: it is blank"
    noise = np.random.default_rng(0).integers(256, size=(200, 300), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    assert shipped.diagnose(tmp_path / "noise.png").reason == NOT_A_FILM


@pytest.mark.parametrize(
    ("label", "uncertain", "abstained", "forced", "words"),
    [
        ("Normal", False, False, False, "Normal"),
        ("Pneumonia", True, False, False, "uncertain, Pneumonia if anything"),
        ("Pneumonia", False, False, True, "Pneumonia (forced)"),
        (None, False, True, False, "no answer"),
    ],
)
def test_an_answer_in_words(
    label: str | None, uncertain: bool, abstained: bool, forced: bool, words: str
) -> None:
    p = None if abstained else 0.5
    point = ("balanced", 0.5, 0.9, (0.8, 0.95), 0.9, (0.8, 0.95), 0.4, 0.6)
    said = Diagnosis("x", label, p, 0.5, *point, uncertain, abstained, forced)
    assert in_words(said) == words
