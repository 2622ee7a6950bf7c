"""What `cxrdiag eval` says of metrics in a terminal."""

import json
from pathlib import Path

import pytest

from cxrdiag.cli.metrics import show_metrics
from cxrdiag.runs import SHIPPED_FOLDER


@pytest.mark.parametrize(("below", "is_told"), [(0.03, True), (0.48, False)])
def test_of_few_films_an_ece_is_not_taken_for_calibration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], below: float, is_told: bool
) -> None:
    metrics = json.loads((SHIPPED_FOLDER / "metrics.json").read_text(encoding="utf-8"))
    show_metrics(tmp_path, {**metrics, "ece_reweighted_if_calibrated_below": below})
    said = capsys.readouterr().out
    assert f"stay below {below:.3f} in 95% of samples" in said
    assert ("too few films to tell" not in said) is is_told
