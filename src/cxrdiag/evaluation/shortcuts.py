"""How well the class of a split's films is told without the lungs: to hold a network against.

The audit finds shortcuts within train and validation; here what it found them with is fitted there
and asked about the very films that a network was evaluated on.

Shapes: N images of the split.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cxrdiag.data.audit.shortcuts import FACTS, SAMPLE, linear_model, views_without_lungs
from cxrdiag.data.audit.thumbnails import look_at
from cxrdiag.data.kaggle import PNEUMONIA
from cxrdiag.data.store import Store
from cxrdiag.evaluation.intervals import Float1D, bootstrapped, clusters


def shortcut_metrics(store: Store, rows_N: NDArray[np.int64], seed: int = 0) -> dict[str, Any]:
    """AUROC of a linear model on each view without lungs, and its 95 % interval.

    Fitted to films of train and val, asked about `rows_N`, which are to be of neither. Empty where
    either has one class only.
    """
    fitted = np.flatnonzero((store.records["split"] != "test").to_numpy())
    if len(fitted) > SAMPLE:
        fitted = np.sort(np.random.default_rng(seed).choice(fitted, SAMPLE, replace=False))
    asked = store.records.iloc[rows_N]
    known, truth_N = (_truth(records) for records in (store.records.iloc[fitted], asked))
    if any(len(set(truths)) < 2 for truths in (known, truth_N)):
        return {}
    views, views_asked = _views(store, fitted), _views(store, rows_N)
    found = {}
    for name, x in views.items():
        said_N = linear_model().fit(x, known).decision_function(views_asked[name])
        found[name] = bootstrapped("auroc", _auroc, truth_N, said_N, clusters(asked), seed)
    return found


def _truth(records: pd.DataFrame) -> NDArray[np.bool_]:
    return (records["label"] == PNEUMONIA).to_numpy()


def _views(store: Store, rows: NDArray[np.int64]) -> dict[str, NDArray[np.floating]]:
    facts = store.records.iloc[rows][FACTS].to_numpy(dtype=np.float64)
    looks = look_at(store.images_NSS, rows)
    return views_without_lungs(looks.thumbnails_NTT, looks.grays_NG, facts)


def _auroc(truth: NDArray[np.bool_], said: Float1D, weights: Float1D) -> float:
    return float(roc_auc_score(truth, said, sample_weight=weights))
