"""CLAIM, the checklist for artificial intelligence in medical imaging, filled in where it can be.

Mongan, Moy and Kahn 2020, doi 10.1148/ryai.2020200029, its 42 items in our words.
"""

from __future__ import annotations

from typing import Any

from cxrdiag.data.kaggle import SPLITS
from cxrdiag.data.store import Store
from cxrdiag.model.info import ModelInfo

ITEMS = (
    (1, "Title or abstract", "says that artificial intelligence is used, and of which kind"),
    (2, "Title or abstract", "structured summary of design, methods, results and conclusions"),
    (3, "Introduction", "background, intended use and clinical role"),
    (4, "Introduction", "objectives and hypotheses"),
    (5, "Study design", "prospective or retrospective"),
    (6, "Study design", "goal of the study"),
    (7, "Data", "sources"),
    (8, "Data", "eligibility: how, where and when patients were chosen"),
    (9, "Data", "preprocessing"),
    (10, "Data", "selection of subsets"),
    (11, "Data", "definitions of data elements"),
    (12, "Data", "de-identification"),
    (13, "Data", "how missing data were handled"),
    (14, "Reference standard", "definition"),
    (15, "Reference standard", "why it was chosen"),
    (16, "Reference standard", "who annotated, and how they were qualified"),
    (17, "Reference standard", "tools of annotation"),
    (18, "Reference standard", "variability among and within annotators"),
    (19, "Partitions", "intended size of the sample"),
    (20, "Partitions", "how data were assigned"),
    (21, "Partitions", "the level at which they are disjoint"),
    (22, "Model", "architecture, inputs, outputs"),
    (23, "Model", "software"),
    (24, "Model", "how parameters were initialised"),
    (25, "Training", "augmentation, hyperparameters, number of models"),
    (26, "Training", "how the final model was selected"),
    (27, "Training", "ensembling"),
    (28, "Evaluation", "metrics"),
    (29, "Evaluation", "measures of uncertainty"),
    (30, "Evaluation", "robustness or sensitivity analysis"),
    (31, "Evaluation", "explanations"),
    (32, "Evaluation", "external data"),
    (33, "Results", "flow of patients or cases"),
    (34, "Results", "demographic and clinical characteristics of each partition"),
    (35, "Results", "performance of the best models on all partitions"),
    (36, "Results", "diagnostic accuracy and its precision"),
    (37, "Results", "analysis of failures"),
    (38, "Discussion", "limitations"),
    (39, "Discussion", "implications for practice"),
    (40, "Other", "registration"),
    (41, "Other", "where protocol, code and data can be had"),
    (42, "Other", "funding"),
)
"""Number, section and what is to be told."""


def filled_in(
    info: ModelInfo, metrics: dict[str, Any], store: Store, *, has_recipe: bool
) -> list[tuple[int, str, str, str | None]]:
    """Each item with what the tool knows of it; None where a person must fill it in."""
    counts = store.records["split"].value_counts()
    sizes = ", ".join(f"{counts.get(split, 0)} {split}" for split in SPLITS)
    findings = store.info["findings"]
    gone = len(findings["missing"]) + len(findings["unreadable"])
    left_out = findings["left_out_by_strict_patients"]
    of_split = [row for row in store.info["counts"] if row["split"] == metrics["split"]]
    kinds = ", ".join(
        f"{row['n']} {' '.join(filter(None, (row['label'], row['subtype'])))}" for row in of_split
    )
    overlap = findings["train_test_overlap"]
    known = {
        1: "a residual network classifies chest X-rays",
        9: f"whole films as gray squares of {info.image_size} pixels, brought to "
        f"{info.resolution}; mean {info.mean:.3f} and deviation {info.std:.3f} of pixels in 0 to 1",
        10: f"all films that the data set lists of its two classes, but {gone} files missing or "
        f"unreadable and {left_out} left out by --strict-patients; each film whole",
        13: f"{gone} files missing or unreadable were left out",
        19: f"{sizes}: what there was, not a calculation",
        20: f"{sizes}; validation as published where it has 100 images, else drawn from "
        f"train by patient, seed {store.info.get('split_seed')}",
        21: "patients, as file names tell them with the kind of film, and byte-identical files; "
        f"{overlap['bare_person_numbers']['patients']} bare numbers are in train and test, of "
        f"{findings['unknown_patient']} films the patient is not known",
        22: f"{info.arch} of width {info.width}; one gray square in, one logit out"
        + (", the mean of a film and its mirror image" if info.mirror else ""),
        23: f"cxrdiag {info.cxrdiag_version}, PyTorch",
        24: "as the recipe's line init says: see How was it made" if has_recipe else None,
        25: f"recipe {info.recipe}, seed {info.seed}: see How was it made" if has_recipe else None,
        26: f"epoch {info.epoch}, of highest AUROC on shifted validation films",
        27: "none" if not info.mirror else "one network, two views of a film",
        28: "accuracy, sensitivity, specificity, predictive values, AUROC, AUPRC, Brier, ECE",
        29: "Wilson intervals of proportions, bootstrap over patients of the rest",
        31: "class activation maps: see Where does it fail",
        32: "none: these films are of the collection that it was trained on"
        if metrics["trained_on_this_store"]
        else None,
        33: f"{sizes}; of {metrics['split']} all {metrics['n']} were evaluated, a share of "
        f"{metrics['refused']:.3f} of which predict would refuse",
        34: f"{kinds}; a store knows nothing of age and sex",
        35: f"here the split {metrics['split']}; of the others by eval --split, a page each",
        36: f"on the split {metrics['split']}: see Is it any good",
        37: "see Where does it fail",
    }
    return [(number, section, item, known.get(number)) for number, section, item in ITEMS]
