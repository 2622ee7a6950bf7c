"""Weights come back bit for bit, or not at all and with one clear error."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from cxrdiag.errors import ModelError
from cxrdiag.model.checkpoint import halved, load_model, save_model
from cxrdiag.model.detector import Detector
from cxrdiag.model.device import to_device
from cxrdiag.model.info import DEFAULT_POINT, UNCERTAIN, ModelInfo, OperatingPoint
from cxrdiag.model.resnet import ResNet

CPU = torch.device("cpu")
INFO = ModelInfo(
    arch="resnet18",
    width=16,
    image_size=256,
    resolution=112,
    mean=0.1 + 0.2,
    std=1 / 3,
    threshold=0.4375,
    operating_points={
        name: OperatingPoint(
            threshold=0.4375,
            sensitivity=0.98,
            sensitivity_ci95=(0.85, 0.99),
            specificity=0.9,
            specificity_ci95=(0.85, 0.95),
        )
        for name in (DEFAULT_POINT, *UNCERTAIN)
    },
    mirror=True,
    temperature=1.25,
    recipe="a recipe",
    seed=2**40,
    epoch=7,
    data_fingerprint="ab" * 32,
    cxrdiag_version="1.2.3",
)
# Of width 16: (32 + 64) channels in 4 x 4 parts, 128 channels at the end.
DETECTOR = Detector(
    weight_F=torch.arange(1536.0) / 7,
    bias=torch.tensor(1 / 3),
    mean_G=torch.arange(128.0) / 3,
    directions_KG=torch.arange(256.0).reshape(2, 128) / 9,
    noise=torch.tensor(0.7),
)


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    torch.manual_seed(3)
    network = to_device(ResNet("resnet18", width=16), CPU)  # channels last, as they are trained
    network(torch.randn(4, 1, 64, 64))  # statistics that are not those of a fresh network
    return network.state_dict()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, weights: dict[str, Tensor]) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    save_model(folder, weights, DETECTOR, INFO)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A model of one's own to damage."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def _edit(folder: Path, **changes: Any) -> None:
    document = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**document, **changes}))


def _refused(folder: Path) -> ModelError:
    with pytest.raises(ModelError) as e:
        load_model(folder, CPU)
    assert e.value.exit_code == 4
    assert str(folder) in str(e.value)
    return e.value


def test_a_model_comes_back_bit_for_bit(saved: Path, weights: dict[str, Tensor]) -> None:
    classifier = load_model(saved, CPU)
    assert classifier.info == INFO
    assert not classifier.network.training
    loaded = classifier.network.state_dict()
    assert list(loaded) == list(weights)
    assert all(torch.equal(loaded[name], weights[name]) for name in weights)
    assert classifier.detector is not None
    for name, tensor in vars(DETECTOR).items():
        assert torch.equal(getattr(classifier.detector, name), tensor)


def test_the_two_files_are_what_the_documentation_says(
    saved: Path, weights: dict[str, Tensor]
) -> None:
    assert sorted(path.name for path in saved.iterdir()) == ["model.json", "model.safetensors"]
    document = json.loads((saved / "model.json").read_text())
    assert (document["format"], document["version"]) == ("cxrdiag model", 3)
    expected = json.loads(json.dumps(dataclasses.asdict(INFO)))  # pairs are lists there
    assert {name: document[name] for name in expected} == expected
    bytes_ = (saved / "model.safetensors").read_bytes()
    assert document["weights_sha256"] == hashlib.sha256(bytes_).hexdigest()
    plain = load_file(saved / "model.safetensors")  # readable without this package
    assert torch.equal(plain["conv1.weight"], weights["conv1.weight"])


def test_the_weights_are_as_readable_as_the_description(saved: Path) -> None:
    modes = {path.name: path.stat().st_mode for path in saved.iterdir()}
    assert modes["model.safetensors"] == modes["model.json"]


def test_saving_again_gives_the_same_bytes(
    saved: Path, tmp_path: Path, weights: dict[str, Tensor]
) -> None:
    save_model(tmp_path, weights, DETECTOR, INFO)
    for name in ("model.json", "model.safetensors"):
        assert (tmp_path / name).read_bytes() == (saved / name).read_bytes()


def test_weights_of_another_training_are_refused(
    folder: Path, tmp_path: Path, weights: dict[str, Tensor]
) -> None:
    other = {**weights, "fc.bias": weights["fc.bias"] + 1}
    save_model(tmp_path / "other", other, DETECTOR, INFO)
    shutil.copy(tmp_path / "other" / "model.safetensors", folder)
    error = _refused(folder)
    assert error.code == "weights_mismatch"
    assert "copy both" in error.hint


def test_a_width_that_is_not_the_weights_is_refused(folder: Path) -> None:
    _edit(folder, width=1024)  # three billion weights: refused before they take any memory
    error = _refused(folder)
    assert error.code == "weights_mismatch"
    assert "resnet18 of width 1024" in error.message


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("weight_F", (1535,)),
        ("bias", (2,)),
        ("mean_G", (1,)),
        ("directions_KG", (2, 129)),
        ("noise", (128,)),
    ],
)
def test_a_detector_of_another_network_is_refused(
    tmp_path: Path, weights: dict[str, Tensor], name: str, shape: tuple[int, ...]
) -> None:
    other = dataclasses.replace(DETECTOR, **{name: torch.zeros(shape)})
    save_model(tmp_path, weights, other, INFO)
    assert _refused(tmp_path).code == "weights_mismatch"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(
    tmp_path: Path, weights: dict[str, Tensor], value: float
) -> None:
    bad = {**weights, "fc.weight": torch.full_like(weights["fc.weight"], value)}
    save_model(tmp_path, bad, DETECTOR, INFO)
    assert _refused(tmp_path).code == "non_finite_weights"
    save_model(tmp_path, weights, dataclasses.replace(DETECTOR, bias=torch.tensor(value)), INFO)
    assert _refused(tmp_path).code == "non_finite_weights"


def test_a_model_without_a_detector_is_refused(
    folder: Path, tmp_path: Path, weights: dict[str, Tensor]
) -> None:
    plain = {name: tensor.contiguous() for name, tensor in weights.items()}
    save_file(plain, folder / "model.safetensors")
    bytes_ = (folder / "model.safetensors").read_bytes()
    _edit(folder, weights_sha256=hashlib.sha256(bytes_).hexdigest())
    assert _refused(folder).code == "weights_mismatch"


def test_a_field_of_a_later_version_is_refused(folder: Path) -> None:
    _edit(folder, calibration="isotonic")
    error = _refused(folder)
    assert (error.code, error.message) == ("model_version", "unknown: 'calibration'")


def test_one_flipped_bit_is_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)
    assert _refused(folder).code == "weights_mismatch"


@pytest.mark.parametrize("arch", ["resnet34", "resnet50"])
def test_weights_that_do_not_fit_the_architecture_are_refused(folder: Path, arch: str) -> None:
    _edit(folder, arch=arch)
    error = _refused(folder)
    assert error.code == "weights_mismatch"
    assert arch in error.message


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 1},
        {"version": 2},
        {"version": 4},
        {"version": None},
        {"version": "3"},
        {"arch": "vit_b_16"},
        {"arch": None},
    ],
)
def test_another_version_or_architecture_is_refused(folder: Path, changes: dict[str, Any]) -> None:
    _edit(folder, **changes)
    error = _refused(folder)
    assert error.code == "model_version"
    assert repr(next(iter(changes.values()))) in error.message


@pytest.mark.parametrize("size", [0, 4, 100, 20_000, -1])
def test_truncated_weights_are_refused(folder: Path, size: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    assert _refused(folder).code == "unreadable_weights"


def test_missing_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert _refused(folder).code == "unreadable_weights"
    (folder / "model.safetensors").mkdir()
    assert _refused(folder).code == "unreadable_weights"


def test_a_folder_without_a_model_says_what_to_do(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        error = _refused(folder)
        assert error.code == "no_model"
        assert "cxrdiag train" in error.hint


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "3", "{", '{"version": 1', "\x00", "[" * 100_000, "\ud800"]
)
def test_a_model_json_that_is_no_json_object_is_refused(folder: Path, text: str) -> None:
    (folder / "model.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert _refused(folder).code == "damaged_model"


def with_interval(ends: object) -> dict[str, dict[str, object]]:
    """INFO's operating points, one with that interval."""
    points = {name: dataclasses.asdict(point) for name, point in INFO.operating_points.items()}
    points["balanced"]["sensitivity_ci95"] = ends
    return points


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("arch", ["resnet18"]),
        ("image_size", "256"),
        ("image_size", 256.5),
        ("image_size", 10**9),
        ("resolution", 0),
        ("resolution", True),
        ("mean", "0.5"),
        ("mean", float("nan")),
        ("std", 0),
        ("std", -0.2),
        ("std", None),
        ("width", 0),
        ("width", 1025),
        ("mirror", 1),
        ("threshold", "0.5"),
        ("threshold", 1.5),
        ("threshold", 0.5),  # not that of the operating point
        ("threshold", float("nan")),
        ("temperature", 0.0),
        ("temperature", 10**400),
        ("mean", 1e300),
        ("std", 1e-300),
        ("prevalence", 5e-324),
        ("prevalence", 1.0),
        ("operating_points", {"balanced": {"threshold": 0.5, "sensitivity": 1, "specificity": 1}}),
        ("operating_points", {"balanced": 0.5}),
        *(("operating_points", with_interval(ends)) for ends in ([0.9], [0.9, 1.1], None, "ab", 1)),
        ("operating_points", [1]),
        ("temperature", float("inf")),
        ("recipe", 5),
        ("seed", "0"),
        ("notice", None),
    ],
)
def test_a_field_nothing_can_be_computed_with_is_refused(
    folder: Path, name: str, value: object
) -> None:
    _edit(folder, **{name: value})
    assert _refused(folder).code == "damaged_model"


