"""Training: it learns, it repeats itself to the bit, and it goes on where it was stopped."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from scipy.special import expit
from sklearn.metrics import log_loss, roc_auc_score

from cxrdiag.data.augment import AugmentConfig, augment
from cxrdiag.data.batches import Split
from cxrdiag.data.phantom.dataset import write_coronahack
from cxrdiag.data.prepare import prepare
from cxrdiag.data.store import COLUMNS, Store, open_store
from cxrdiag.errors import DataError, ModelError, TrainingError
from cxrdiag.model.checkpoint import load_model
from cxrdiag.model.probability import probability
from cxrdiag.training.config import DataConfig, ModelConfig, Recipe, TrainingConfig
from cxrdiag.training.history import Epoch
from cxrdiag.training.recipe import load_recipe
from cxrdiag.training.reporter import Reporter, Step
from cxrdiag.training.resume import load_resume, save_resume
from cxrdiag.training.trainer import fit
from cxrdiag.training.validation import Validation

CPU = torch.device("cpu")
N_EPOCHS = 3

ADAMW = Recipe(
    name="tiny",
    data=DataConfig(resolution=32),
    augment=AugmentConfig(
        crop=(0.8, 1.1), normal_cut=0.1, rotation=10, flip=0.5, gamma=0.2, tones=0.3, erase=0.3
    ),
    model=ModelConfig(width=16),
    training=TrainingConfig(
        epochs=N_EPOCHS,
        batch_size=20,
        lr=1e-3,
        ema_decay=0.9,
        label_smoothing=0.1,
        clip_norm=1.0,
        precision="fp32",
    ),
)
SGD = dataclasses.replace(
    ADAMW,
    training=TrainingConfig(
        epochs=N_EPOCHS, batch_size=20, optimizer="sgd", lr=0.02, precision="fp32"
    ),
)


def _change(recipe: Recipe, **training: object) -> Recipe:
    changed = dataclasses.replace(recipe.training, **training)  # type: ignore[arg-type]
    return dataclasses.replace(recipe, training=changed)


RECIPES = {
    "adamw": ADAMW,
    "sgd": SGD,
    "two views": _change(ADAMW, optimizer="muon", consistency=0.1),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("phantoms")
    write_coronahack(folder / "raw", n_train=60, n_test=10, size=64)
    return prepare(folder / "raw", folder / "store", size=64)[0]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, store: Store) -> dict[str, Path]:
    """One training of each recipe, never stopped."""
    folder = tmp_path_factory.mktemp("runs")
    for name, recipe in RECIPES.items():
        fit(recipe, store, folder / name, device=CPU)
    return {name: folder / name for name in RECIPES}


def _digest(run: Path) -> str:
    return hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()


def _history(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _without_times(run: Path) -> list[dict[str, str]]:
    timed = ("images_per_s", "seconds")
    return [{k: v for k, v in row.items() if k not in timed} for row in _history(run)]


def _make_store(
    path: Path, images: NDArray[np.uint8], labels: list[str], splits: list[str]
) -> Store:
    """A store of given images, written as the format's documentation says."""
    path.mkdir(parents=True)
    np.save(path / "images.npy", images)
    rows = [
        (f"{i}.png", label, split, f"p{i}", "", 64, 64, 1, f"{i:064x}")
        for i, (label, split) in enumerate(zip(labels, splits, strict=True))
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(index=False, lineterminator="\n")
    (path / "records.csv").write_bytes(table.encode())
    fingerprint = hashlib.sha256(table.encode()).hexdigest()
    (path / "store.json").write_text(json.dumps({"version": 1, "fingerprint": fingerprint}))
    return open_store(path)


# --- what a run holds ---


def test_the_run_folder_holds_what_is_documented_and_nothing_else(runs: dict[str, Path]) -> None:
    for run in runs.values():
        assert sorted(path.name for path in run.iterdir()) == [
            "config.yaml",
            "curves.png",
            "environment.json",
            "history.csv",
            "model.json",
            "model.safetensors",
        ]


@pytest.mark.parametrize("name", RECIPES)
def test_the_runs_recipe_loads_as_the_one_it_was_trained_with(
    runs: dict[str, Path], name: str
) -> None:
    assert load_recipe(str(runs[name] / "config.yaml")) == RECIPES[name]


@pytest.mark.parametrize("name", RECIPES)
def test_the_history_has_the_documented_columns_and_sensible_rows(
    runs: dict[str, Path], name: str
) -> None:
    text = (runs[name] / "history.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0] == (
        "epoch,train_loss,train_accuracy,val_loss,val_accuracy,val_auroc,shifted_auroc,"
        "lr,images_per_s,seconds"
    )
    rows = [{key: float(value) for key, value in row.items()} for row in _history(runs[name])]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    for row in rows:
        assert 0 < row["train_loss"] < 10
        for share in ("train_accuracy", "val_accuracy", "val_auroc", "shifted_auroc"):
            assert 0 <= row[share] <= 1
        assert row["images_per_s"] > 0
        assert row["seconds"] > 0
    rates = [row["lr"] for row in rows]
    assert rates == sorted(rates, reverse=True)  # cosine, its warm-up within the first epoch
    assert 0 < rates[-1] < 0.1 * RECIPES[name].training.lr


def test_the_curves_are_a_picture(runs: dict[str, Path]) -> None:
    with Image.open(runs["sgd"] / "curves.png") as image:
        assert image.format == "PNG"
        assert image.size == (1500, 600)
        colours = {colour for _, colour in image.convert("RGB").getcolors(maxcolors=2**20) or []}
    assert {(0x44, 0x77, 0xAA), (0xEE, 0x66, 0x77)} <= colours  # train and validation


def test_the_environment_names_versions_and_no_one(runs: dict[str, Path]) -> None:
    text = (runs["sgd"] / "environment.json").read_text(encoding="utf-8")
    environment = json.loads(text)
    assert environment["torch"] == torch.__version__
    assert environment["device"] == "cpu"
    assert environment["gpu"] is None
    assert environment["precision"] == "fp32"
    assert environment["cores"] >= 1
    assert str(Path.home()) not in text


@pytest.mark.parametrize("name", RECIPES)
def test_the_model_is_the_one_of_the_best_epoch_and_reads_as_validated(
    runs: dict[str, Path], store: Store, name: str
) -> None:
    classifier = load_model(runs[name], CPU)
    info, val = classifier.info, Split(store, "val", CPU)
    logits, targets = classifier.split_logits(val), store.targets(store.rows("val"))
    row = _history(runs[name])[info.epoch - 1]

    # These are the weights that were validated at that epoch: the average, where there is one. They
    # are rounded to half precision when they are written.
    weights = np.where(targets > 0, 1 / targets.sum(), 1 / (1 - targets).sum())
    loss = log_loss(targets, expit(logits.astype(np.float64)), sample_weight=weights)
    assert float(row["val_loss"]) == pytest.approx(loss, rel=1e-3)
    assert float(row["val_auroc"]) == pytest.approx(roc_auc_score(targets, logits), abs=0.02)
    assert float(row["val_accuracy"]) == pytest.approx(((logits > 0) == targets).mean(), abs=1e-5)

    # Epoch and threshold are those of shifted validation.
    validation = Validation(val, 32, RECIPES[name].augment.normal_cut)
    shifted_auroc = validation.scores(classifier).shifted_auroc
    assert float(row["shifted_auroc"]) == pytest.approx(shifted_auroc, abs=0.02)
    aurocs = [float(row["shifted_auroc"]) for row in _history(runs[name])]
    assert info.epoch == max(i for i, a in enumerate(aurocs, 1) if a == max(aurocs))
    calibrated = validation.calibrate(classifier)
    assert info.threshold == pytest.approx(calibrated.threshold, abs=1e-6)
    assert info.temperature == pytest.approx(calibrated.temperature, rel=1e-4)
    assert info.operating_points.keys() == calibrated.operating_points.keys()

    train = store.images_NSS[store.rows("train")] / 255
    assert (info.mean, info.std) == pytest.approx((train.mean(), train.std()))
    assert (info.arch, info.image_size, info.resolution) == ("resnet18", 64, 32)
    assert (info.recipe, info.seed) == ("tiny", 0)
    assert info.data_fingerprint == store.fingerprint


# --- the same again ---


def test_a_seed_gives_the_same_weights_whatever_the_test_split_shows(
    runs: dict[str, Path], store: Store, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(store.path, tmp_path / "store"))
    images = np.load(folder / "images.npy")
    images[store.rows("test")] = 255 - images[store.rows("test")]
    np.save(folder / "images.npy", images)
    fit(ADAMW, open_store(folder), tmp_path / "run", device=CPU)
    assert _digest(tmp_path / "run") == _digest(runs["adamw"])
    assert _without_times(tmp_path / "run") == _without_times(runs["adamw"])
    expected = (runs["adamw"] / "model.json").read_bytes()
    assert (tmp_path / "run" / "model.json").read_bytes() == expected


def test_a_store_without_a_test_split_can_be_trained_on_and_another_seed_differs(
    runs: dict[str, Path], store: Store, tmp_path: Path
) -> None:
    records = store.records[store.records["split"] != "test"]
    part = Store(store.path, store.images_NSS[records.index], records, store.info)
    same, other = tmp_path / "same", tmp_path / "other"
    fit(_change(SGD), part, same, device=CPU)
    assert _digest(same) == _digest(runs["sgd"])
    fit(_change(SGD, seed=1), part, other, device=CPU)
    assert _digest(other) != _digest(runs["sgd"])
    assert _without_times(other)[0] != _without_times(same)[0]


# --- stopped and resumed ---


def _stop_in_epoch_2(step: Step) -> None:
    if (step.epoch, step.step) == (2, 2):
        raise KeyboardInterrupt


def _stop_after_epoch_2(row: Epoch) -> None:
    if row.epoch == 2:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("name", "reporter", "n_saved"),
    [
        ("adamw", Reporter(step=_stop_in_epoch_2), 1),
        ("sgd", Reporter(epoch=_stop_after_epoch_2), 2),
        ("two views", Reporter(step=_stop_in_epoch_2), 1),
    ],
)
def test_a_stopped_and_resumed_training_ends_with_the_weights_of_one_never_stopped(
    runs: dict[str, Path],
    store: Store,
    tmp_path: Path,
    name: str,
    reporter: Reporter,
    n_saved: int,
) -> None:
    run, recipe = tmp_path / "run", RECIPES[name]
    with pytest.raises(KeyboardInterrupt):
        fit(recipe, store, run, device=CPU, reporter=reporter)
    assert len(_history(run)) == n_saved
    assert not (run / "model.json").exists()
    left = {path: path.read_bytes() for path in run.iterdir()}

    # Another recipe or another store is refused, by name, and nothing is touched.
    with pytest.raises(TrainingError, match=r"training\.lr \(.*, now 0\.5\)") as e:
        fit(_change(recipe, lr=0.5), store, run, device=CPU, resume=True)
    assert (e.value.code, e.value.exit_code) == ("resume_mismatch", 5)
    assert "recipe.training.seed" not in e.value.message
    other = dataclasses.replace(store, info={**store.info, "fingerprint": "other"})
    with pytest.raises(TrainingError, match=r"data \(.*, now 'other'\)"):
        fit(recipe, other, run, device=CPU, resume=True)
    assert {path: path.read_bytes() for path in run.iterdir()} == left

    torch.manual_seed(99)  # no state outside the run folder has a say
    epochs: list[int] = []
    hear = Reporter(epoch=lambda row: epochs.append(row.epoch))
    fit(recipe, store, run, device=CPU, resume=True, reporter=hear)
    assert epochs == list(range(n_saved + 1, N_EPOCHS + 1))
    assert _digest(run) == _digest(runs[name])
    assert (run / "model.json").read_bytes() == (runs[name] / "model.json").read_bytes()
    assert _without_times(run) == _without_times(runs[name])
    assert not (run / "resume.safetensors").exists()


