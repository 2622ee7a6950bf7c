"""The demo, smaller than it is, as one JSON document; it clears its own folder only."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxrdiag.cli import demo


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, cxrdiag_command) -> None:
    kept = tmp_path / "mine" / "coronahack" / "Chest_xray_Corona_Metadata.csv"
    kept.parent.mkdir(parents=True)
    kept.write_text("somebody's data")
    outcome = cxrdiag_command("demo", "--out", tmp_path / "mine")
    assert outcome.code == 2
    assert "new folder" in outcome.err
    assert kept.read_text() == "somebody's data"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["coronahack"]


@pytest.mark.slow
def test_the_whole_way_as_one_document(tmp_path: Path, monkeypatch, cxrdiag_command) -> None:
    monkeypatch.setattr(demo, "_N_TRAIN", 60)
    monkeypatch.setattr(demo, "_N_TEST", 20)
    small = ["training.epochs=1", "data.resolution=32", "model.width=8"]
    monkeypatch.setattr(demo, "_OVERRIDES", small)
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / ".cxrdiag-demo").touch()  # an earlier demo, and a run made beside it
    outcome = cxrdiag_command("demo", "--out", tmp_path, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    document = outcome.document
    assert list(document) == ["seconds", "figures", "prepare", "train", "eval", "predict"]
    assert document["prepare"]["n"] == 80
    assert document["train"]["model"]["width"] == 8
    assert (document["eval"]["n"], document["eval"]["split"]) == (20, "test")
    assert len(document["predict"]["diagnoses"]) == 4
    assert all(Path(figure).exists() for figure in document["figures"])
    assert (tmp_path / "runs" / "mine").is_dir()
