"""Stopped anywhere and resumed, a training is the one that was never stopped, to the bit."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from cxrdiag.data.augment import AugmentConfig
from cxrdiag.data.batches import Split
from cxrdiag.data.phantom.dataset import write_coronahack
from cxrdiag.data.prepare import prepare
from cxrdiag.data.store import Store
from cxrdiag.errors import TrainingError, UsageError
from cxrdiag.files import held
from cxrdiag.model.checkpoint import load_model
from cxrdiag.model.resnet import ResNet
from cxrdiag.training.config import DataConfig, ModelConfig, Recipe, TrainingConfig
from cxrdiag.training.gradients import Gradients
from cxrdiag.training.history import Epoch
from cxrdiag.training.optimisation import class_weights, loss_function
from cxrdiag.training.recipe import load_recipe
from cxrdiag.training.reporter import Reporter, Step, Stop
from cxrdiag.training.start import Start
from cxrdiag.training.trainer import fit

CPU = torch.device("cpu")
N_EPOCHS, N_STEPS = 2, 3


def _recipe(ema: bool) -> Recipe:
    return Recipe(
        name="tiny",
        data=DataConfig(resolution=32),
        augment=AugmentConfig(crop=(0.8, 1.1), rotation=10, flip=0.5, gamma=0.2, erase=0.3),
        model=ModelConfig(width=8),
        training=TrainingConfig(
            epochs=N_EPOCHS,
            batch_size=20,
            lr=1e-3,
            optimizer="adamw" if ema else "muon",
            ema_decay=0.9 if ema else 0.0,
            clip_norm=1.0,
            precision="fp32" if ema else "bf16",
        ),
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("phantoms")
    write_coronahack(folder / "raw", n_train=60, n_test=4, size=32)
    return prepare(folder / "raw", folder / "store", size=32, audited=False)[0]


def _digest(path: Path) -> str:
    """Of every tensor of a file, with its name; not of its metadata, which hold seconds."""
    digest = hashlib.sha256()
    for name, tensor in sorted(load_file(path).items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


class _Listener:
    """Hears of a training all that must come out the same, and stops it where it is told to."""

    def __init__(self, run: Path, where: str = "") -> None:
        self._run, self._where = run, where
        self.losses: dict[tuple[int, int], float] = {}
        self.states: dict[int, str] = {}
        self._at = (0, 0)
        self._pauses = 0

    def reporter(self) -> Reporter:
        def step(step: Step) -> None:
            self.losses[step.epoch, step.step] = step.loss
            self._at, self._pauses = (step.epoch, step.step), 0

        def pause() -> None:
            self._pauses += 1
            here = {
                "mid-epoch": self._at == (2, 1),
                "last step": self._at == (2, N_STEPS),
                # After the step there is one pause, then one for each batch of validation.
                "mid-validation": self._at == (2, N_STEPS) and self._pauses == 3,
                "first step": self._at == (1, 1),
            }
            if here.get(self._where):
                raise Stop

        def epoch(row: Epoch) -> None:
            self.states[row.epoch] = _digest(self._run / "resume.safetensors")
            if self._where == "epoch end" and row.epoch == 1:
                raise Stop

        return Reporter(step=step, epoch=epoch, pause=pause)


def _keep_images_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are on a GPU with room."""
    plain = Split.__init__

    def init(self: Split, store: Store, name: str, device: torch.device) -> None:
        plain(self, store, name, device)
        self._resident = torch.as_tensor(store.images_NSS[self.rows_N])

    monkeypatch.setattr(Split, "__init__", init)


@pytest.fixture(scope="module", params=[False, True], ids=["no-ema", "ema"])
def whole(
    request: pytest.FixtureRequest, store: Store, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Recipe, Path, _Listener]:
    """A training that was never stopped."""
    recipe, run = _recipe(request.param), tmp_path_factory.mktemp("run") / "whole"
    listener = _Listener(run)
    fit(recipe, store, run, device=CPU, reporter=listener.reporter())
    return recipe, run, listener


