"""The long checks in benchmarks/reliability, in their short form."""

import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "benchmarks" / "reliability"


def test_two_thousand_damaged_images_are_read_or_refused() -> None:
    script = str(SCRIPTS / "mutated_images.py")
    command = [sys.executable, "-W", "ignore", script, "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2000 files in" in done.stdout
