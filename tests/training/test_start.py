"""Trainings that do not start at random: what they start from is what it says."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file

from cxrdiag import runs
from cxrdiag.data.store import Store
from cxrdiag.errors import ModelError, UsageError
from cxrdiag.model.checkpoint import load_model
from cxrdiag.model.resnet import ResNet
from cxrdiag.training import start as start_module
from cxrdiag.training.config import Recipe
from cxrdiag.training.recipe import load_recipe
from cxrdiag.training.reporter import Stop
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


NAME = "resnet18.tv_in1k"


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where ImageNet weights are looked for; they are not there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "cxrdiag" / f"{NAME}.safetensors"


@pytest.fixture
def imagenet(cached: Path) -> torchvision.models.ResNet:
    """A torchvision ResNet-18 of random weights, in the place of those of ImageNet."""
    torch.manual_seed(5)
    network = torchvision.models.resnet18(weights=None)
    network(torch.randn(8, 3, 64, 64))  # statistics of its own
    cached.parent.mkdir(parents=True)
    save_file(network.state_dict(), cached)
    return network.eval()


class Hub(ThreadingHTTPServer):
    """Answers each path with a file, a redirect or, to any other, that it is not there."""

    files: dict[str, bytes]
    redirects: dict[str, str]
    cut: int = 0
    """So many bytes are missing at the end of each file."""


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        hub = self.server
        assert isinstance(hub, Hub)
        if self.path in hub.redirects:
            self.send_response(302)
            self.send_header("Location", hub.redirects[self.path])
            self.end_headers()
        elif self.path in hub.files:
            data = hub.files[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # whoever asked went away
                self.wfile.write(data[: len(data) - hub.cut])
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub(cached: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A server on this machine in the place of Hugging Face."""
    with Hub(("127.0.0.1", 0), _Answer) as server:
        server.files, server.redirects = {}, {}
        monkeypatch.setattr(start_module, "_HUB", f"http://127.0.0.1:{server.server_port}/timm")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


ASKED_FOR = f"/timm/{NAME}/resolve/main/model.safetensors"


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


def test_imagenet_weights_are_downloaded_once(
    imagenet: torchvision.models.ResNet,
    hub: Hub,
    cached: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = cached.read_bytes()
    cached.unlink()
    hub.redirects[ASKED_FOR] = "/elsewhere"  # as Hugging Face does
    hub.files["/elsewhere"] = data
    capsys.readouterr()
    first = load_start(_recipe("training.init=imagenet"))
    printed = capsys.readouterr()
    assert printed.out == ""  # where --json prints its document
    assert printed.err.count("\n") == 1
    assert ASKED_FOR in printed.err
    assert str(cached) in printed.err
    assert cached.read_bytes() == data
    assert list(cached.parent.iterdir()) == [cached]
    hub.redirects.clear()
    again = load_start(_recipe("training.init=imagenet"))
    assert capsys.readouterr().err == ""
    assert first is not None
    assert again is not None
    kernel = imagenet.state_dict()["conv1.weight"].sum(dim=1, keepdim=True)
    for start in (first, again):
        torch.testing.assert_close(start.weights["conv1.weight"], kernel)


def test_counters_of_batches_need_not_be_among_imagenet_weights(
    imagenet: torchvision.models.ResNet, cached: Path
) -> None:
    whole = load_file(cached)
    few = {name: tensor for name, tensor in whole.items() if "num_batches" not in name}
    assert len(few) < len(whole)
    save_file(few, cached)
    start = load_start(_recipe("training.init=imagenet"))
    assert start is not None
    ResNet("resnet18").load_state_dict(
        {**start.weights, "fc.weight": torch.zeros(1, 512), "fc.bias": torch.zeros(1)}
    )


def _refused(cached: Path) -> ModelError:
    with pytest.raises(ModelError) as e:
        load_start(_recipe("training.init=imagenet"))
    assert (e.value.code, e.value.exit_code) == ("no_imagenet_weights", 4)
    assert str(cached) in e.value.hint
    assert "\n" not in str(e.value)
    return e.value


def test_imagenet_weights_that_are_not_there_are_a_model_error(hub: Hub, cached: Path) -> None:
    assert "404" in _refused(cached).message
    hub.shutdown()
    hub.server_close()
    assert "refused" in _refused(cached).message
    assert not cached.exists()


def test_a_download_that_breaks_off_leaves_nothing(
    imagenet: torchvision.models.ResNet, hub: Hub, cached: Path
) -> None:
    hub.files[ASKED_FOR] = cached.read_bytes()
    cached.unlink()
    hub.cut = 10_000_000
    _refused(cached)
    assert list(cached.parent.iterdir()) == []


def test_a_download_can_be_stopped(
    imagenet: torchvision.models.ResNet, hub: Hub, cached: Path
) -> None:
    hub.files[ASKED_FOR] = cached.read_bytes()
    cached.unlink()
    parts = iter(range(5))

    def stop() -> None:
        if next(parts) == 4:
            raise Stop

    with pytest.raises(Stop):
        load_start(_recipe("training.init=imagenet"), stop)
    assert list(cached.parent.iterdir()) == []


def test_a_download_without_end_is_given_up(
    hub: Hub, cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start_module, "_MOST_BYTES", 3 * 10**6)
    hub.files[ASKED_FOR] = bytes(4 * 10**6)
    assert "more than 3 MB" in _refused(cached).message
    assert list(cached.parent.iterdir()) == []


def test_no_redirect_leads_to_another_scheme(hub: Hub, cached: Path) -> None:
    assert start_module._HUB.startswith("http:")
    hub.redirects[ASKED_FOR] = f"ftp://127.0.0.1:{hub.server_port}/weights"
    assert "302: from http to ftp:" in _refused(cached).message
    hub.redirects[ASKED_FOR] = "file:///etc/passwd"
    _refused(cached)
    assert not cached.exists()


def test_damaged_imagenet_weights_are_a_model_error(
    imagenet: torchvision.models.ResNet, cached: Path
) -> None:
    whole = cached.read_bytes()
    # The last would run a command if it were unpickled.
    for data in (b"", whole[:1000], whole[:-4], b"\x80\x02cos\nsystem\nU\x0btouch owned\x85R."):
        cached.write_bytes(data)
        _refused(cached)
    assert not Path("owned").exists()


def test_weights_of_another_network_in_their_place_are_a_model_error(
    imagenet: torchvision.models.ResNet, cached: Path
) -> None:
    whole = load_file(cached)
    for other in (
        {**whole, "fc.weight": torch.zeros(10, 512)},
        {**whole, "layer1.2.conv1.weight": torch.zeros(64, 64, 3, 3)},
        {name: tensor for name, tensor in whole.items() if name != "conv1.weight"},
        {**whole, "conv1.weight": whole["conv1.weight"].int()},
    ):
        save_file(other, cached)
        assert "does not hold a resnet18" in _refused(cached).message


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
