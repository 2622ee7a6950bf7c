"""A run and a store become metrics, predictions and figures that agree with each other."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from cxrdiag.data.prepare import prepare
from cxrdiag.data.store import Store
from cxrdiag.errors import DataError, ModelError, UsageError
from cxrdiag.evaluation.evaluate import evaluate, is_evaluated
from cxrdiag.evaluation.metrics import compute_metrics
from cxrdiag.evaluation.words import caution
from cxrdiag.files import held
from cxrdiag.model.checkpoint import load_model

CPU = torch.device("cpu")
RATES = ("sensitivity", "specificity")
FILES = {
    "metrics.json",
    "predictions.csv",
    "confusion.png",
    "roc.png",
    "report.html",
    "test_evaluations.json",
}


ANSWERS = ["logit", "probability"]


def _read_predictions(path: Path) -> pd.DataFrame:
    # As text first: the default parser of older pandas is off by a last digit.
    text = pd.read_csv(path, keep_default_na=False, dtype=str)
    return text.astype(dict.fromkeys(ANSWERS, np.float64))


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_predictions_recompute_to_the_metrics(own_run: Path, small_store: Store) -> None:
    before = {path.name for path in own_run.iterdir()}
    metrics = evaluate(own_run, small_store, "test", CPU)
    assert {path.name for path in own_run.iterdir()} - before == FILES
    assert _read_json(own_run / "metrics.json") == metrics
    predictions = _read_predictions(own_run / "predictions.csv")
    recomputed = compute_metrics(predictions, _read_json(own_run / "model.json")["threshold"])
    del metrics["subtypes"]["COVID-19"]  # which train has, and test has not
    assert {name: metrics[name] for name in recomputed} == recomputed
    assert metrics["n"] == 40
    assert metrics["trained_on_this_store"] is True
    assert "Not a medical device" in metrics["notice"]


def test_predictions_are_the_records_of_the_split(own_run: Path, small_store: Store) -> None:
    evaluate(own_run, small_store, "test", CPU)
    predictions = _read_predictions(own_run / "predictions.csv")
    described = ["name", "label", "split", "patient", "subtype"]
    assert list(predictions.columns) == [*described, *ANSWERS]
    records = small_store.records[small_store.records["split"] == "test"]
    assert predictions[described].equals(records[described].reset_index(drop=True))
    temperature = _read_json(own_run / "model.json")["temperature"]
    sigmoid = 1 / (1 + np.exp(-predictions["logit"].to_numpy() / temperature))
    assert predictions["probability"].to_numpy() == pytest.approx(sigmoid, abs=1e-7)
    assert predictions["probability"].nunique() > 30


def test_the_temperature_divides_the_logits(own_run: Path, small_store: Store) -> None:
    evaluate(own_run, small_store, "test", CPU)
    logits = _read_predictions(own_run / "predictions.csv")["logit"].to_numpy()
    model = _read_json(own_run / "model.json")
    (own_run / "model.json").unlink()  # it is a link
    (own_run / "model.json").write_text(json.dumps({**model, "temperature": 2.5}))
    evaluate(own_run, small_store, "test", CPU)
    predictions = _read_predictions(own_run / "predictions.csv")
    assert predictions["logit"].to_numpy() == pytest.approx(logits)
    assert predictions["probability"].to_numpy() == pytest.approx(
        1 / (1 + np.exp(-logits / 2.5)), abs=1e-7
    )


def test_each_evaluation_on_test_is_counted(own_run: Path, small_store: Store) -> None:
    counts = [evaluate(own_run, small_store, "test", CPU)["test_evaluations"] for _ in range(2)]
    assert "test_evaluations" not in evaluate(own_run, small_store, "val", CPU)
    counts.append(evaluate(own_run, small_store, "test", CPU)["test_evaluations"])
    assert counts == [1, 2, 3]
    assert _read_json(own_run / "metrics.json")["test_evaluations"] == 3
    split_anew = dataclasses.replace(small_store, info={**small_store.info, "fingerprint": "other"})
    assert evaluate(own_run, split_anew, "test", CPU)["test_evaluations"] == 4  # the same films
    assert evaluate(own_run, _of_other_films(small_store), "test", CPU)["test_evaluations"] == 1
    assert evaluate(own_run, small_store, "test", CPU)["test_evaluations"] == 5


def _of_other_films(store: Store) -> Store:
    return dataclasses.replace(store, records=store.records.assign(sha256="0" * 64))


def test_of_a_model_that_started_from_another_it_says_so(own_run: Path, small_store: Store) -> None:
    metrics = evaluate(own_run, small_store, "test", CPU)
    assert (metrics["init"], caution(metrics)) == ("random", None)
    text = (own_run / "config.yaml").read_text()
    (own_run / "config.yaml").unlink()  # it is a link
    (own_run / "config.yaml").write_text(text.replace("init: random", "init: shipped"))
    metrics = evaluate(own_run, small_store, "test", CPU)
    assert "started from the shipped one" in str(caution(metrics))
    (own_run / "config.yaml").write_text("training: {init: [shipped]}")
    assert evaluate(own_run, small_store, "test", CPU)["init"] is None
    (own_run / "config.yaml").unlink()
    os.mkfifo(own_run / "config.yaml")  # which would be waited for
    assert evaluate(own_run, small_store, "test", CPU)["init"] is None


def test_an_older_count_counts_whatever_it_was_of(own_run: Path, small_store: Store) -> None:
    (own_run / "test_evaluations.json").write_text('{"count": 3}')
    assert evaluate(own_run, small_store, "test", CPU)["test_evaluations"] == 4


def test_looks_before_a_model_was_packaged_count_for_its_films_alone(
    own_run: Path, small_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate(own_run, small_store, "test", CPU)
    (own_run / "test_evaluations.json").unlink()
    monkeypatch.setattr("cxrdiag.runs.SHIPPED_FOLDER", own_run)
    monkeypatch.chdir(own_run.parent)
    assert evaluate(own_run, _of_other_films(small_store), "test", CPU)["test_evaluations"] == 1
    assert evaluate(own_run, small_store, "test", CPU)["test_evaluations"] == 2
    path = own_run.parent / "runs" / "shipped" / "test_evaluations.json"
    document = _read_json(path)
    looks = [{**look, "weights_sha256": "0" * 64} for look in document["looks"]]
    path.write_text(json.dumps({**document, "looks": looks}))
    assert evaluate(own_run, small_store, "test", CPU)["test_evaluations"] == 2
    assert not (own_run / "test_evaluations.json").exists()


def test_two_evaluations_at_once_do_not_count_as_one(own_run: Path, small_store: Store) -> None:
    with held(own_run), pytest.raises(ModelError, match="another process") as e:
        evaluate(own_run, small_store, "test", CPU)
    assert e.value.code == "run_in_use"
    assert evaluate(own_run, small_store, "test", CPU)["test_evaluations"] == 1


_FORGED = '[{"count": 1, "weights_sha256": "\\ud800", "films_sha256": "x"}]'


@pytest.mark.parametrize(
    "count",
    [
        *("{", "3", "[" * 100_000, '{"count": Infinity}', '{"count": null}', '{"count": -5}'),
        f'{{"count": {"9" * 4300}}}',
        *('{"count": "3"}', '{"count": true}', '{"count": 2.7}', "{}", '{"looks": []}'),
        '{"format": "cxrdiag looks at test", "version": true, "looks": []}',
        '{"format": "looks", "version": 1, "looks": []}',
        *(
            f'{{"format": "cxrdiag looks at test", "version": 1, "looks": {looks}}}'
            for looks in ("3", "{}", "[3]", '[{"count": null}]', _FORGED)
        ),
    ],
)
def test_a_count_that_is_damaged_is_one_clear_error(
    own_run: Path, small_store: Store, count: str
) -> None:
    (own_run / "test_evaluations.json").write_text(count)
    with pytest.raises(ModelError, match="damaged") as e:
        evaluate(own_run, small_store, "test", CPU)
    assert e.value.code == "damaged_count"


def test_another_split_has_its_own_files(own_run: Path, small_store: Store) -> None:
    before = {path.name for path in own_run.iterdir()}
    metrics = evaluate(own_run, small_store, "val", CPU)
    made = {path.name for path in own_run.iterdir()} - before
    assert made == {name.replace(".", "-val.") for name in FILES - {"test_evaluations.json"}}
    assert metrics["split"] == "val"
    predictions = _read_predictions(own_run / "predictions-val.csv")
    assert set(predictions["split"]) == {"val"}
    assert metrics["n"] == len(predictions) == (small_store.records["split"] == "val").sum()


def test_a_store_of_another_size_is_refused(own_run: Path, phantoms: Path, tmp_path: Path) -> None:
    store, _ = prepare(phantoms, tmp_path / "larger", size=80)
    before = {path.name for path in own_run.iterdir()}
    with pytest.raises(DataError, match="80 pixels, the model 64") as error:
        evaluate(own_run, store, "test", CPU)
    assert (error.value.code, error.value.path) == ("image_size_mismatch", store.path)
    assert {path.name for path in own_run.iterdir()} == before


def test_an_unknown_split_is_refused(own_run: Path, small_store: Store) -> None:
    with pytest.raises(UsageError, match="'tset'") as error:
        evaluate(own_run, small_store, "tset", CPU)
    assert "train, val, test" in error.value.hint


def test_another_store_of_one_class(own_run: Path, films: list[Path], small_store: Store) -> None:
    evaluate(own_run, small_store, "test", CPU)
    folder = own_run.parent / "other" / "test"
    (folder.parent / "train" / "NORMAL").mkdir(parents=True)
    (folder / "NORMAL").mkdir(parents=True)
    for film in (f for f in films if not f.name.startswith("person")):
        shutil.copy(film, folder / "NORMAL")
    rng = np.random.default_rng(0)
    for label, name in (("NORMAL", "IM-{:04d}-0001"), ("PNEUMONIA", "person{}_virus_1")):
        (folder.parent / "train" / label).mkdir(exist_ok=True)
        for i in range(20):
            noise = rng.integers(256, size=(64, 64), dtype=np.uint8)
            path = folder.parent / "train" / label / (name.format(i + 9000) + ".png")
            Image.fromarray(noise).save(path)
    store, _ = prepare(folder.parent, own_run.parent / "other-store", size=64)
    metrics = evaluate(own_run, store, "test", CPU)
    assert metrics["trained_on_this_store"] is False
    assert (metrics["auroc"], metrics["sensitivity"]) == (None, None)
    assert metrics["n"] == metrics["n_normal"] == 16
    # The curve of the evaluation before would be taken for this one's.
    assert not (own_run / "roc.png").exists()


def test_at_another_operating_point(own_run: Path, small_store: Store) -> None:
    name = "sensitivity=0.98"
    metrics = evaluate(own_run, small_store, "test", CPU, operating_point=name)
    threshold = _read_json(own_run / "model.json")["operating_points"][name]["threshold"]
    assert (metrics["operating_point"], metrics["threshold"]) == (name, threshold)
    for rate in RATES:
        assert metrics[rate] == metrics["operating_points"][name][rate]
    assert is_evaluated(own_run, small_store, "test", name)
    assert not is_evaluated(own_run, small_store, "test")
    assert f"{name}, used here" in (own_run / "report.html").read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="no operating point 'half'"):
        evaluate(own_run, small_store, "test", CPU, operating_point="half")
    (look,) = _read_json(own_run / "test_evaluations.json")["looks"]
    assert look["count"] == 1
    model = _read_json(own_run / "model.json")
    (own_run / "model.json").unlink()  # it is a link
    (own_run / "model.json").write_text(json.dumps({**model, "temperature": 2.5}))
    assert not is_evaluated(own_run, small_store, "test", name)  # of the same weights, but refitted


def test_shortcuts_are_fitted_to_train_and_asked_about_test(
    own_run: Path, small_store: Store
) -> None:
    """Here those of file facts alone, by formulas written out."""
    records = small_store.records
    facts = np.log(records[["width", "height", "bytes"]].to_numpy(dtype=float))
    x = np.c_[facts, facts[:, 0] - facts[:, 1]]
    truth = (records["label"] == "Pneumonia").to_numpy()
    test = (records["split"] == "test").to_numpy()
    mean, sd = x[~test].mean(axis=0), x[~test].std(axis=0)
    sd[sd == 0] = 1
    model = LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000)
    said = model.fit((x[~test] - mean) / sd, truth[~test]).decision_function((x[test] - mean) / sd)
    told = evaluate(own_run, small_store, "test", CPU)["shortcuts"]
    found = told["file size and shape"]
    assert found["auroc"] == pytest.approx(roc_auc_score(truth[test], said))
    logits = _read_predictions(own_run / "predictions.csv")["logit"].to_numpy()
    for name, mine in (("normal", ~truth[test]), ("pneumonia", truth[test])):
        expected = spearmanr(said[mine], logits[mine]).statistic
        assert found[f"lean_{name}"] == pytest.approx(expected, abs=1e-6)
        low, high = found[f"lean_{name}_ci95"]
        assert low < found[f"lean_{name}"] < high
    assert told.keys() == {"file size and shape", "borders and corners", "gray levels"}
    assert evaluate(own_run, small_store, "val", CPU)["shortcuts"] == {}


def test_operating_points_and_certainty_are_counted(own_run: Path, small_store: Store) -> None:
    metrics = evaluate(own_run, small_store, "test", CPU)
    model = _read_json(own_run / "model.json")
    predictions = _read_predictions(own_run / "predictions.csv")
    truth, p = predictions["label"] == "Pneumonia", predictions["probability"]
    assert metrics["operating_points"].keys() == model["operating_points"].keys()
    for name, point in model["operating_points"].items():
        found = metrics["operating_points"][name]
        assert found["threshold"] == point["threshold"]
        assert found["sensitivity"] == pytest.approx((p[truth] >= point["threshold"]).mean())
        assert found["specificity"] == pytest.approx((p[~truth] < point["threshold"]).mean())
    ends = [model["operating_points"][f"{r}=0.98"]["threshold"] for r in RATES]
    low, high = min(*ends, model["threshold"]), max(*ends, model["threshold"])
    uncertain = (p >= low) & (p < high)
    assert 0 < metrics["uncertain_n"] == uncertain.sum()
    right = (p >= model["threshold"]) == truth
    assert metrics["accuracy_if_uncertain"] == pytest.approx(right[uncertain].mean())
    assert metrics["probability_prevalence"] == 0.5
    detected = load_model(own_run, CPU).detect(small_store.images_NSS[small_store.rows("test")])
    assert metrics["refused"] == (detected.film_scores_B < 0).mean()
    is_unlike = (detected.film_scores_B >= 0) & (detected.distances_B > 1)
    assert metrics["unlike_training"] == is_unlike.mean() > 0


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text there")
def test_a_run_whose_name_is_no_text(own_run: Path, small_store: Store) -> None:
    run = own_run.rename(own_run.with_name(os.fsdecode(b"r\xff")))
    evaluate(run, small_store, "test", CPU)
    assert "r\\udcff on the split test" in (run / "report.html").read_text(encoding="utf-8")


def test_a_count_of_another_version_is_not_called_damaged(
    own_run: Path, small_store: Store
) -> None:
    count = '{"format": "cxrdiag looks at test", "version": 2, "looked": []}'
    (own_run / "test_evaluations.json").write_text(count)
    with pytest.raises(ModelError, match="of version 2, and this cxrdiag reads 1") as e:
        evaluate(own_run, small_store, "test", CPU)
    assert e.value.code == "count_version"
    assert (own_run / "test_evaluations.json").read_text() == count


def test_films_to_test_by_need_none_to_train_on(
    films: list[Path],
    own_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cxrdiag_command,
) -> None:
    monkeypatch.chdir(tmp_path)
    for film in films:
        folder = Path("films/test") / ("PNEUMONIA" if film.name.startswith("person") else "NORMAL")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(film, folder)
    outcome = cxrdiag_command("prepare", "--kaggle-dir", "films", "--size", "64")
    assert outcome.code == 0
    assert "only test films" in outcome.out
    assert outcome.err == ""
    found = cxrdiag_command("eval", "--run", own_run, "--json").document
    assert (found["n"], found["n_normal"]) == (40, 16)
    assert Path(own_run, "report.html").is_file()
    outcome = cxrdiag_command("train", "--json")
    assert (outcome.code, outcome.document["error"]["code"]) == (3, "empty_split")
    assert list(tmp_path.glob("runs/*")) == []
    shutil.rmtree("films/test/NORMAL")
    outcome = cxrdiag_command("prepare", "--kaggle-dir", "films", "--out", "sick", "--size", "64")
    assert outcome.err.startswith("warning: test has films of Pneumonia alone")
