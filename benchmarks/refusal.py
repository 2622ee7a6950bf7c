"""How well `predict` tells chest X-rays from other pictures.

    python benchmarks/other_images.py --out PICTURES
    python benchmarks/refusal.py --data STORE --pictures PICTURES [--run shipped]

STORE is a prepared store: its test films are the X-rays, none of which a detector was fitted to or
has its threshold from; their labels are not read. PICTURES has a folder a kind; no training sees
any of them. Test films turned or inverted are reported apart: training films so treated are among
what a detector is fitted to. Writes benchmarks/results/refusal.json.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from provenance import provenance
from sklearn.metrics import roc_auc_score

import cxrdiag
from cxrdiag.data.find import find_images
from cxrdiag.data.image import read_image
from cxrdiag.data.negatives import SPOILT
from cxrdiag.data.store import open_store
from cxrdiag.evaluation.intervals import proportion
from cxrdiag.training.environment import describe_environment

RESULTS = Path(__file__).parent / "results" / "refusal.json"
TREATED = ("upside down", "lying", "inverted")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--run", default="shipped")
    arguments = parser.parse_args()
    classifier = cxrdiag.load(arguments.run, "cpu").classifier
    store = open_store(arguments.data)
    films_NSS = np.array(store.images_NSS[store.rows("test")])

    def score(images_NSS: np.ndarray) -> np.ndarray:
        return classifier.answer(images_NSS).detected.film_scores_B

    side = classifier.info.image_size
    kinds = {
        folder.name: score(np.stack([read_image(path, side) for path in find_images(folder)]))
        for folder in sorted(arguments.pictures.iterdir())
    }
    films, others = score(films_NSS), np.concatenate([*kinds.values()])
    rng = np.random.default_rng(0)
    treated = {
        name: score(np.stack([SPOILT[name](film, rng) for film in films_NSS])) for name in TREATED
    }
    is_film = np.r_[np.ones(len(films)), np.zeros(len(others))]
    document = {
        **provenance(),
        "run": arguments.run,
        "environment": describe_environment(torch.device("cpu")),
        "auroc": float(roc_auc_score(is_film, np.r_[films, others])),
        "auroc_worst_kind": min(
            float(roc_auc_score(np.r_[np.ones(len(films)), np.zeros(len(k))], np.r_[films, k]))
            for k in kinds.values()
        ),
        "films_refused": refused(films),
        "others_refused": refused(others),
        "kinds": {name: refused(scores) for name, scores in kinds.items()},
        "test_films_treated": {name: refused(scores) for name, scores in treated.items()},
    }
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    print(f"AUROC {document['auroc']:.4f}, of the worst kind {document['auroc_worst_kind']:.4f}")
    rows = {"test films": document["films_refused"], "other pictures": document["others_refused"]}
    rows |= document["kinds"] | document["test_films_treated"]
    for name, row in rows.items():
        print(f"{name:30} {row['k']:4} of {row['n']:4}, {row['share']:.3f}")


def refused(scores: np.ndarray) -> dict:
    return share(scores < 0)


def share(are: np.ndarray) -> dict:
    """How many are, with the Wilson interval of their share."""
    k, n = int(are.sum()), len(are)
    return {"n": n, "k": k, **proportion("share", k, n)}


if __name__ == "__main__":
    main()
