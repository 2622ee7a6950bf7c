"""Metrics against scikit-learn, formulas written out, and counts made by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from cxrdiag.evaluation import intervals
from cxrdiag.evaluation.calibration import expected_calibration_error
from cxrdiag.evaluation.metrics import calibration_metrics, compute_metrics
from cxrdiag.model.probability import at_prevalence

SCORES = ("auroc", "auprc", "brier")


def _predictions(n: int = 400, seed: int = 0, decimals: int = 12) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    pneumonia = rng.random(n) < 0.6
    logits = rng.normal(size=n) * 1.5 + 2 * pneumonia - 0.5
    kinds = np.where(rng.random(n) < 0.6, "bacterial", "viral")
    return pd.DataFrame(
        {
            "name": [f"{i}.jpeg" for i in range(n)],
            "label": np.where(pneumonia, "Pneumonia", "Normal"),
            "patient": [f"patient{i}" for i in range(n)],
            "subtype": np.where(pneumonia, kinds, ""),
            "probability": np.round(1 / (1 + np.exp(-logits)), decimals),
        }
    )


def _wilson(k: int, n: int) -> list[float]:
    """Wilson 1927, without continuity correction."""
    z, p = 1.959963984540054, k / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return [middle - half, middle + half]


def _width(metrics: dict[str, list[float]], name: str) -> float:
    low, high = metrics[f"{name}_ci95"]
    return high - low


@pytest.mark.parametrize("decimals", [12, 1], ids=["no ties", "many ties"])
def test_scores_are_those_of_scikit_learn(decimals: int) -> None:
    predictions = _predictions(decimals=decimals)
    truth, p = predictions["label"] == "Pneumonia", predictions["probability"]
    metrics = compute_metrics(predictions, threshold=0.6)
    assert metrics["auroc"] == pytest.approx(reference.roc_auc_score(truth, p), abs=1e-12)
    assert metrics["auprc"] == pytest.approx(reference.average_precision_score(truth, p), abs=1e-12)
    assert metrics["brier"] == pytest.approx(reference.brier_score_loss(truth, p), abs=1e-12)
    called = p >= 0.6
    assert metrics["accuracy"] == pytest.approx(reference.accuracy_score(truth, called))
    assert metrics["sensitivity"] == pytest.approx(reference.recall_score(truth, called))
    assert metrics["specificity"] == pytest.approx(reference.recall_score(~truth, ~called))
    (tn, fp), (fn, tp) = reference.confusion_matrix(truth, called)
    for name, n in (("true_negatives", tn), ("false_positives", fp)):
        assert metrics[name] == n
    for name, n in (("false_negatives", fn), ("true_positives", tp)):
        assert metrics[name] == n


def test_predictive_values_hold_for_a_prevalence() -> None:
    """Sensitivity 0.9 and specificity 0.8; at a prevalence of a twentieth, of 1000 films: 45 of 50
    and 190 of 950 are called Pneumonia."""
    right, wrong = 0.9, 0.1
    predictions = _predictions(300).assign(
        label=["Pneumonia"] * 200 + ["Normal"] * 100,
        subtype=["viral"] * 200 + [""] * 100,
        probability=[right] * 180 + [wrong] * 20 + [wrong] * 80 + [right] * 20,
    )
    metrics = compute_metrics(predictions, threshold=0.5)
    assert metrics["prevalence"] == pytest.approx(2 / 3)
    assert (metrics["ppv"], metrics["npv"]) == (180 / 200, 80 / 100)
    assert metrics["ppv_ci95"] == pytest.approx(_wilson(180, 200))
    assert metrics["npv_ci95"] == pytest.approx(_wilson(80, 100))
    assert metrics["ppv_at_0.05"] == pytest.approx(45 / (45 + 190))
    assert metrics["npv_at_0.05"] == pytest.approx(760 / (760 + 5))
    assert metrics["ppv_at_0.01"] == pytest.approx(9 / (9 + 198))
    assert metrics["npv_at_0.20"] == pytest.approx(640 / (640 + 20))


def test_of_a_subtype_without_images_nothing_is_claimed() -> None:
    found = compute_metrics(_predictions(60), 0.5, subtypes={"COVID-19", "viral", ""})["subtypes"]
    assert set(found) == {"bacterial", "COVID-19", "viral"}
    nothing = dict.fromkeys(("sensitivity", "sensitivity_ci95", "auroc", "auroc_ci95"))
    assert found["COVID-19"] == {"n": 0, **nothing}
    assert found["viral"]["n"] > 0


def test_calibration_is_measured_at_the_prevalence_of_the_probability() -> None:
    """At a prevalence of a half the films of either class weigh as much as those of the other."""
    predictions = _predictions(90).assign(
        label=["Pneumonia"] * 60 + ["Normal"] * 30, logit=[2.0] * 54 + [-2.0] * 33 + [2.0] * 3
    )
    found = calibration_metrics(predictions, 2.0, 0.5)
    for name, temperature in (("", 2.0), ("_without_temperature", 1.0)):
        p = 1 / (1 + math.exp(-2 / temperature))  # right in nine of ten of either class
        assert found[f"ece_reweighted{name}"] == pytest.approx(abs(0.9 - p))
    # 0.88 for what is 0.9 cannot be told from the truth by 90 films, 0.73 can.
    raw = "ece_reweighted_without_temperature"
    assert found[raw] < found[f"{raw}_if_calibrated_below"]
    assert found[f"{raw}_ci95"][0] == 0
    assert found["ece_reweighted"] > found["ece_reweighted_if_calibrated_below"]
    assert found["ece_reweighted_ci95"][0] > 0


def test_of_probabilities_that_are_true_the_error_is_that_of_such_draws() -> None:
    """So that the interval of 19 in 20 reaches down to 0, though films of 30 % are asked about
    with probabilities for 50 %."""
    rng = np.random.default_rng(5)
    at_half, errors, covered = [], [], 0
    for _ in range(40):
        p = rng.beta(0.4, 0.6, 300)  # at a prevalence of 0.5
        truth = rng.random(300) < at_prevalence(p, 0.5, 0.3)
        films = _predictions(300).assign(
            label=np.where(truth, "Pneumonia", "Normal"), logit=np.log(p / (1 - p)).clip(-30, 30)
        )
        found = calibration_metrics(films, 1.0, 0.5)
        errors.append(found["ece_reweighted"])
        at_half.append(found["ece_reweighted_if_calibrated"])
        covered += found["ece_reweighted_ci95"][0] == 0
        low, high = found["ece_reweighted_ci95"]
        assert low <= found["ece_reweighted"] <= high
    assert np.mean(at_half) == pytest.approx(np.mean(errors), rel=0.1)
    assert covered >= 34


def test_specificity_by_series_where_names_tell_of_two() -> None:
    predictions = pd.DataFrame(
        {
            "name": [f"{i}.jpeg" for i in range(7)],
            "label": ["Normal"] * 5 + ["Pneumonia"] * 2,
            "patient": [
                "IM-0001",
                "IM-0002",
                "NORMAL2-IM-0001",
                "NORMAL2-IM-0003",
                "",
                "person1_virus",
                "person2_virus",
            ],
            "subtype": [""] * 5 + ["viral"] * 2,
            "probability": [0.1, 0.2, 0.3, 0.9, 0.9, 0.8, 0.7],
        }
    )
    found = compute_metrics(predictions, 0.5)["specificity_by_series"]
    assert {name: (f["n"], f["specificity"]) for name, f in found.items()} == {
        "IM": (2, 1.0),
        "NORMAL2-IM": (2, 0.5),
    }
    assert found["IM"]["specificity_ci95"] == pytest.approx(_wilson(2, 2))
    one = compute_metrics(predictions.iloc[[0, 1, 4, 5, 6]], 0.5)
    assert one["specificity_by_series"] == {}


def test_no_predictive_value_where_nothing_is_called() -> None:
    metrics = compute_metrics(_predictions(50), threshold=2.0)
    assert metrics["ppv"] is metrics["ppv_at_0.05"] is None
    assert metrics["npv_at_0.05"] == pytest.approx(0.95)
    normal = _predictions(50).query("label == 'Normal'")
    assert compute_metrics(normal, threshold=0.5)["npv_at_0.05"] is None


def test_counts_by_hand_and_the_threshold_itself_is_pneumonia() -> None:
    predictions = pd.DataFrame(
        {
            "name": list("abcdefg"),
            "label": ["Normal"] * 3 + ["Pneumonia"] * 4,
            "patient": "",
            "subtype": [""] * 3 + ["viral"] * 3 + ["COVID-19"],
            "probability": [0.1, 0.49, 0.5, 0.5, 0.9, 0.2, 1.0],
        }
    )
    metrics = compute_metrics(predictions, threshold=0.5)
    assert (metrics["n"], metrics["n_normal"], metrics["n_pneumonia"]) == (7, 3, 4)
    assert (metrics["true_negatives"], metrics["false_positives"]) == (2, 1)
    assert (metrics["true_positives"], metrics["false_negatives"]) == (3, 1)
    assert metrics["accuracy"] == 5 / 7
    assert metrics["sensitivity"] == 3 / 4
    assert metrics["specificity"] == 2 / 3
    assert metrics["threshold"] == 0.5
    # Of 12 pairs 0.2 loses two, and 0.5 ties one.
    assert metrics["auroc"] == pytest.approx((12 - 2 - 0.5) / 12)
    found = {name: (f["n"], f["sensitivity"]) for name, f in metrics["subtypes"].items()}
    assert found == {"viral": (3, 2 / 3), "COVID-19": (1, 1.0)}


@pytest.mark.parametrize("name", ["accuracy", "sensitivity", "specificity"])
def test_proportions_have_wilson_intervals(name: str) -> None:
    metrics = compute_metrics(_predictions(), threshold=0.7)
    tp, fn = metrics["true_positives"], metrics["false_negatives"]
    tn, fp = metrics["true_negatives"], metrics["false_positives"]
    k, n = {
        "accuracy": (tp + tn, 400),
        "sensitivity": (tp, tp + fn),
        "specificity": (tn, tn + fp),
    }[name]
    assert metrics[f"{name}_ci95"] == pytest.approx(_wilson(k, n), abs=1e-9)


def test_a_perfect_proportion_still_has_an_interval() -> None:
    predictions = _predictions(20)
    predictions["probability"] = (predictions["label"] == "Pneumonia") * 0.8 + 0.1
    metrics = compute_metrics(predictions, threshold=0.5)
    assert (metrics["accuracy"], metrics["auroc"], metrics["auprc"]) == (1, 1, 1)
    assert metrics["accuracy_ci95"] == pytest.approx(_wilson(20, 20), abs=1e-9)
    assert metrics["accuracy_ci95"][0] < 0.85


def test_the_bootstrap_is_that_of_its_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patients drawn with replacement and each film scored as often as its patient was drawn."""
    monkeypatch.setattr(intervals, "RESAMPLES", 1000)
    predictions = _predictions(120)
    predictions["patient"] = [f"patient{i // 3}" for i in range(120)]
    truth = (predictions["label"] == "Pneumonia").to_numpy()
    p = predictions["probability"].to_numpy()
    rng = np.random.default_rng(99)
    drawn: dict[str, list[float]] = {"auroc": [], "auprc": [], "brier": []}
    for _ in range(1500):
        rows = (3 * rng.integers(40, size=40)[:, None] + np.arange(3)).ravel()
        drawn["auroc"].append(reference.roc_auc_score(truth[rows], p[rows]))
        drawn["auprc"].append(reference.average_precision_score(truth[rows], p[rows]))
        drawn["brier"].append(reference.brier_score_loss(truth[rows], p[rows]))
    metrics = compute_metrics(predictions, threshold=0.5)
    for name, scores in drawn.items():
        interval = np.percentile(scores, [2.5, 97.5])
        assert metrics[f"{name}_ci95"] == pytest.approx(interval, abs=0.02)
        assert _width(metrics, name) == pytest.approx(interval[1] - interval[0], rel=0.15)


