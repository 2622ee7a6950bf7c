"""Which code a result is of, and of which day. Imports little, to be asked before what is timed."""

import datetime
import subprocess
from pathlib import Path


def provenance() -> dict[str, str]:
    """The day, and the code that trained: its commit, with a mark when files differ from it.

    What the benchmarks write themselves does not count.
    """
    results = ("benchmarks/results", "benchmarks/test_ledger.csv", "src/cxrdiag/weights")
    written = [f":(top,exclude){name}" for name in ("README.md", "benchmarks/README.md", *results)]
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ":/", *written)
    commit = git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")
    return {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), "commit": commit}


def git(*arguments: str) -> str:
    """One line of git's output, or "" outside a repository."""
    command = ["git", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parent, check=False
    )
    return done.stdout.strip()