@pytest.mark.parametrize("resident", [False, True])
@pytest.mark.parametrize(
    "where", ["first step", "epoch end", "mid-epoch", "last step", "mid-validation"]
)
def test_it_goes_on_to_the_bit(
    whole: tuple[Recipe, Path, _Listener],
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    resident: bool,
) -> None:
    if resident:
        _keep_images_on_the_device(monkeypatch)
    recipe, expected_run, expected = whole
    run = tmp_path / "run"
    stopped, resumed = _Listener(run, where), _Listener(run)
    with pytest.raises(Stop):
        fit(recipe, store, run, device=CPU, reporter=stopped.reporter())
    assert not (run / "model.json").exists()
    torch.manual_seed(99)  # no state outside the run folder has a say
    fit(recipe, store, run, device=CPU, resume=True, reporter=resumed.reporter())
    # No step was lost, and none was taken twice.
    assert not set(stopped.losses) & set(resumed.losses)
    assert stopped.losses | resumed.losses == expected.losses
    assert stopped.states | resumed.states == expected.states
    assert _digest(run / "model.safetensors") == _digest(expected_run / "model.safetensors")
    assert (run / "model.json").read_bytes() == (expected_run / "model.json").read_bytes()
    assert sorted(p.name for p in run.iterdir()) == sorted(p.name for p in expected_run.iterdir())
    # The last two columns are times.
    rows, expected_rows = (
        [line.split(",")[:-2] for line in (folder / "history.csv").read_text().splitlines()]
        for folder in (run, expected_run)
    )
    assert rows == expected_rows


def test_in_parts_it_goes_on_to_the_bit_where_there_is_more_memory_by_then(
    store: Store, tmp_path: Path
) -> None:
    """Batch norm goes by the images of a part: whole batches would end in other weights."""
    plain = ResNet.forward

    def forward(self: ResNet, x: torch.Tensor) -> torch.Tensor:
        if self.training and len(x) > 10:
            raise torch.OutOfMemoryError("no room")
        return plain(self, x)

    recipe, whole, run = _recipe(True), tmp_path / "whole", tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ResNet, "forward", forward)
        fit(recipe, store, whole, device=CPU)
        stopped = _Listener(run, "mid-epoch")
        with pytest.raises(Stop):
            fit(recipe, store, run, device=CPU, reporter=stopped.reporter())
    fit(recipe, store, run, device=CPU, resume=True)
    assert _digest(run / "model.safetensors") == _digest(whole / "model.safetensors")