@pytest.mark.parametrize("name", SCORES)
def test_copies_of_a_patients_films_do_not_narrow_the_interval(name: str) -> None:
    single = _predictions(100)
    copies = pd.concat([single] * 4, ignore_index=True)
    copies["name"] = [f"{i}.jpeg" for i in range(400)]
    of_100, of_400 = compute_metrics(single, 0.5), compute_metrics(copies, 0.5)
    assert of_400[name] == pytest.approx(of_100[name], abs=1e-12)
    assert of_400[f"{name}_ci95"] == pytest.approx(of_100[f"{name}_ci95"], abs=1e-12)
    # Were they 400 patients, the interval would be about half as wide.
    strangers = compute_metrics(copies.assign(patient=copies["name"]), 0.5)
    assert _width(strangers, name) < 0.75 * _width(of_400, name)


def test_an_image_of_unknown_patient_is_its_own_patient() -> None:
    known = _predictions(100)
    assert compute_metrics(known.assign(patient=""), 0.5) == compute_metrics(known, 0.5)


def test_intervals_repeat_and_the_order_of_images_does_not_matter_to_scores() -> None:
    predictions = _predictions(100)
    first = compute_metrics(predictions, 0.5)
    assert first == compute_metrics(predictions, 0.5)
    reversed_ = compute_metrics(predictions[::-1].reset_index(drop=True), 0.5)
    for name in (*SCORES, "accuracy"):
        assert reversed_[name] == pytest.approx(first[name], abs=1e-12)
    viral, again = (found["subtypes"]["viral"]["auroc"] for found in (first, reversed_))
    assert again == pytest.approx(viral, abs=1e-12)


