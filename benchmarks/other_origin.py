"""How well `predict` warns of films that are unlike those of training.

    python benchmarks/other_origin.py --data FOLDER [--work bench/other_origin]

FOLDER is the CoronaHack data set. Its films of the COVID-19 image data collection, 69 of 5,910,
most of adults and many portable, are taken out of what `prepare` is given, and the recipe
`default` is trained on the rest: neither the network nor its detector has seen one of them, or any
film of their kind. Then both are asked about them, and about the test films, whose labels are not
read. Four files of the 69, three films, are lateral views, as the authors of this script saw who
looked at all of them: they count by themselves. A finished training is not repeated. Writes
benchmarks/results/other_origin.json.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from accuracy import cxrdiag
from provenance import provenance
from refusal import share

from cxrdiag import load
from cxrdiag.data.image import read_image
from cxrdiag.data.kaggle import METADATA, Record
from cxrdiag.data.layouts import read_dataset
from cxrdiag.data.store import open_store
from cxrdiag.inference.backend import Backend
from cxrdiag.runs import is_finished, is_interrupted
from cxrdiag.training.environment import describe_environment

RESULTS = Path(__file__).parent / "results" / "other_origin.json"
ORIGIN = ("bacterial", "viral")
"""Subtypes of the films of Kermany et al."""
LATERAL = (
    "35AF5C3B-D04D-4B4B-92B7-CB1F67D83085.jpeg",
    "D5ACAA93-C779-4E22-ADFA-6A220489F840.jpeg",  # the same film
    "44C8E3D6-20DA-42E9-B33B-96FA6D6DE12F.jpeg",
    "4C4DEFD8-F55D-4588-AAD6-C59017F55966.jpeg",  # says so itself: RX TORACE LATERALE
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("bench/other_origin"))
    arguments = parser.parse_args()
    work, run = arguments.work, arguments.work / "run"
    others = [
        record
        for record in read_dataset(arguments.data)[0]
        if record.label == "Pneumonia" and record.subtype not in ORIGIN
    ]
    without(arguments.data, {record.name for record in others}, work / "data")
    cxrdiag("prepare", "--kaggle-dir", work / "data", "--out", work / "prepared")
    if not is_finished(run):
        how = ["--resume"] if is_interrupted(run) else ["--seed", 0]
        trained = provenance()  # of the code that trains, not of later edits
        cxrdiag("train", "--data", work / "prepared", "--run", run, *how)
        (run / "benchmark.json").write_text(json.dumps(trained))

    classifier, store = load(run, "cpu").classifier, open_store(work / "prepared")
    side = classifier.info.image_size
    films = {
        "test films": np.array(store.images_NSS[store.rows("test")]),
        "other origin, frontal": read([r for r in others if r.name not in LATERAL], side),
        "other origin, lateral": read([r for r in others if r.name in LATERAL], side),
    }
    assert len(films["other origin, lateral"]) == len(LATERAL)
    document = {
        **json.loads((run / "benchmark.json").read_text()),
        "environment": describe_environment(torch.device("cpu")),
    } | {name: answers(classifier, images_NSS) for name, images_NSS in films.items()}
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    for name in films:
        for what, row in document[name].items():
            print(f"{name:21} {what:28} {row['k']:4} of {row['n']:4}, {row['share']:.3f}")


def read(records: list[Record], side: int) -> np.ndarray:
    """Their films, decoded."""
    return np.stack([read_image(record.path, side) for record in records])


def without(folder: Path, left_out: set[str], target: Path) -> None:
    """A data set as `folder`, but for some films: the same images, a shorter table."""
    if not target.exists():
        shutil.copytree(folder, target)
    rows = pd.read_csv(folder / METADATA, dtype=str, keep_default_na=False)
    rows[~rows["X_ray_image_name"].isin(left_out)].to_csv(target / METADATA, index=False)


def answers(classifier: Backend, images_NSS: np.ndarray) -> dict[str, dict]:
    """How many are refused, warned of, and answered without a word."""
    detected = classifier.answer(images_NSS).detected
    refused, unlike = detected.film_scores_B < 0, detected.distances_B > 1
    return {
        "refused": share(refused),
        "warned of": share(unlike & ~refused),
        "answered without a warning": share(~unlike & ~refused),
    }


if __name__ == "__main__":
    main()