@pytest.mark.parametrize(
    "name",
    [
        *dataclasses.asdict(INFO),
        "weights_sha256",
        "version",
    ],
)
def test_a_missing_field_is_refused(folder: Path, name: str) -> None:
    document = json.loads((folder / "model.json").read_text())
    del document[name]
    (folder / "model.json").write_text(json.dumps(document))
    assert _refused(folder).code in ("damaged_model", "model_version")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from([*dataclasses.asdict(INFO), "weights_sha256", "version"]), value=_JSON)
def test_whatever_stands_in_a_field_the_answer_is_a_model_or_a_model_error(
    tmp_path: Path, name: str, value: object
) -> None:
    document = {"version": 3, **dataclasses.asdict(INFO), "weights_sha256": "", name: value}
    (tmp_path / "model.json").write_text(json.dumps(document))
    assert _refused(tmp_path).code in ("damaged_model", "model_version", "unreadable_weights")


def test_whole_numbers_are_fine_where_fractions_are_expected(folder: Path) -> None:
    _edit(folder, mean=0, std=1, temperature=2)
    assert load_model(folder, CPU).info.temperature == 2


def test_halved_weights_are_the_nearest_in_half_precision_and_norms_as_they_were(
    weights: dict[str, Tensor], tmp_path: Path
) -> None:
    save_model(tmp_path, halved(weights), DETECTOR, INFO)
    loaded = load_model(tmp_path, CPU).network.state_dict()
    for name, tensor in weights.items():
        kept = torch.float16 if tensor.ndim > 1 else tensor.dtype
        torch.testing.assert_close(loaded[name], tensor.to(kept).to(tensor.dtype), rtol=0, atol=0)
    size = (tmp_path / "model.safetensors").stat().st_size
    assert size < 0.52 * sum(tensor.nbytes for tensor in weights.values())
