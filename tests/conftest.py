"""Phantoms, a store of them and a small trained run, made once and only read; and the CLI."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Before torch is loaded, and for subprocesses too: on a busy machine the threads of a network as
# small as these wait for each other ten times longer than they compute.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A console keeps for good the width that stands here when it is imported: a test sets its own.
os.environ.pop("COLUMNS", None)
# As cxrdiag.model.onnx does, for the tests that import ONNX Runtime themselves.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import pytest
import torch

import cxrdiag.cli.console as _imported_before_a_test_sets_a_width  # noqa: F401
from cxrdiag.cli.app import main
from cxrdiag.data.phantom.dataset import IMAGES, write_coronahack
from cxrdiag.data.prepare import prepare
from cxrdiag.data.store import Store
from cxrdiag.evaluation import intervals
from cxrdiag.training.recipe import load_recipe
from cxrdiag.training.trainer import fit

_LONG = ("test_reliability.py", "test_main_job.py", "test_dicom.py", "test_real_data.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: begun last, one keeps a worker busy while the others are idle."""
    items.sort(key=lambda item: item.path.name not in _LONG)


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as the one JSON document that it must be."""
        return json.loads(self.out)


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in the CoronaHack layout: 90 films to train on, 40 to test."""
    out = tmp_path_factory.mktemp("phantoms") / "coronahack"
    return write_coronahack(out, n_train=90, n_test=40, size=96)


@pytest.fixture(scope="session")
def films(phantoms: Path) -> list[Path]:
    """The test films, JPEG all, sorted."""
    return sorted((phantoms / IMAGES / "test").glob("*.jpeg"))


@pytest.fixture(scope="session")
def small_store(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store of the phantoms in squares of 64 pixels."""
    store, built = prepare(phantoms, tmp_path_factory.mktemp("store") / "prepared", size=64)
    assert built
    return store


@pytest.fixture(scope="session")
def trained_run(small_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run at 32 pixels, trained for seconds: its numbers mean little but differ."""
    run = tmp_path_factory.mktemp("runs") / "tiny"
    recipe = load_recipe(
        "smoke",
        [
            "data.resolution=32",
            "training.epochs=4",
            "training.batch_size=16",
            "training.lr=0.002",
            "training.precision=fp32",
        ],
    )
    fit(recipe, small_store, run, device=torch.device("cpu"))
    return run


@pytest.fixture
def own_run(trained_run: Path, tmp_path: Path) -> Path:
    """A copy of the trained run to write into."""
    # Links cost nothing, and files are replaced, never written into.
    return Path(shutil.copytree(trained_run, tmp_path / "own-run", copy_function=os.link))


@pytest.fixture
def desk(
    small_store: Store, own_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The current folder, with a store and a run where the commands look for them."""
    desk = tmp_path / "desk"
    for link, target in (("data/prepared", small_store.path), ("runs/tiny", own_run)):
        (desk / link).parent.mkdir(parents=True)
        (desk / link).symlink_to(target)
    monkeypatch.chdir(desk)
    return desk


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shorter bootstrap: a thousand resamples of all metrics take a second a call."""
    monkeypatch.setattr(intervals, "RESAMPLES", 100)


@pytest.fixture
def cxrdiag_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Run `cxrdiag ARGUMENTS...` in this process, where torch is loaded already."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["cxrdiag", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = capsys.readouterr()
        code = exit_.value.code or 0
        assert isinstance(code, int)
        return Outcome(code, captured.out, captured.err)

    return run
