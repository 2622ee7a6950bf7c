"""report.html: one evaluation on one page that needs no network, in the order a reader asks.

Shapes: N images of the split, S side of a stored square.
"""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray
from PIL import Image

from cxrdiag import __version__
from cxrdiag.data.audit.shortcuts import WARN_FROM
from cxrdiag.data.kaggle import NORMAL, PNEUMONIA
from cxrdiag.data.negatives import DRAWN, SPOILT, negatives
from cxrdiag.data.store import SHEETS, Store
from cxrdiag.evaluation.charts import probabilities, reliability_diagram, roc, training
from cxrdiag.evaluation.claim import filled_in
from cxrdiag.evaluation.elsewhere import FRONTAL_UNREMARKED, REFUSED, WARNED, Measured
from cxrdiag.evaluation.intervals import proportion
from cxrdiag.evaluation.lung_field import centred_share, lung_field, shares_inside
from cxrdiag.evaluation.metrics import PREVALENCES
from cxrdiag.evaluation.published import OFFICIAL, PUBLISHED
from cxrdiag.evaluation.words import NAMES, caution, in_words, interval, share
from cxrdiag.files import DAMAGED, read_json, write_text
from cxrdiag.model.classifier import Classifier
from cxrdiag.model.info import NOTICE
from cxrdiag.model.overlay import overlay

_SHOWN = 8
"""Films of each kind of error, at most."""
_MAPPED = 200
"""Films whose maps are held against the lungs: maps are slow to compute."""
_AVERAGED = 500
"""Training films of either label whose mean shows where lungs lie."""
_PICTURE = 224
_PER_KIND = 20
"""Pictures of each kind made to try the detector."""


@dataclass(frozen=True)
class Evaluated:
    """What was evaluated, and what came out of it."""

    name: str
    model: Path
    """The model's folder."""
    classifier: Classifier
    store: Store
    rows_N: NDArray[np.int64]
    """Of the split, in the store."""
    predictions: pd.DataFrame
    metrics: dict[str, Any]


