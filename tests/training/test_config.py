"""Recipes: what is written is what is trained, and a slip of the pen is an error."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxrdiag.data.augment import AugmentConfig
from cxrdiag.errors import UsageError
from cxrdiag.training.config import RANGES, DataConfig, ModelConfig, Recipe, TrainingConfig
from cxrdiag.training.recipe import RECIPES, dump_recipe, load_recipe


def _refused(name_or_file: str, *overrides: str) -> UsageError:
    with pytest.raises(UsageError) as e:
        load_recipe(name_or_file, overrides)
    assert e.value.exit_code == 2
    return e.value


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str) -> str:
        (tmp_path / "recipe.yaml").write_text(text, encoding="utf-8")
        return str(tmp_path / "recipe.yaml")

    return write


@pytest.mark.parametrize("name", RECIPES)
def test_every_shipped_recipe_is_what_its_file_says(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    source = Path(__file__).parents[2] / "src" / "cxrdiag" / "training" / "recipes"
    document = yaml.safe_load((source / f"{name}.yaml").read_text(encoding="utf-8"))
    resolved = yaml.safe_load(dump_recipe(recipe))
    for section, values in document.items():
        if section != "name":
            assert {key: resolved[section][key] for key in values} == values


def test_every_shipped_recipe_is_listed() -> None:
    source = Path(__file__).parents[2] / "src" / "cxrdiag" / "training" / "recipes"
    assert {path.stem for path in source.iterdir()} == set(RECIPES)


def _floats(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


_RECIPES = st.builds(
    Recipe,
    name=st.from_regex(r"\A\w[\w.-]{0,20}\Z"),
    data=st.builds(
        lambda sides, early: DataConfig(
            resolution=max(sides), early=early, early_resolution=min(sides)
        ),
        st.tuples(st.integers(32, 1024), st.integers(32, 1024)),
        _floats(0, 0.95),
    ),
    augment=st.builds(
        AugmentConfig,
        crop=st.tuples(_floats(0.05, 1), _floats(1, 4)),
        aspect=_floats(0, 1),
        shift=_floats(0, 1),
        rotation=_floats(0, 180),
        flip=_floats(0, 1),
        gamma=_floats(0, 3),
        contrast=_floats(0, 1),
        brightness=_floats(0, 1),
        tones=_floats(0, 1),
        illumination=_floats(0, 1),
        sharpness=_floats(0, 1),
        noise=_floats(0, 1),
        erase=_floats(0, 1),
        normal_cut=_floats(0, 0.9),
        frame=_floats(0, 1),
        letters=_floats(0, 1),
    ),
    model=st.builds(
        ModelConfig,
        arch=st.sampled_from(["resnet18", "resnet152"]),
        width=st.integers(8, 1024),
        mirror=st.booleans(),
    ),
    training=st.builds(
        TrainingConfig,
        epochs=st.integers(1, 10_000),
        batch_size=st.integers(3, 65_536),
        optimizer=st.sampled_from(["muon", "adamw", "adam", "sgd"]),
        lr=_floats(0, 1000),
        weight_decay=_floats(0, 1000),
        schedule=st.sampled_from(["cosine", "constant"]),
        warmup=_floats(0, 1),
        label_smoothing=_floats(0, 1),
        consistency=_floats(0, 1000),
        balance=st.booleans(),
        clip_norm=_floats(0, 1e9),
        ema_decay=_floats(0, 1),
        patience=st.integers(0, 100_000),
        precision=st.sampled_from(["auto", "bf16", "fp32"]),
        init=st.sampled_from(["random", "shipped", "imagenet"]),
        seed=st.integers(0, 2**32 - 1),
    ),
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(recipe=_RECIPES)
def test_a_dumped_recipe_loads_as_itself(recipe: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(dump_recipe(recipe), encoding="utf-8")
    assert load_recipe(str(path)) == recipe


def test_a_dump_spells_out_every_key() -> None:
    document = yaml.safe_load(dump_recipe(Recipe()))
    assert list(document) == ["name", "data", "augment", "model", "training"]
    assert len(document["training"]) == len(dataclasses.fields(TrainingConfig))
    assert len(document["augment"]) == len(dataclasses.fields(AugmentConfig))


def test_what_a_file_leaves_out_has_its_default(written) -> None:
    assert load_recipe(written("")) == Recipe()
    recipe = load_recipe(written("training:\n  lr: 1e-3\n  seed: 5\n"))  # 1e-3: text to YAML 1.1
    assert recipe == Recipe(training=TrainingConfig(lr=0.001, seed=5))
    assert isinstance(load_recipe(written("training: {lr: 1}")).training.lr, float)


def test_overrides_replace_single_keys_and_the_last_one_counts() -> None:
    overrides = [
        "training.lr=1e-2",
        "training.balance=no",
        "augment.crop=[0.5, 0.75]",
        "model.arch=resnet50",
        "training.seed=1",
        " training.seed =2",
    ]
    recipe, plain = load_recipe("default", overrides), load_recipe("default")
    assert recipe.training == dataclasses.replace(plain.training, lr=0.01, balance=False, seed=2)
    assert recipe.augment == dataclasses.replace(plain.augment, crop=(0.5, 0.75))
    assert recipe.model.arch == "resnet50"
    assert recipe.data == plain.data


@pytest.mark.parametrize(
    ("override", "wrong", "nearest"),
    [
        ("training.learning_rte=1", "training.learning_rte", "training."),
        ("training.epoch=1", "training.epoch", "training.epochs"),
        ("training.weight_decya=1", "training.weight_decya", "training.weight_decay"),
        ("augment.rotate=1", "augment.rotate", "augment.rotation"),
        ("trainig.lr=1", "trainig", "training"),
        ("data.zzz=1", "data.zzz", "data.resolution"),
    ],
)
def test_an_unknown_key_names_the_nearest(override: str, wrong: str, nearest: str) -> None:
    error = _refused("default", override)
    assert error.code == "unknown_key"
    assert repr(wrong) in error.message
    assert f"did you mean {nearest}" in error.hint


@pytest.mark.parametrize("override", ["lr=1", "training.lr", "", "=", "name=x", "training"])
def test_an_override_of_another_form_is_refused(override: str) -> None:
    assert _refused("default", override).code == "bad_override"


def test_an_override_below_what_is_no_section_is_refused() -> None:
    assert _refused("default", "name.x=1").code == "bad_override"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.epochs=2.5", "a whole number"),
        ("training.epochs=true", "a whole number"),
        ("training.epochs=ten", "a whole number"),
        ("training.epochs=", "a whole number"),
        ("training.lr=fast", "a number"),
        ("training.lr=true", "a number"),
        ("training.lr=[1]", "a number"),
        pytest.param("training.lr=1" + "0" * 400, "a number", id="too-large-for-a-float"),
        ("training.balance=1", "true or false"),
        ("training.optimizer=lion", "'muon' or 'adamw' or 'adam' or 'sgd'"),
        ("model.arch=resnet20", "'resnet18'"),
        ("model.arch=[resnet18]", "'resnet18'"),
        ("augment.crop=0.9", "a pair of numbers"),
        ("augment.crop=[0.9]", "a pair of numbers"),
        ("augment.crop=[a, b]", "a number"),
    ],
)
def test_a_value_of_the_wrong_type_says_what_is_expected(override: str, expected: str) -> None:
    error = _refused("default", override)
    assert error.code == "bad_value"
    assert expected in error.message
    assert override.partition("=")[0] in error.message


@pytest.mark.parametrize(
    "override",
    [
        "data.resolution=0",
        "data.resolution=100000",
        "training.epochs=0",
        "training.epochs=-1",
        "training.batch_size=0",
        "training.batch_size=2",
        "training.lr=-0.1",
        "training.lr=.nan",
        "training.lr=.inf",
        "training.warmup=1.5",
        "training.label_smoothing=-0.1",
        "training.consistency=-0.1",
        "training.ema_decay=1.01",
        "training.seed=-1",
        "augment.crop=[0, 1]",
        "augment.crop=[1, 90]",
        "augment.flip=2",
        "augment.contrast=.nan",
    ],
)
def test_a_value_out_of_range_is_refused_with_the_range(override: str) -> None:
    error = _refused("default", override)
    assert error.code == "bad_value"
    assert error.message.startswith(f"{override.partition('=')[0]} is ")
    assert " to " in error.message


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "-x", "a b"])
def test_a_name_that_is_no_folders_is_refused(written, name: str) -> None:
    assert _refused(written(yaml.safe_dump({"name": name}))).code == "bad_value"


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "- a",
        "text",
        "5",
        "training:",
        "training: 3",
        "name: 2024-13-45",
        "a: b: c",
        "[" * 5000,
    ],
)
def test_a_file_that_is_no_recipe_is_refused(written, text: str) -> None:
    assert _refused(written(text)).code == "bad_recipe"


def test_an_unknown_recipe_names_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    for name in ("defualt", str(tmp_path), str(tmp_path / "latin.yaml")):
        error = _refused(name)
        assert error.code == "unknown_recipe"
        assert "default, best, finetune, original, smoke" in error.hint


def test_every_number_has_a_range_and_may_not_be_nan() -> None:
    recipe = load_recipe("default")
    for section in ("data", "augment", "model", "training"):
        for field in dataclasses.fields(getattr(recipe, section)):
            value = getattr(getattr(recipe, section), field.name)
            where = f"{section}.{field.name}"
            first = value[0] if isinstance(value, tuple) else value
            if isinstance(first, bool) or not isinstance(first, int | float):
                continue
            wrong = "[.nan, .nan]" if isinstance(value, tuple) else ".nan"
            with pytest.raises(UsageError, match=re.escape(where)):
                load_recipe("default", [f"{where}={wrong}"])
            assert where in RANGES


def test_best_is_default_for_more_epochs() -> None:
    default, best = load_recipe("default"), load_recipe("best")
    assert best.training.epochs > 3 * default.training.epochs
    same = dataclasses.replace(best.training, epochs=default.training.epochs)
    assert dataclasses.replace(best, name="default", training=same) == default


def test_the_first_epochs_are_never_larger_than_the_others() -> None:
    settings = ["data.early=0.5", "data.early_resolution=128", "data.resolution=96"]
    with pytest.raises(UsageError, match=r"more than data\.resolution, 96"):
        load_recipe("default", settings)
    assert load_recipe("default", settings[1:]).data.early == 0  # of no account then
    # By rounding: 0.29 * 100 is a little less than 29.
    data = load_recipe("default", ["data.early=0.29", "data.early_resolution=48"]).data
    assert [data.side(epoch, 100) for epoch in (1, 29, 30, 100)] == [48, 48, 96, 96]