def test_what_it_started_from_is_not_wanted_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A download may be gone, and another model in the package by then."""
    start = Start(dict(ResNet("resnet18", width=8).state_dict()), 0.3, 0.4)
    monkeypatch.setattr("cxrdiag.training.trainer.load_start", lambda recipe, pause: start)
    stopped = _Listener(tmp_path, "first step")
    with pytest.raises(Stop):
        fit(_recipe(True), store, tmp_path, device=CPU, reporter=stopped.reporter())
    monkeypatch.setattr("cxrdiag.training.trainer.load_start", lambda recipe, pause: 1 / 0)
    classifier = fit(_recipe(True), store, tmp_path, device=CPU, resume=True)
    assert (classifier.info.mean, classifier.info.std) == (0.3, 0.4)


def test_another_environment_is_told(store: Store, tmp_path: Path) -> None:
    stopped = _Listener(tmp_path, "first step")
    with pytest.raises(Stop):
        fit(_recipe(True), store, tmp_path, device=CPU, reporter=stopped.reporter())
    path, notes = tmp_path / "environment.json", list[str]()
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "threads": 64, "precision": "fp64"}))
    fit(
        _recipe(True),
        store,
        tmp_path,
        device=CPU,
        resume=True,
        reporter=Reporter(note=notes.append),
    )
    (note,) = (note for note in notes if "environment" in note)
    assert "precision fp32, before fp64" in note
    assert f"threads {document['threads']}, before 64" in note
    assert "torch" not in note


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_trains_stops_goes_on_and_answers_as_the_cpu_does(
    store: Store, tmp_path: Path
) -> None:
    cuda = torch.device("cuda")
    more = ["model.width=8", "data.resolution=32", "training.epochs=2", "training.batch_size=20"]
    recipe, stopped = load_recipe("default", more), _Listener(tmp_path, "mid-epoch")
    with pytest.raises(Stop):
        fit(recipe, store, tmp_path, device=cuda, reporter=stopped.reporter())
    resumed = _Listener(tmp_path)
    fit(recipe, store, tmp_path, device=cuda, resume=True, reporter=resumed.reporter())
    assert not set(stopped.losses) & set(resumed.losses)
    assert len(stopped.losses | resumed.losses) == N_EPOCHS * N_STEPS
    images = store.images_NSS[:30]
    here, there = (load_model(tmp_path, device).logits(images) for device in (CPU, cuda))
    assert there == pytest.approx(here, abs=1e-4)


def test_a_folder_belongs_to_one_training(store: Store, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with held(run), pytest.raises(TrainingError, match="another process") as e:
        fit(_recipe(False), store, run, device=CPU)
    assert (e.value.code, e.value.exit_code, list(run.iterdir())) == ("run_in_use", 5, [])


def test_one_that_is_refused_leaves_the_other_what_it_needs(store: Store, tmp_path: Path) -> None:
    def try_too(step: Step) -> None:
        if step.step == 1:
            with pytest.raises(TrainingError) as e:
                fit(_recipe(False), store, tmp_path, device=CPU)
            assert e.value.code == "run_in_use"

    fit(_recipe(False), store, tmp_path, device=CPU, reporter=Reporter(step=try_too))
    assert (tmp_path / "config.yaml").is_file()
    with pytest.raises(UsageError) as e:  # and afterwards
        fit(_recipe(False), store, tmp_path, device=CPU)
    assert e.value.code == "run_exists"
    assert (tmp_path / "model.json").is_file()


def test_what_a_killed_process_left_is_removed(store: Store, tmp_path: Path) -> None:
    listener = _Listener(tmp_path, "first step")
    (tmp_path / ".resume.4711.part.safetensors").write_bytes(b"half")
    (tmp_path / ".notes.2024.txt").write_text("mine")
    with pytest.raises(Stop):
        fit(_recipe(False), store, tmp_path, device=CPU, reporter=listener.reporter())
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {".notes.2024.txt", "config.yaml", "environment.json", "resume.safetensors"}


# --- a batch in parts ---


class _Small(nn.Module):
    """A network on a device with room for three images."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Flatten(), nn.Linear(16, 1))
        self.sizes: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(x))
        if len(x) > 3:
            raise torch.OutOfMemoryError("no room")
        logits: torch.Tensor = self.inner(x)[:, 0]
        return logits