def test_a_damaged_state_or_none_is_a_model_error(
    store: Store, runs: dict[str, Path], tmp_path: Path
) -> None:
    for run in (tmp_path / "absent", runs["sgd"]):
        with pytest.raises(ModelError) as e:
            fit(SGD, store, run, device=CPU, resume=True)
        assert e.value.code == "nothing_to_resume"
    assert not (tmp_path / "absent").exists()
    (tmp_path / "resume.safetensors").write_bytes(b"\x08" * 100)
    with pytest.raises(ModelError) as e:
        fit(SGD, store, tmp_path, device=CPU, resume=True)
    assert e.value.code == "damaged_resume"


@pytest.mark.parametrize(
    "damage", ["another number", "one is missing", "another shape", "a scalar"]
)
def test_a_state_that_is_not_this_networks_is_refused(
    store: Store, tmp_path: Path, damage: str
) -> None:
    recipe = RECIPES["two views"]
    with pytest.raises(KeyboardInterrupt):
        fit(recipe, store, tmp_path, device=CPU, reporter=Reporter(epoch=_stop_after_epoch_2))
    tensors, state = load_resume(tmp_path)
    momentum = tensors.pop("optimizer/3/momentum_buffer")
    if damage == "another number":
        tensors |= {"optimizer/3/momentum_buffer": momentum, "optimizer/999/x": momentum}
    elif damage != "one is missing":
        shape = () if damage == "a scalar" else (2,)
        tensors["optimizer/3/momentum_buffer"] = torch.zeros(shape)
    save_resume(tmp_path, tensors, state)
    with pytest.raises(ModelError, match="optimizer's state is not the network's") as e:
        fit(recipe, store, tmp_path, device=CPU, resume=True)
    assert e.value.code == "damaged_resume"


