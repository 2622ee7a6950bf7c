"""Runs are found by what is in them, and named so that none is overwritten."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cxrdiag.errors import ModelError
from cxrdiag.runs import (
    discard,
    find_model,
    is_finished,
    is_interrupted,
    model_name,
    new_run,
    newest_interrupted_run,
    newest_run,
    trained_runs,
    way_to_a_model,
)


def _put(run: Path, *names: str, time: int) -> Path:
    run.mkdir(parents=True, exist_ok=True)
    for name in names:
        (run / name).touch()
        os.utime(run / name, (time, time))
    return run


def test_the_newest_run_is_the_one_whose_model_is_newest(tmp_path: Path) -> None:
    _put(tmp_path / "c", "model.json", time=100)
    newest = _put(tmp_path / "a", "model.json", time=300)
    _put(tmp_path / "b", "model.json", time=200)
    _put(tmp_path / "d", "resume.safetensors", "config.yaml", time=900)
    os.utime(newest, (1, 1))  # the folder's own time says nothing
    assert newest_run(tmp_path) == newest


def test_the_newest_interrupted_run_is_the_one_saved_last(tmp_path: Path) -> None:
    _put(tmp_path / "a", "model.json", time=900)
    newest = _put(tmp_path / "b", "resume.safetensors", time=300)
    _put(tmp_path / "c", "resume.safetensors", time=200)
    assert newest_interrupted_run(tmp_path) == newest


@pytest.mark.parametrize("find", [newest_run, newest_interrupted_run])
def test_no_run_is_a_model_error_with_a_way_out(find, tmp_path: Path) -> None:
    _put(tmp_path / "runs" / "empty", "config.yaml", time=1)
    (tmp_path / "runs" / "model.json").touch()  # not in a run
    for runs in (tmp_path / "runs", tmp_path / "absent"):
        with pytest.raises(ModelError) as e:
            find(runs)
        assert (e.value.code, e.value.exit_code, e.value.path) == ("no_run", 4, runs)
        assert e.value.hint


def test_what_was_named_and_is_no_model_has_a_way_to_one(tmp_path: Path) -> None:
    graph = _put(tmp_path, "model.onnx", time=1) / "model.onnx"
    half = _put(tmp_path / "half a run", "resume.safetensors", time=1)
    assert "name the folder of a run" in way_to_a_model(graph)
    assert way_to_a_model(half).endswith(f"cxrdiag train --resume --run '{half}', and its --data")
    assert way_to_a_model(tmp_path / "absent").endswith("cxrdiag train")


def test_the_default_is_the_folder_runs_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _put(tmp_path / "runs" / "smoke-1", "model.json", time=1)
    assert newest_run() == Path("runs/smoke-1")
    assert new_run("smoke") == Path("runs/smoke-2")


def test_the_new_run_is_the_first_free_number_of_that_name(tmp_path: Path) -> None:
    assert new_run("default", tmp_path) == tmp_path / "default-1"
    for name in ("default-3", "other-2"):
        (tmp_path / name).mkdir()
    assert new_run("default", tmp_path) == tmp_path / "default-2"
    (tmp_path / "default-4").touch()  # a file is in the way, too
    assert new_run("default", tmp_path) == tmp_path / "default-5"
    assert (tmp_path / "default-5").is_dir()


@pytest.mark.parametrize(
    ("names", "finished", "interrupted"),
    [
        ([], False, False),
        (["config.yaml"], False, False),
        (["resume.safetensors"], False, True),
        (["model.json"], True, False),
        (["model.json", "resume.safetensors"], False, True),
    ],
)
def test_finished_and_interrupted(
    tmp_path: Path, names: list[str], finished: bool, interrupted: bool
) -> None:
    run = _put(tmp_path / "run", *names, time=1)
    assert (is_finished(run), is_interrupted(run)) == (finished, interrupted)


def test_a_run_without_an_epoch_is_discarded_and_nothing_else(tmp_path: Path) -> None:
    run = _put(tmp_path / "run", "config.yaml", "environment.json", time=1)
    discard(run)
    assert not run.exists()
    discard(run)  # gone already
    mine = _put(tmp_path / "mine", "config.yaml", "notes.txt", time=1)
    discard(mine)
    assert [path.name for path in mine.iterdir()] == ["notes.txt"]


def test_a_model_is_the_named_one_then_the_newest_run_then_the_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxrdiag.runs.SHIPPED_FOLDER", tmp_path / "weights")
    with pytest.raises(ModelError) as e:  # a build without one
        find_model(None, tmp_path / "runs")
    assert (e.value.code, e.value.path) == ("no_run", tmp_path / "runs")
    weights = _put(tmp_path / "weights", "model.json", time=1)
    tmp_path = tmp_path / "runs"
    assert find_model(None, tmp_path) == weights
    (tmp_path.parent / "link").symlink_to(weights)
    assert find_model(tmp_path.parent / "link", tmp_path) == weights
    newest = _put(tmp_path / "a", "model.json", time=300)
    _put(tmp_path / "b", "model.json", time=200)
    assert find_model(None, tmp_path) == newest
    assert find_model(tmp_path / "b", tmp_path) == tmp_path / "b"
    assert find_model("runs/absent", tmp_path) == Path("runs/absent")  # who loads it complains
    assert find_model("shipped", tmp_path) == find_model(Path("shipped"), tmp_path) == weights
    assert (model_name(weights), model_name(newest)) == ("shipped", str(newest))


def test_trained_runs_are_listed_the_newest_last(tmp_path: Path) -> None:
    runs = [
        _put(tmp_path / name, "model.json", time=t) for name, t in (("b", 1), ("c", 3), ("a", 2))
    ]
    _put(tmp_path / "unfinished", "resume.safetensors", time=9)
    assert trained_runs(tmp_path) == [runs[0], runs[2], runs[1]]
    assert trained_runs(tmp_path / "absent") == []


def test_a_link_to_nowhere_is_an_error_and_no_endless_search(tmp_path: Path) -> None:
    (tmp_path / "runs").symlink_to(tmp_path / "unmounted" / "runs")
    with pytest.raises(FileExistsError):
        new_run("default", tmp_path / "runs")


def test_a_run_that_was_named_without_its_folder_is_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _put(tmp_path / "runs" / "nat", "model.json", time=1)
    assert way_to_a_model(Path("nat")) == "do you mean --run runs/nat?"
    assert way_to_a_model(Path("runs/natt")) == "do you mean --run runs/nat?"
    assert way_to_a_model(Path("shiped")) == "do you mean --run shipped?"
    assert way_to_a_model(Path("other")) == "train one first: cxrdiag train"