def _loss(weights: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return loss_function(logits, targets, weights, 0.1)


def test_a_batch_too_large_for_the_device_goes_in_parts_and_is_optimised_over_whole() -> None:
    torch.manual_seed(0)
    network, told = _Small(), list[str]()
    x, targets = torch.randn(10, 1, 4, 4), (torch.arange(10) % 3 == 0).float()
    weights = class_weights(targets, balance=True)
    gradients = Gradients(told.append)

    def compute() -> tuple[float, torch.Tensor]:
        return gradients.compute(network, network, lambda a, b: _loss(weights, a, b), x, targets)

    compute()
    value, logits = compute()
    expected = loss_function(network.inner(x)[:, 0], targets, weights, 0.1)
    assert value == pytest.approx(expected.item(), rel=1e-6)
    torch.testing.assert_close(logits, network.inner(x)[:, 0].detach())
    linear = network.inner[1]
    assert isinstance(linear, nn.Linear)
    assert linear.weight.grad is not None
    (whole,) = torch.autograd.grad(expected, [linear.weight])
    torch.testing.assert_close(linear.weight.grad, whole)
    # Ten, five (of halves), then quarters: said for each, and remembered.
    assert network.sizes == [10, 5, 3, 3, 2, 2, 3, 3, 2, 2]
    assert [text.split("through the network in ")[1][:7] for text in told] == ["2 parts", "4 parts"]


def test_no_part_is_of_one_image_whatever_was_needed_before() -> None:
    network = _Small()
    gradients = Gradients(lambda text: None)
    for n in (12, 11, 7, 1):
        x, targets = torch.randn(n, 1, 4, 4), torch.zeros(n)
        gradients.compute(network, network, lambda a, b: a.sum(), x, targets)
    assert network.sizes == [12, 6, *[3, 3, 3, 3], *[3, 3, 3, 2], *[3, 2, 2], 1]


@pytest.mark.parametrize("n", range(2, 70))
def test_a_batch_of_any_size_goes_through_where_three_images_do(n: int) -> None:
    network, gradients = _Small(), Gradients(lambda text: None)
    x, targets = torch.randn(n, 1, 4, 4), torch.zeros(n)
    gradients.compute(network, network, lambda a, b: a.sum(), x, targets)
    through = [size for size in network.sizes if size <= 3]
    assert sum(through) == n
    assert min(through) >= 2


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("MPS backend out of memory (MPS allocated: 5 GB). Tried to allocate 1 GB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("could not create a primitive"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("sizes do not match"),
    ],
)
def test_memory_that_runs_out_is_told_from_other_errors(error: RuntimeError) -> None:
    class _Failing(_Small):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x) > 4:
                raise error
            return super().forward(x[:3])

    network, x = _Failing(), torch.randn(6, 1, 4, 4)

    def compute() -> None:
        Gradients(lambda text: None).compute(
            network, network, lambda a, b: a.sum(), x, torch.zeros(6)
        )

    if "sizes" in str(error):
        with pytest.raises(RuntimeError, match="do not match"):
            compute()
    else:
        compute()
        assert network.sizes == [3, 3]


def test_one_image_too_much_is_one_clear_error() -> None:
    class _None(_Small):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("no room")

    network, x = _None(), torch.randn(4, 1, 4, 4)
    with pytest.raises(TrainingError, match="not the memory") as e:
        Gradients(lambda text: None).compute(
            network, network, lambda a, b: a.sum(), x, torch.zeros(4)
        )
    assert e.value.code == "out_of_memory"


def test_a_loss_that_is_not_finite_names_the_images_and_leaves_the_last_state(
    store: Store, tmp_path: Path
) -> None:
    steps: list[Step] = []

    plain = ResNet.forward

    def forward(self: ResNet, x: torch.Tensor) -> torch.Tensor:
        # The second step of the second epoch.
        is_poisoned = self.training and len(steps) == N_STEPS + 1
        return plain(self, x) * (float("nan") if is_poisoned else 1)

    recipe = _recipe(True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ResNet, "forward", forward)
        with pytest.raises(TrainingError, match="the loss is nan at epoch 2, step 2") as e:
            fit(recipe, store, tmp_path, device=CPU, reporter=Reporter(step=steps.append))
    named = e.value.message.split("of the images ")[1].split(", ")
    train = set(store.records["name"][store.rows("train")])
    assert len(named) == len(set(named)) in (18, 19, 20)
    assert set(named) <= train
    tensors = load_file(tmp_path / "resume.safetensors")
    assert all(t.isfinite().all() for t in tensors.values() if t.is_floating_point())
    # Nothing is wrong any more: it goes on.
    fit(recipe, store, tmp_path, device=CPU, resume=True)
    assert (tmp_path / "model.json").is_file()
