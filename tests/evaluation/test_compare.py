"""Two runs on the same images: against counts made by hand, scipy, and a better run that is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from sklearn.metrics import roc_auc_score

from cxrdiag.errors import DataError
from cxrdiag.evaluation import intervals
from cxrdiag.evaluation.compare import compare
from tests.evaluated import write_evaluation

N = 200
TRUTH = np.arange(N) % 2


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 200)


def write_run(folder: Path, probabilities: np.ndarray, threshold: float = 0.5) -> Path:
    predictions = pd.DataFrame(
        {
            "name": [f"{row:03d}.png" for row in range(N)],
            "label": np.where(TRUTH == 1, "Pneumonia", "Normal"),
            "split": "test",
            "patient": [f"p{row // 2}" if row < 150 else "" for row in range(N)],
            "subtype": "",
            "probability": probabilities,
        }
    )
    return write_evaluation(folder, predictions, threshold)


def noisy(noise: float, seed: int) -> np.ndarray:
    drawn = TRUTH + np.random.default_rng(seed).normal(0, noise, N)
    return np.clip(drawn / 2 + 0.25, 0, 1)


def wrong(*rows: int) -> np.ndarray:
    """Certain of all images, and wrong about some."""
    said = TRUTH.astype(float)
    said[list(rows)] = 1 - said[list(rows)]
    return said


def test_values_are_each_runs_own(tmp_path: Path) -> None:
    a, b = noisy(0.7, 1), noisy(1.0, 2)
    found = compare(write_run(tmp_path / "a", a), write_run(tmp_path / "b", b, threshold=0.4))
    assert (found["split"], found["n"]) == ("test", N)
    for which, said, threshold in (("first", a, 0.5), ("second", b, 0.4)):
        called = said >= threshold
        assert found["accuracy"][which] == pytest.approx((called == TRUTH).mean())
        assert found["sensitivity"][which] == pytest.approx(called[TRUTH == 1].mean())
        assert found["specificity"][which] == pytest.approx((~called[TRUTH == 0]).mean())
        assert found["auroc"][which] == pytest.approx(roc_auc_score(TRUTH, said))
    for name in ("accuracy", "auroc"):
        low, high = found[name]["difference_ci95"]
        assert low < found[name]["difference"] < high
        assert found[name]["difference"] == found[name]["second"] - found[name]["first"]


def test_mcnemar_by_hand(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", wrong(1, 2, 3))
    b = write_run(tmp_path / "b", wrong(3, 10, 20, 30, 40, 50, 60, 70))
    found = compare(a, b)
    assert (found["only_first_right"], found["only_second_right"]) == (7, 2)
    assert found["mcnemar_p"] == pytest.approx(2 * binom.cdf(2, 9, 0.5))
    assert found["accuracy"]["difference"] == pytest.approx(-5 / N)


def test_a_run_is_no_better_than_itself(tmp_path: Path) -> None:
    a, b = (write_run(tmp_path / name, noisy(1, 0)) for name in "ab")
    found = compare(a, b)
    assert found["mcnemar_p"] == 1
    assert found["auroc"]["difference"] == 0
    assert found["auroc"]["difference_ci95"] is None  # no draw could tell them apart


def test_pairing_sees_what_two_intervals_do_not(tmp_path: Path) -> None:
    """The second run errs where the first does, and on a dozen films more."""
    errors = np.random.default_rng(0).choice(N, 40, replace=False)
    a, b = write_run(tmp_path / "a", wrong(*errors[:28])), write_run(tmp_path / "b", wrong(*errors))
    low, high = compare(a, b)["accuracy"]["difference_ci95"]
    assert high < 0
    assert high - low < 2 * 1.96 * np.sqrt(0.14 * 0.86 / N)  # half the width of unpaired ones


def test_films_of_one_patient_are_drawn_together(tmp_path: Path) -> None:
    """All of one patient's films in a row of 20: differences between patients, not films, count."""
    said = wrong(*range(0, 40))
    runs: list[list[Path]] = []
    for name, patients in (("films", range(N)), ("patients", [row // 20 for row in range(N)])):
        runs.append([])
        for which, probabilities in (("a", TRUTH.astype(float)), ("b", said)):
            run = write_run(tmp_path / f"{name}-{which}", probabilities)
            table = pd.read_csv(run / "predictions.csv")
            table.assign(patient=[f"p{p}" for p in patients]).to_csv(
                run / "predictions.csv", index=False
            )
            runs[-1].append(run)
    films, clustered = (compare(a, b)["accuracy"]["difference_ci95"] for a, b in runs)
    assert clustered[1] - clustered[0] > 2 * (films[1] - films[0])


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", noisy(1, 0))
    b = write_run(tmp_path / "b", noisy(1, 1))
    with pytest.raises(DataError) as raised:
        compare(a, b, "val")
    assert raised.value.code == "not_evaluated"
    table = pd.read_csv(b / "predictions.csv", keep_default_na=False)
    table.iloc[::-1].to_csv(b / "predictions.csv", index=False)
    compare(a, b)  # the order of rows does not matter
    table.iloc[1:].to_csv(b / "predictions.csv", index=False)
    with pytest.raises(DataError) as raised:
        compare(a, b)
    assert raised.value.code == "damaged_metrics"  # one film less than metrics.json counts
    write_evaluation(b, table.iloc[1:])
    with pytest.raises(DataError) as raised:
        compare(a, b)
    assert raised.value.code == "different_images"