def test_the_first_epochs_are_trained_small(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = []

    def seen(x_B1RR: torch.Tensor, *arguments: object) -> torch.Tensor:
        sides.append(x_B1RR.shape[-1])
        return augment(x_B1RR, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("cxrdiag.training.epoch.augment", seen)
    data = DataConfig(resolution=64, early=0.6, early_resolution=32)
    recipe = dataclasses.replace(_change(ADAMW, epochs=5), data=data)
    classifier = fit(recipe, store, tmp_path, device=CPU)
    steps = len(sides) // 5
    assert sides == [32] * 3 * steps + [64] * 2 * steps
    assert classifier.info.resolution == 64
    assert [DataConfig(early=0.5).side(epoch, 4) for epoch in range(1, 5)] == [64, 64, 112, 112]
    assert [DataConfig().side(epoch, 2) for epoch in (1, 2)] == [112, 112]


def test_steps_are_reported_as_they_are_taken(store: Store, tmp_path: Path) -> None:
    steps: list[Step] = []

    def stop(row: Epoch) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(ADAMW, store, tmp_path, device=CPU, reporter=Reporter(step=steps.append, epoch=stop))
    n_steps = -(-len(store.rows("train")) // 20)
    assert [(s.epoch, s.step, s.n_steps) for s in steps] == [
        (1, i, n_steps) for i in range(1, n_steps + 1)
    ]
    assert float(_history(tmp_path)[0]["train_loss"]) == pytest.approx(steps[-1].loss, rel=1e-5)


# --- learning ---


@pytest.fixture(scope="module")
def separable(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Noise, brighter on the left for Pneumonia and on the right for Normal; one in four Normal."""
    rng = np.random.default_rng(0)
    images = rng.integers(60, 140, (80, 32, 32)).astype(np.uint8)
    labels = ["Normal" if i % 4 == 0 else "Pneumonia" for i in range(80)]
    for image, label in zip(images, labels, strict=True):
        half = image[:, 16:] if label == "Normal" else image[:, :16]
        half += 60
    splits = ["val" if i < 16 else "train" for i in range(80)]
    return _make_store(tmp_path_factory.mktemp("separable") / "s", images, labels, splits)


PLAIN = Recipe(
    data=DataConfig(resolution=32),
    training=TrainingConfig(epochs=4, batch_size=16, lr=2e-3, precision="fp32"),
)


def test_it_learns_what_can_be_learned(separable: Store, tmp_path: Path) -> None:
    classifier = fit(PLAIN, separable, tmp_path, device=CPU)
    last = _history(tmp_path)[-1]
    assert float(last["train_accuracy"]) == 1.0
    assert float(last["val_auroc"]) == 1.0
    targets = separable.targets(np.arange(80))
    called = probability(classifier.logits(separable.images_NSS)) >= classifier.info.threshold
    np.testing.assert_array_equal(called, targets == 1)
    # What fit returns is what it wrote.
    loaded = load_model(tmp_path, CPU)
    assert loaded.info == classifier.info
    np.testing.assert_array_equal(
        loaded.logits(separable.images_NSS), classifier.logits(separable.images_NSS)
    )


@pytest.mark.parametrize("balance", [False, True])
def test_without_anything_to_see_the_loss_falls_to_that_of_the_prior_or_of_a_coin(
    tmp_path: Path, balance: bool
) -> None:
    rng = np.random.default_rng(1)
    same = rng.integers(0, 256, (1, 32, 32)).astype(np.uint8)
    labels = ["Normal" if i % 8 == 0 else "Pneumonia" for i in range(64)]
    splits = ["val" if i >= 32 else "train" for i in range(64)]
    blind = _make_store(tmp_path / "s", np.repeat(same, 64, axis=0), labels, splits)
    recipe = _change(PLAIN, epochs=6, batch_size=8, lr=1e-2, balance=balance)
    fit(recipe, blind, tmp_path / "run", device=CPU)
    loss = float(_history(tmp_path / "run")[-1]["train_loss"])
    entropy = -(1 / 8 * np.log(1 / 8) + 7 / 8 * np.log(7 / 8))  # 0.377, against ln 2 = 0.693
    assert loss == pytest.approx(np.log(2) if balance else entropy, abs=0.08)


def test_patience_ends_a_training_that_gets_no_better(separable: Store, tmp_path: Path) -> None:
    fit(_change(PLAIN, epochs=50, patience=2), separable, tmp_path, device=CPU)
    aurocs = [float(row["shifted_auroc"]) for row in _history(tmp_path)]
    assert len(aurocs) == 1 + aurocs.index(max(aurocs)) + 2
    assert load_model(tmp_path, CPU).info.epoch >= 1 + aurocs.index(max(aurocs))


# --- what cannot go on ---


@pytest.mark.parametrize("batch_size", [16, 64])
def test_a_loss_that_is_not_finite_stops_the_training(
    separable: Store, tmp_path: Path, batch_size: int
) -> None:
    # In batches of 64 there is one step an epoch: validation is the first to see it.
    recipe = _change(
        PLAIN, optimizer="sgd", lr=1e30, schedule="constant", warmup=0.0, batch_size=batch_size
    )
    with pytest.raises(TrainingError, match=r"lower training\.lr") as e:
        fit(recipe, separable, tmp_path, device=CPU)
    assert (e.value.code, e.value.exit_code) == ("non_finite_loss", 5)
    assert not (tmp_path / "model.json").exists()
    assert not (tmp_path / "resume.safetensors").exists()


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_of_one_class_is_refused(separable: Store, tmp_path: Path, split: str) -> None:
    records = separable.records.copy()
    records.loc[records["split"] == split, "label"] = "Pneumonia"
    one_class = dataclasses.replace(separable, records=records)
    with pytest.raises(DataError, match=f"'{split}'") as e:
        fit(PLAIN, one_class, tmp_path / "run", device=CPU)
    assert (e.value.code, e.value.exit_code) == ("one_class", 3)
    assert not (tmp_path / "run").exists()


def test_a_store_without_validation_images_is_refused(separable: Store, tmp_path: Path) -> None:
    records = separable.records.assign(split="train")
    with pytest.raises(DataError) as e:
        fit(PLAIN, dataclasses.replace(separable, records=records), tmp_path, device=CPU)
    assert e.value.code == "empty_split"


def test_epochs_are_scored_in_the_number_format_of_the_training(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The epoch was scored with the weights that are rounded when they are written.
    monkeypatch.setattr("cxrdiag.training.trainer.halved", lambda weights: weights)
    recipe = _change(SGD, precision="bf16", epochs=1)
    classifier = fit(recipe, store, tmp_path / "run", device=CPU)
    validation = Validation(Split(store, "val", CPU), 32)
    written = float(_history(tmp_path / "run")[0]["val_loss"])
    with torch.autocast("cpu", torch.bfloat16):
        assert written == pytest.approx(validation.scores(classifier).loss, rel=1e-5)
    assert written != pytest.approx(validation.scores(classifier).loss, rel=1e-5)


def test_the_difference_of_two_views_adds_to_the_loss_in_proportion(
    store: Store, tmp_path: Path
) -> None:
    losses = []
    for consistency in (1e-9, 1.0, 3.0):
        run = tmp_path / str(consistency)
        fit(_change(ADAMW, consistency=consistency, epochs=1, lr=0.0), store, run, device=CPU)
        losses.append(float(_history(run)[0]["train_loss"]))
    none, once, thrice = losses
    assert once - none > 0.01
    assert thrice - none == pytest.approx(3 * (once - none), rel=1e-4)


def test_views_that_are_alike_change_nothing_but_the_time(store: Store, tmp_path: Path) -> None:
    # Twice the same images have the same mean gradient, and no difference.
    plain = dataclasses.replace(ADAMW, augment=AugmentConfig())
    for name, consistency in (("once", 0.0), ("twice", 5.0)):
        recipe = _change(plain, optimizer="sgd", consistency=consistency)
        fit(recipe, store, tmp_path / name, device=CPU)
    for column in ("train_loss", "val_loss"):
        once, twice = (
            [float(row[column]) for row in _history(tmp_path / name)] for name in ("once", "twice")
        )
        assert once == pytest.approx(twice, rel=1e-2 if column == "val_loss" else 1e-4)


def test_the_mirror_image_has_a_say_in_the_threshold_and_the_model_but_not_in_the_epochs(
    store: Store, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(SGD, model=ModelConfig(width=16, mirror=True))
    for name, trained in (("both", recipe), ("one", SGD)):
        fit(trained, store, tmp_path / name, device=CPU)
    both, one = (load_model(tmp_path / name, CPU) for name in ("both", "one"))
    columns = ("val_loss", "val_auroc", "shifted_auroc")
    histories = [
        [[row[column] for column in columns] for row in _history(tmp_path / name)]
        for name in ("both", "one")
    ]
    assert histories[0] == histories[1]
    assert (both.info.mirror, one.info.mirror) == (True, False)
    val = Split(store, "val", CPU)
    assert np.abs(both.split_logits(val) - one.split_logits(val)).max() > 1e-4
    validation = Validation(val, 32, ADAMW.augment.normal_cut)
    assert both.info.threshold == pytest.approx(validation.calibrate(both).threshold, abs=1e-6)


def test_weights_are_written_in_half_precision(runs: dict[str, Path]) -> None:
    weights = load_file(runs["adamw"] / "model.safetensors")
    network = [tensor for name, tensor in weights.items() if not name.startswith("detector.")]
    assert {tensor.dtype for tensor in network if tensor.ndim > 1} == {torch.float16}
    assert weights["bn1.running_var"].dtype == torch.float32
