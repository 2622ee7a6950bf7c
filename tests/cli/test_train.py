"""`cxrdiag train`, as signals find it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxrdiag.data.batches import Split
from cxrdiag.data.prepare import prepare
from cxrdiag.data.store import Store


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_before_the_first_step_interrupts_nothing_half_way_and_leaves_nothing(
    small_store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cxrdiag_command: Callable[..., Any],
    number: signal.Signals,
    code: int,
) -> None:
    # A job in the background of a shell ignores Ctrl-C, and so would the training.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    came_back = []
    plain = Split.pixel_statistics

    def interrupted(split: Split) -> tuple[float, float]:
        os.kill(os.getpid(), number)
        came_back.append(plain(split))
        return came_back[0]

    monkeypatch.setattr(Split, "pixel_statistics", interrupted)
    run = tmp_path / "run"
    try:
        outcome = cxrdiag_command(
            "train", "--recipe", "smoke", "--data", small_store.path, "--run", run
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert outcome.code == code
    assert outcome.err.splitlines()[-1].startswith("interrupted before the first step was saved")
    assert came_back
    assert not run.exists()


@pytest.mark.parametrize("where", ["a broken pipe", "a full disk"])
def test_a_training_goes_on_where_nobody_reads_what_is_said(
    small_store: Store, tmp_path: Path, where: str
) -> None:
    arguments = ["--recipe", "smoke", "--epochs", "1", "--data", small_store.path]
    if where == "a full disk":
        writer = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, writer = os.pipe()
        os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "cxrdiag", "train", "--run", tmp_path, *map(str, arguments)],
        stderr=writer,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, (tmp_path / "model.json").is_file()) == (0, True)
    assert "next: cxrdiag eval" in done.stdout


def test_where_nobody_reads_what_is_said_the_exit_code_still_tells_of_the_signal(
    small_store: Store, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = ["--recipe", "smoke", "--epochs", "9999", "--data", small_store.path, "--run", run]
    reader, writer = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-m", "cxrdiag", "train", "--json", *map(str, arguments)], stderr=writer
    ) as process:
        os.close(writer)
        os.close(reader)  # as a `tee` that heard the same signal
        deadline = time.monotonic() + 120
        while not (run / "resume.safetensors").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143


def test_what_comes_next_is_not_a_split_that_the_store_lacks(
    tmp_path: Path, cxrdiag_command
) -> None:
    rng = np.random.default_rng(0)
    for label, name in (("NORMAL", "IM-{:04}-0001.png"), ("PNEUMONIA", "person{}_virus_1.png")):
        folder = tmp_path / "films" / "train" / label
        folder.mkdir(parents=True)
        for i in range(12):
            noise = Image.fromarray(rng.integers(0, 256, (40, 40), np.uint8))
            noise.save(folder / name.format(i))
    prepare(tmp_path / "films", tmp_path / "store", size=32, audited=False)
    prepared = ("--data", tmp_path / "store", "--recipe", "smoke", "--set", "model.width=8")
    outcome = cxrdiag_command("train", *prepared, "--epochs", "1", "--run", tmp_path / "run")
    assert outcome.code == 0
    assert "--split val" in outcome.out
    assert "few validation films, 1 Normal and 2 Pneumonia" in outcome.err
