"""How well shortcuts alone tell the class of a split's films, and whether a network goes by them.

The audit finds shortcuts within train and validation; here what it found them with is fitted there
and asked about the very films that a network was evaluated on.

Shapes: N images of the split.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from cxrdiag.data.audit.shortcuts import (
    FACTS,
    linear_model,
    rows_to_fit,
    views_without_lungs,
)
from cxrdiag.data.audit.thumbnails import look_at
from cxrdiag.data.kaggle import PNEUMONIA
from cxrdiag.data.store import Store
from cxrdiag.evaluation import intervals
from cxrdiag.evaluation.intervals import clusters
from cxrdiag.evaluation.metrics import auroc


def shortcut_metrics(
    store: Store, rows_N: NDArray[np.int64], logits_N: NDArray[np.float32]
) -> dict[str, Any]:
    """Of a linear model on each view its AUROC, and how its answers go with the network's.

    Fitted to films of train and val, asked about `rows_N`, which are to be of neither, and which
    the network gave `logits_N`. `lean_normal` and `lean_pneumonia` are Spearman's rank correlations
    within either class, where the label cannot bring one about: what is not 0 says that the network
    goes by it, or by what goes with it. Empty where either set of films has one class only.
    """
    fitted = rows_to_fit(store.records["split"])
    asked = store.records.iloc[rows_N]
    known, truth_N = (_truth(records) for records in (store.records.iloc[fitted], asked))
    if any(len(set(truths)) < 2 for truths in (known, truth_N)):
        return {}
    patients_N = clusters(asked)
    views, views_asked = _views(store, fitted), _views(store, rows_N)
    found = {}
    for name, x in views.items():
        said_N = linear_model().fit(x, known).decision_function(views_asked[name])
        found[name] = auroc(asked, said_N)
        for label, mine_N in (("normal", ~truth_N), ("pneumonia", truth_N)):
            pair_N2 = np.c_[said_N, logits_N][mine_N]
            found[name] |= _correlation(f"lean_{label}", pair_N2, patients_N[mine_N])
    return found


def _truth(records: pd.DataFrame) -> NDArray[np.bool_]:
    return (records["label"] == PNEUMONIA).to_numpy()


def _views(store: Store, rows: NDArray[np.int64]) -> dict[str, NDArray[np.floating]]:
    facts = store.records.iloc[rows][FACTS].to_numpy(dtype=np.float64)
    looks = look_at(store.images_NSS, rows)
    return views_without_lungs(looks.thumbnails_NTT, looks.grays_NG, facts)


def _correlation(
    name: str, pair_N2: NDArray[np.float64], patients_N: NDArray[np.int64]
) -> dict[str, Any]:
    """Spearman's, with its interval over resampled patients; None where one side is constant."""
    if any(len(set(side)) < 2 for side in pair_N2.T):
        return {name: None, f"{name}_ci95": None}
    rows_of = list(pd.Series(range(len(pair_N2))).groupby(patients_N).indices.values())
    rng = np.random.default_rng(0)
    values = []
    for _ in range(intervals.RESAMPLES):
        drawn = np.concatenate([rows_of[i] for i in rng.integers(len(rows_of), size=len(rows_of))])
        if all(len(set(side)) > 1 for side in pair_N2[drawn].T):
            values.append(spearmanr(pair_N2[drawn]).statistic)
    low, high = np.percentile(values, [2.5, 97.5])
    value = float(spearmanr(pair_N2).statistic)
    return {name: value, f"{name}_ci95": [float(low), float(high)]}
