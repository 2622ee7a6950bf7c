"""Trainings that do not start at random: what they start from is what it says."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision

from cxrdiag import runs
from cxrdiag.data.store import Store
from cxrdiag.errors import ModelError, UsageError
from cxrdiag.model.checkpoint import load_model
from cxrdiag.model.resnet import ResNet
from cxrdiag.training.config import Recipe, load_recipe
from cxrdiag.training.start import load_start
from cxrdiag.training.trainer import fit

CPU = torch.device("cpu")
SMALL = ["data.resolution=32", "training.epochs=1", "training.batch_size=16"]


def _recipe(*overrides: str) -> Recipe:
    return load_recipe("smoke", [*SMALL, "training.precision=fp32", *overrides])


@pytest.fixture
def shipped(trained_run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny run in the place of the shipped model."""
    monkeypatch.setattr(runs, "SHIPPED_FOLDER", trained_run)
    return trained_run


@pytest.fixture
def imagenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> torchvision.models.ResNet:
    """A torchvision ResNet-18 of random weights, where its ImageNet weights are looked for."""
    torch.manual_seed(5)
    network = torchvision.models.resnet18(weights=None)
    network(torch.randn(8, 3, 64, 64))  # statistics of its own
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    url = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url
    torch.save(network.state_dict(), cache / url.rpartition("/")[2])
    return network.eval()


def test_a_training_that_changes_nothing_ends_with_the_model_that_it_started_from(
    shipped: Path, small_store: Store, tmp_path: Path
) -> None:
    recipe = _recipe("training.init=shipped", "training.lr=0", "training.ema_decay=0.9")
    before = load_model(shipped, CPU)
    start = load_start(recipe)
    assert start is not None
    assert (start.mean, start.std) == (before.info.mean, before.info.std)
    for name, tensor in before.network.state_dict().items():
        torch.testing.assert_close(start.weights[name], tensor, rtol=0, atol=0)
    after = fit(recipe, small_store, tmp_path / "run", device=CPU)
    for (name, old), new in zip(
        before.network.named_parameters(), after.network.parameters(), strict=True
    ):
        torch.testing.assert_close(new, old, rtol=1e-3, atol=1e-4, msg=name)
    assert (after.info.mean, after.info.std) == (before.info.mean, before.info.std)


def test_a_build_without_a_model_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "SHIPPED_FOLDER", tmp_path)
    with pytest.raises(ModelError) as e:
        load_start(_recipe("training.init=shipped"))
    assert e.value.code == "no_shipped_model"


def test_the_shipped_model_fits_no_other_network(shipped: Path) -> None:
    with pytest.raises(UsageError) as e:
        load_start(_recipe("training.init=shipped", "model.width=8"))
    assert e.value.code == "other_network"
    assert "--set model.width=64" in e.value.hint


def test_imagenet_weights_read_gray_as_three_equal_channels(
    imagenet: torchvision.models.ResNet,
) -> None:
    start = load_start(_recipe("training.init=imagenet"))
    assert start is not None
    network = ResNet("resnet18")
    missing, unexpected = network.load_state_dict(start.weights, strict=False)
    assert (set(missing), unexpected) == ({"fc.weight", "fc.bias"}, [])
    x = torch.randn(2, 1, 64, 64)
    theirs = torch.nn.Sequential(*list(imagenet.children())[:-2])
    with torch.inference_mode():
        expected = theirs(x.expand(-1, 3, -1, -1))
        assert expected.std() > 0.1
        torch.testing.assert_close(network.eval().features(x), expected, rtol=1e-3, atol=1e-3)


def test_imagenet_weights_have_one_width(imagenet: torchvision.models.ResNet) -> None:
    with pytest.raises(UsageError) as e:
        load_start(_recipe("training.init=imagenet", "model.width=32"))
    assert (e.value.code, e.value.hint) == ("other_network", "--set model.width=64")


def test_imagenet_weights_that_cannot_be_had_are_a_model_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", offline)
    capsys.readouterr()
    with pytest.raises(ModelError) as e:
        load_start(_recipe("training.init=imagenet"))
    assert e.value.code == "no_imagenet_weights"
    assert "no route to host" in str(e.value)
    printed = capsys.readouterr()
    assert printed.out == ""  # where --json prints its document
    assert "Downloading" in printed.err


def test_damaged_imagenet_weights_are_a_model_error(
    imagenet: torchvision.models.ResNet, tmp_path: Path
) -> None:
    (file,) = (tmp_path / "hub" / "checkpoints").iterdir()
    whole = file.read_bytes()
    # The last would run a command if it were unpickled as it asks to be.
    for data in (b"", whole[:1000], b"\x80\x02cos\nsystem\nU\x0btouch owned\x85R."):
        file.write_bytes(data)
        with pytest.raises(ModelError) as e:
            load_start(_recipe("training.init=imagenet"))
        assert e.value.code == "no_imagenet_weights"
    assert not Path("owned").exists()


def test_init_on_the_command_line_brings_the_recipe_for_it(
    imagenet: torchvision.models.ResNet, desk: Path, cxrdiag_command
) -> None:
    short = ["--epochs", 1, "--set", "data.resolution=32", "--run", "runs/tuned", "--device", "cpu"]
    outcome = cxrdiag_command("train", "--init", "imagenet", *short, "--json")
    assert outcome.code == 0
    made = load_recipe(str(desk / "runs/tuned/config.yaml"))
    assert (made.name, made.training.init, made.model.width) == ("finetune", "imagenet", 64)
    assert made.training.lr == load_recipe("finetune").training.lr
    refused = cxrdiag_command("train", "--init", "elsewhere", "--run", "runs/other")
    assert refused.code == 2
    assert "expected 'random' or 'shipped' or 'imagenet'" in refused.err


def test_random_is_the_default() -> None:
    assert load_start(_recipe()) is None
