"""The demo clears its own folder only; that it runs is seen with `make demo`."""

from __future__ import annotations

from pathlib import Path


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, cxrdiag_command) -> None:
    kept = tmp_path / "mine" / "coronahack" / "Chest_xray_Corona_Metadata.csv"
    kept.parent.mkdir(parents=True)
    kept.write_text("somebody's data")
    outcome = cxrdiag_command("demo", "--out", tmp_path / "mine")
    assert outcome.code == 2
    assert "new folder" in outcome.err
    assert kept.read_text() == "somebody's data"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["coronahack"]
