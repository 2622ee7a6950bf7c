"""A model and a store -> predictions.csv, metrics.json, report.html and figures in a folder."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml

from cxrdiag.data.batches import Split
from cxrdiag.data.kaggle import PNEUMONIA
from cxrdiag.data.store import Store, check_findings, check_image_size, check_split
from cxrdiag.errors import CxrdiagError, ModelError, printable
from cxrdiag.evaluation.figures import draw_confusion_matrix, draw_roc
from cxrdiag.evaluation.intervals import proportion
from cxrdiag.evaluation.metrics import (
    calibration_metrics,
    certainty_metrics,
    compute_metrics,
    rates,
)
from cxrdiag.evaluation.read import FORMAT
from cxrdiag.evaluation.report import Evaluated, write_report
from cxrdiag.evaluation.shortcuts import shortcut_metrics
from cxrdiag.files import DAMAGED, held, read_json, write_file, write_json
from cxrdiag.model.answers import Detected, check_finite
from cxrdiag.model.checkpoint import load_model
from cxrdiag.model.classifier import Classifier
from cxrdiag.model.info import DEFAULT_POINT, NOTICE, ModelInfo, in_one_line, read_info
from cxrdiag.model.probability import probability
from cxrdiag.runs import INFO, evaluation_folder, model_name, of_split

_COLUMNS = ["name", "label", "split", "patient", "subtype"]
_LOOKS = {"format": "cxrdiag looks at test", "version": 1}
"""How test_evaluations.json begins."""
_MOST = 10**9
"""More than any count of looks."""


def evaluate(
    model: Path,
    store: Store,
    split: str,
    device: torch.device,
    operating_point: str = DEFAULT_POINT,
) -> dict[str, Any]:
    """Evaluate the model of a folder on one split, at a threshold chosen on validation.

    Writes the files above into the model's folder, those of the shipped model into `runs/shipped`;
    for a split other than test under names such as metrics-val.json. Returns the metrics. Each
    evaluation of these weights on these test films is counted in test_evaluations.json: a test set
    that is looked at often is no longer one. Raises DataError where split, store and model do not
    fit, UsageError for a split that no store has, or an operating point that the model has not, and
    ModelError where the model cannot be used, or its count of evaluations not be read.
    """
    check_split(split)
    out = evaluation_folder(model)
    classifier = load_model(model, device).at(operating_point)
    info = classifier.info
    check_image_size(store, info.image_size)
    check_findings(store)  # before the look at test is counted
    part = Split(store, split, device)
    identity = _identity(read_info(model / INFO)[1], store, split)
    counted = {}
    if split == "test":
        counted = {"test_evaluations": _count_evaluation(model, out, identity)}
    predictions, detected = _ask(classifier, store, part)
    kinds = set(store.records["subtype"])  # of one that this split lacks nothing is claimed
    logits_N = predictions["logit"].to_numpy()
    metrics = {
        **FORMAT,
        "split": split,
        "operating_point": operating_point,
        **compute_metrics(predictions, info.threshold, subtypes=kinds),
        **calibration_metrics(predictions, info.temperature, info.prevalence),
        **certainty_metrics(predictions, info),
        **_detector_metrics(detected),
        "operating_points": _operating_points(predictions, info),
        "shortcuts": shortcut_metrics(store, part.rows_N, logits_N) if split == "test" else {},
        **identity,
        "trained_on_this_store": info.data_fingerprint == store.fingerprint,
        "init": _init(model),
        **counted,
        "notice": NOTICE,
    }
    name = printable(model_name(model))  # a folder's name may be no text
    _write(out, Evaluated(name, model, classifier, store, part.rows_N, predictions, metrics))
    return metrics


def _ask(classifier: Classifier, store: Store, part: Split) -> tuple[pd.DataFrame, Detected]:
    """The rows of predictions.csv, and what the detector says of each."""
    predictions = store.records.iloc[part.rows_N][_COLUMNS].reset_index(drop=True)
    answers = classifier.split_answers(part)
    logits_N, detected = answers.logits_B, answers.detected
    check_finite(logits_N, detected.film_scores_B, detected.distances_B)
    predictions["logit"] = logits_N
    predictions["probability"] = probability(predictions["logit"], classifier.info.temperature)
    return predictions, detected


def _detector_metrics(detected: Detected) -> dict[str, Any]:
    is_film_N = detected.film_scores_B >= 0
    is_unlike_N = is_film_N & (detected.distances_B > 1)  # predict warns where it does not refuse
    n = len(is_film_N)
    return {
        **proportion("refused", int((~is_film_N).sum()), n),
        **proportion("unlike_training", int(is_unlike_N.sum()), n),
    }


def _operating_points(predictions: pd.DataFrame, info: ModelInfo) -> dict[str, Any]:
    truth_N = (predictions["label"] == PNEUMONIA).to_numpy()
    p_N = predictions["probability"].to_numpy()
    return {
        name: {"threshold": point.threshold, **rates(truth_N, p_N >= point.threshold)}
        for name, point in info.operating_points.items()
    }


def _write(out: Path, evaluated: Evaluated) -> None:
    predictions, metrics = evaluated.predictions, evaluated.metrics
    split = metrics["split"]
    write_file(
        out / of_split("predictions.csv", split),
        lambda temporary: predictions.to_csv(temporary, index=False, lineterminator="\n"),
    )
    if metrics["auroc"] is not None:
        draw_roc(out / of_split("roc.png", split), predictions, metrics)
    else:
        (out / of_split("roc.png", split)).unlink(missing_ok=True)  # that of an earlier evaluation
    draw_confusion_matrix(out / of_split("confusion.png", split), metrics)
    write_json(out / of_split("metrics.json", split), metrics)
    write_report(out / of_split("report.html", split), evaluated)


def is_evaluated(
    model: Path, store: Store, split: str, operating_point: str = DEFAULT_POINT
) -> bool:
    """Whether this very model was evaluated on this split of this very store."""
    path = evaluation_folder(model) / of_split("metrics.json", split)
    if not path.is_file():  # a pipe would be waited for
        return False
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        info, weights_sha256 = read_info(model / INFO)
        wanted = {
            **FORMAT,
            **_identity(weights_sha256, store, split),
            # Weights stay as they are where these are fitted anew.
            "temperature": info.temperature,
            "operating_point": operating_point,
            "threshold": info.point(operating_point).threshold,
        }
        return bool(wanted.items() <= metrics.items())
    except (OSError, CxrdiagError, *DAMAGED):
        return False  # what is wrong with the model is said where it is loaded


def _identity(weights_sha256: str, store: Store, split: str) -> dict[str, str]:
    films = sorted(store.records["sha256"][store.rows(split)])
    return {
        "weights_sha256": weights_sha256,
        "data_fingerprint": store.fingerprint,
        "films_sha256": hashlib.sha256("".join(films).encode()).hexdigest(),
    }


def _init(model: Path) -> str | None:
    """What its training started from, as its recipe says; None where it has none, or names none."""
    path = model / "config.yaml"
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""  # a pipe is waited for
        init = yaml.safe_load(text)["training"]["init"]
    except (OSError, yaml.YAMLError, *DAMAGED):
        return None
    return init if isinstance(init, str) and init.isascii() else None


def _count_evaluation(model: Path, out: Path, identity: dict[str, str]) -> int:
    out.mkdir(parents=True, exist_ok=True)
    try:
        with held(out):  # or of two at once one would not count
            return _count(model, out, identity)
    except BlockingIOError as error:
        raise ModelError(
            "another process works in this folder",
            path=out,
            hint="wait for it",
            code="run_in_use",
        ) from error


def _count(model: Path, out: Path, identity: dict[str, str]) -> int:
    """Count a look at the test split before it is taken: one that fails half-way is a look too.

    Looks are of weights at films, however these are split otherwise. Those that were taken before a
    model was put into the package are told in its metrics.json.
    """
    path = out / "test_evaluations.json"
    this = {name: identity[name] for name in ("weights_sha256", "films_sha256")}
    try:
        looks = _looks(path, this)
        packaged = read_json(model / "metrics.json") if model != out else {}
        known = {name: packaged.get(name) for name in this}
        if all(known.values()) and not any(known.items() <= look.items() for look in looks):
            looks.append({**known, "count": packaged.get("test_evaluations", 0)})
        if not all(type(look["count"]) is int and 0 <= look["count"] < _MOST for look in looks):
            raise ValueError(f"a count is none: {looks!r}")
        others = [look for look in looks if not this.items() <= look.items()]
        count: int = 1 + sum(look["count"] for look in looks if look not in others)
    except (OSError, *DAMAGED) as error:
        raise ModelError(
            f"damaged: {in_one_line(repr(error))}",
            path=path,
            hint="how often this run was evaluated on test is not known: train another",
            code="damaged_count",
        ) from error
    write_json(path, {**_LOOKS, "looks": [*others, {**this, "count": count}]})
    return count


def _looks(path: Path, this: dict[str, str]) -> list[dict[str, Any]]:
    if not os.path.lexists(path):
        return []
    if not path.is_file():
        raise ValueError("no file")  # a pipe would be waited for
    document = json.loads(path.read_text(encoding="utf-8"))
    if "version" not in document:  # it did not tell at which films
        return [{**this, "count": document["count"]}]
    version = document["version"]
    if type(version) is not int or document["format"] != _LOOKS["format"]:
        raise ValueError(f"its format is {document['format']!r} {version!r}")
    if version != _LOOKS["version"]:
        raise ModelError(
            f"of version {in_one_line(repr(version))}, and this cxrdiag reads {_LOOKS['version']}",
            path=path,
            hint="evaluate it by the cxrdiag that wrote it",
            code="count_version",
        )
    looks = document["looks"]
    are_named = all(look[name].isalnum() for look in looks for name in this)
    if not (isinstance(looks, list) and are_named):
        raise ValueError(f"its looks are {looks!r}")
    return [{name: look[name] for name in (*this, "count")} for look in looks]
