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
from threadpoolctl import threadpool_limits

from cxrdiag.data.audit.shortcuts import (
    FACTS,
    linear_model,
    rows_to_fit,
    views_without_lungs,
)
from cxrdiag.data.audit.thumbnails import look_at
from cxrdiag.data.kaggle import PNEUMONIA
from cxrdiag.data.store import Store
from cxrdiag.evaluation.intervals import clusters, percentiles, resamples
from cxrdiag.evaluation.metrics import auroc_metrics
from cxrdiag.evaluation.scores import Float1D, spearman


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
    views, views_asked = _views(store, fitted), _views(store, rows_N)
    found = {}
    for name, x in views.items():
        with threadpool_limits(1):  # on two threads it takes far longer: they wait for each other
            said_N = linear_model().fit(x, known).decision_function(views_asked[name])
        found[name] = auroc_metrics(asked, said_N)
        for label, mine_N in (("normal", ~truth_N), ("pneumonia", truth_N)):
            found[name] |= _correlation(
                f"lean_{label}",
                said_N[mine_N],
                logits_N[mine_N].astype(np.float64),
                clusters(asked[mine_N]),
            )
    return found


def _truth(records: pd.DataFrame) -> NDArray[np.bool_]:
    return (records["label"] == PNEUMONIA).to_numpy()


def _views(store: Store, rows: NDArray[np.int64]) -> dict[str, NDArray[np.floating]]:
    facts = store.records.iloc[rows][FACTS].to_numpy(dtype=np.float64)
    looks = look_at(store.images_NSS, rows)
    return views_without_lungs(looks.thumbnails_NTT, looks.grays_NG, facts)


def _correlation(
    name: str, said_N: Float1D, logits_N: Float1D, patients_N: NDArray[np.int64]
) -> dict[str, Any]:
    """Spearman's, with its interval over resampled patients; None where one side is constant."""
    value = spearman(said_N, logits_N, np.ones(len(said_N)))
    if np.isnan(value):
        return {name: None, f"{name}_ci95": None}
    values = [spearman(said_N, logits_N, weights_N) for weights_N in resamples(patients_N)]
    return {name: value, f"{name}_ci95": percentiles(values)}