@pytest.mark.parametrize("label", ["Normal", "Pneumonia"])
def test_one_class_has_no_ranking_and_says_so(label: str) -> None:
    predictions = _predictions(60)
    predictions = predictions[predictions["label"] == label].reset_index(drop=True)
    metrics = compute_metrics(predictions, 0.5)
    for name in SCORES:
        assert (metrics[name], metrics[f"{name}_ci95"]) == (None, None)
    absent, present = (
        ("specificity", "sensitivity") if label == "Pneumonia" else ("sensitivity", "specificity")
    )
    assert (metrics[absent], metrics[f"{absent}_ci95"]) == (None, None)
    assert metrics[present] == metrics["accuracy"]
    json.dumps(metrics, allow_nan=False)


def test_a_subtype_is_compared_with_all_normal_images() -> None:
    predictions = _predictions()
    metrics = compute_metrics(predictions, 0.5)
    assert set(metrics["subtypes"]) == {"bacterial", "viral"}
    for subtype, found in metrics["subtypes"].items():
        mine = predictions["subtype"] == subtype
        part = predictions[mine | (predictions["label"] == "Normal")]
        auroc = reference.roc_auc_score(part["subtype"] == subtype, part["probability"])
        assert found["auroc"] == pytest.approx(auroc, abs=1e-12)
        assert found["n"] == mine.sum()
        k = int((predictions.loc[mine, "probability"] >= 0.5).sum())
        assert found["sensitivity"] == k / mine.sum()
        assert found["sensitivity_ci95"] == pytest.approx(_wilson(k, int(mine.sum())), abs=1e-9)
    weighted = sum(found["n"] * found["sensitivity"] for found in metrics["subtypes"].values())
    assert weighted / metrics["n_pneumonia"] == pytest.approx(metrics["sensitivity"])


def test_calibration_error_by_hand() -> None:
    # Bins of 1/15: {0.01}, {0.08}, {0.5}, {0.95, 0.99}; in the last the errors partly cancel.
    truth = np.array([False, True, False, False, True])
    p = np.array([0.01, 0.08, 0.5, 0.95, 0.99])
    rest = 0.01 + 0.5 + abs(1 - 0.95 - 0.99)
    assert expected_calibration_error(truth, p) == pytest.approx((0.92 + rest) / 5)


def test_a_calibrated_model_has_little_calibration_error() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(50_000)
    truth = rng.random(50_000) < p
    assert expected_calibration_error(truth, p) < 0.01
    # p squared is too low by p - p**2, on average 1/6.
    assert expected_calibration_error(truth, p**2) == pytest.approx(1 / 6, abs=0.01)
