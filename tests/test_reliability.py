"""The long checks in benchmarks/reliability, in their short form."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted((BENCHMARKS / "reliability").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_nothing_is_otherwise_than_it_should_be(script: Path) -> None:
    command = [sys.executable, "-W", "ignore", str(script), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert any(line.strip()[:1].isdigit() for line in done.stdout.splitlines())  # it counted


def test_the_table_says_what_was_found() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "what_may_go_wrong.py")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout in (BENCHMARKS / "README.md").read_text(encoding="utf-8")
