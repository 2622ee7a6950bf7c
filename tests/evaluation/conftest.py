"""A shorter bootstrap: a thousand resamples through scikit-learn take seconds a call."""

import pytest

from cxrdiag.evaluation import metrics


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "RESAMPLES", 100)