def write_report(path: Path, evaluated: Evaluated) -> None:
    """Write the page; the films in it are those of the store, and so are their licences."""
    metrics, made = evaluated.metrics, _made(evaluated.model)
    is_official = metrics["split"] == "test" and (metrics["n"], metrics["n_normal"]) == OFFICIAL
    environment = Environment(
        loader=PackageLoader("cxrdiag.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = {"number": share, "interval": interval, "in_words": in_words}
    environment.filters |= {**words, "measured": _measured}
    page = environment.get_template("report.html.jinja").render(
        notice=NOTICE,
        version=__version__,
        evaluated=evaluated,
        info=evaluated.classifier.info,
        m=metrics,
        caution=caution(metrics),
        names=NAMES,
        prevalences=PREVALENCES,
        warn_from=WARN_FROM,
        charts=_charts(evaluated),
        published=PUBLISHED if is_official else (),
        failures=_failures(evaluated),
        lungs=_lungs(evaluated),
        detector=_try_detector(evaluated),
        refused=REFUSED,
        warned=WARNED,
        unremarked=FRONTAL_UNREMARKED,
        sheets=_sheets(evaluated.store),
        made=made,
        claim=filled_in(
            evaluated.classifier.info,
            metrics,
            evaluated.store,
            has_recipe=made["config"] is not None,
        ),
    )
    write_text(path, page)


def _measured(rows: Sequence[Measured]) -> list[list[str | int]]:
    return [_counted(row.what, row.n, row.k) for row in rows]


def _counted(what: str, n: int, k: int) -> list[str | int]:
    """A row of a table: k of n, and the interval of the share."""
    return [what, n, k, in_words(proportion("share", k, n), "share")]


def _charts(evaluated: Evaluated) -> dict[str, Any]:
    predictions, metrics = evaluated.predictions, evaluated.metrics
    drawn = {"probabilities": probabilities(predictions, metrics)}
    if metrics["auroc"] is not None:
        drawn["roc"] = roc(predictions, metrics)
        drawn["reliability"] = reliability_diagram(predictions, metrics)
    with contextlib.suppress(OSError, *DAMAGED):  # a report can do without
        drawn["training"] = training(pd.read_csv(evaluated.model / "history.csv"))
    return drawn


def _failures(evaluated: Evaluated) -> list[tuple[str, list[dict[str, str]]]]:
    """Films that were called wrongly, the most confident first, and the least confident hits."""
    info, predictions = evaluated.classifier.info, evaluated.predictions
    threshold = np.clip(info.threshold, 1e-9, 1 - 1e-9)  # 0 and 1 have no logits
    sure_N = predictions["logit"] / info.temperature - np.log(threshold / (1 - threshold))
    sick_N = predictions["label"] == PNEUMONIA
    called_N = predictions["probability"] >= info.threshold
    groups = {
        "Missed pneumonias, the most confident first": (sick_N & ~called_N, sure_N),
        "False alarms, the most confident first": (~sick_N & called_N, -sure_N),
        "Called rightly, the least sure first": (sick_N == called_N, sure_N.abs()),
    }
    return [
        (title, _pictures(evaluated, order.where(chosen).dropna().nsmallest(_SHOWN).index))
        for title, (chosen, order) in groups.items()
    ]


def _pictures(evaluated: Evaluated, which: pd.Index[int]) -> list[dict[str, str]]:
    if which.empty:
        return []
    rows = evaluated.rows_N[which.to_numpy()]
    images_BSS = evaluated.store.images_NSS[rows]
    pictures = []
    for place, row, image_SS, map_hw in zip(
        which, rows, images_BSS, evaluated.classifier.maps(images_BSS), strict=True
    ):
        record, answer = evaluated.store.records.iloc[row], evaluated.predictions.loc[place]
        scale = _PICTURE / max(record["width"], record["height"], 1)
        size = [max(1, round(record[side] * scale)) for side in ("width", "height")]
        film = Image.fromarray(image_SS).resize((size[0], size[1]), Image.Resampling.BILINEAR)
        called = answer["probability"] >= evaluated.classifier.info.threshold
        pictures.append(
            {
                "film": _embedded(film),
                "map": _embedded(Image.fromarray(overlay(np.asarray(film), map_hw))),
                "name": record["name"],
                "labelled": " ".join(filter(None, (record["label"], record["subtype"]))),
                "called": PNEUMONIA if called else NORMAL,
                "probability": f"{answer['probability']:.3f}",
            }
        )
    return pictures


def _embedded(picture: Image.Image) -> str:
    stream = io.BytesIO()
    picture.convert("RGB" if picture.mode != "L" else "L").save(stream, format="JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _lungs(evaluated: Evaluated) -> dict[str, Any] | None:
    """How much of what speaks for pneumonia lies in the lungs, of films called Pneumonia."""
    store, info = evaluated.store, evaluated.classifier.info
    known = store.records["split"] == "train"
    per_label = [np.flatnonzero(known & (store.records["label"] == x)) for x in (NORMAL, PNEUMONIA)]
    # As many of either: their lungs are framed differently.
    each = min(_AVERAGED, *map(len, per_label))
    chosen = [
        row for rows in per_label for row in np.random.default_rng(0).permutation(rows)[:each]
    ]
    field_SS = lung_field(store.images_NSS[row] for row in chosen)
    called_N = (evaluated.predictions["probability"] >= info.threshold).to_numpy()
    if field_SS is None or not called_N.any():
        return None
    rows = evaluated.rows_N[called_N]
    rows = np.sort(np.random.default_rng(0).permutation(rows)[:_MAPPED])
    shares = shares_inside(evaluated.classifier.maps(store.images_NSS[rows]), field_SS)
    shares = shares[np.isfinite(shares)]
    if not len(shares):
        return None
    shown = Image.fromarray(np.where(field_SS, 230, 60).astype(np.uint8)).resize((112, 112))
    return {
        "n": len(shares),
        "mean": float(shares.mean()),
        "low": float(np.quantile(shares, 0.1)),
        "high": float(np.quantile(shares, 0.9)),
        "half_width": float(1.96 * shares.std(ddof=1) / len(shares) ** 0.5)
        if len(shares) > 1
        else None,
        "chance": float(field_SS.mean()),
        "centred": centred_share(field_SS),
        "field": _embedded(shown),
    }


def _try_detector(evaluated: Evaluated) -> list[list[str | int]]:
    """Kind, pictures, and how many were refused: made of this split's films, or of nothing."""
    kinds = len(SPOILT) + len(DRAWN)
    rows = np.random.default_rng(0).permutation(evaluated.rows_N)[:200]
    made_nSS, names = negatives(evaluated.store.images_NSS[rows], kinds * _PER_KIND, seed=1)
    refused = evaluated.classifier.detect(made_nSS).film_scores_B < 0
    counts = pd.Series(refused).groupby(names, sort=False).agg(["size", "sum"])
    return [_counted(str(name), int(n), int(k)) for name, n, k in counts.itertuples()]


def _sheets(store: Store) -> dict[str, str]:
    """What the audit drew, embedded."""
    sheets = {}
    for name in sorted(SHEETS):
        # There is none, or it is damaged.
        with contextlib.suppress(OSError), Image.open(store.path / name) as sheet:
            sheets[name] = _embedded(sheet)
    return sheets


def _made(model: Path) -> dict[str, Any]:
    """How the model was made, as far as its folder tells."""
    config, environment = model / "config.yaml", model / "environment.json"
    return {
        "config": config.read_text(encoding="utf-8", errors="replace")
        if config.is_file()
        else None,
        "environment": read_json(environment),
    }
