"""A shorter bootstrap: a thousand resamples through scikit-learn take seconds a call."""

import pytest

from cxrdiag.evaluation import intervals


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 100)
