"""Draw the README's picture: phantoms, random crops of one, activation maps on others.

    make demo                            # a model trained on phantoms
    python examples/gallery.py [--run demo/runs/demo] [--out examples/gallery.png]

Everything in it is synthetic.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

import cxrdiag
from cxrdiag.data.augment import augment
from cxrdiag.data.phantom.dataset import render
from cxrdiag.data.resample import resize
from cxrdiag.model.overlay import overlay
from cxrdiag.model.probability import probability
from cxrdiag.training.recipe import load_recipe

SIDE, GAP, TITLE, COLUMNS = 224, 6, 24, 5
FINDINGS = ("normal", "consolidation", "interstitial", "diffuse", "normal")


def main() -> None:
    """Three rows of five pictures, each with a title."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, default=Path("demo/runs/demo"))
    parser.add_argument("--out", type=Path, default=Path("examples/gallery.png"))
    arguments = parser.parse_args()
    rows = [phantoms(), crops(), maps(arguments.run)]
    width = COLUMNS * SIDE + (COLUMNS - 1) * GAP
    sheet = Image.new("RGB", (width, len(rows) * (SIDE + TITLE)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for r, row in enumerate(rows):
        for c, (title, picture) in enumerate(row):
            x, y = c * (SIDE + GAP), r * (SIDE + TITLE)
            draw.text((x + 2, y + 5), title, "black", font)
            sheet.paste(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (x, y + TITLE))
    sheet.save(arguments.out, optimize=True)


def phantom(finding: str, seed: int) -> np.ndarray:
    """One phantom, uint8 (256, 256)."""
    return render(np.random.default_rng(seed), finding, 256)


def phantoms() -> list[tuple[str, Image.Image]]:
    """One patient a finding."""
    return [(f, Image.fromarray(phantom(f, 20 + n))) for n, f in enumerate(FINDINGS)]


def crops() -> list[tuple[str, Image.Image]]:
    """What training sees of one film, in as many epochs."""
    films = np.stack([phantom(f, 20 + n) for n, f in enumerate(FINDINGS)])
    x, config = resize(torch.from_numpy(films), SIDE), load_recipe("default").augment
    generator = torch.Generator().manual_seed(3)
    # In a batch with the others, whose exposure it takes on in part.
    targets = torch.tensor([float(finding != "normal") for finding in FINDINGS])
    batch = torch.stack([augment(x, config, generator, targets)[1] for _ in range(COLUMNS)])
    pictures = (batch[:, 0].numpy() * 255).astype(np.uint8)
    return [(f"epoch {n + 1}", Image.fromarray(p)) for n, p in enumerate(pictures)]


def maps(run: Path) -> list[tuple[str, Image.Image]]:
    """Activation maps over films that the model has not seen."""
    films = [phantom(f, 40 + n) for n, f in enumerate(FINDINGS)]
    classifier = cxrdiag.load(run).classifier
    answers = classifier.answer(np.stack(films), with_maps=True)
    probabilities = probability(answers.logits_B, classifier.info.temperature)
    assert answers.maps_Bhw is not None
    return [
        (f"{finding}: probability {p:.2f}", Image.fromarray(overlay(film, activation)))
        for finding, film, activation, p in zip(
            FINDINGS, films, answers.maps_Bhw, probabilities, strict=True
        )
    ]


if __name__ == "__main__":
    main()
