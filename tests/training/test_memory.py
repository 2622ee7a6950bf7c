"""A process that keeps what it has freed has few page faults; one that does not has many."""

import subprocess
import sys

import pytest

_FAULTS = """
import resource, sys
from cxrdiag.training.memory import keep_freed_memory
import torch
if sys.argv[1] == "keep":
    keep_freed_memory()
make = lambda: torch.ones(16, 1024, 1024)  # 64 MB, 16,384 pages
for _ in range(20):  # until the blocks that are free fit
    make()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    make()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for its page faults")
def test_memory_is_kept() -> None:
    faults = {}
    for what in ("keep", "give back"):
        done = subprocess.run(
            [sys.executable, "-c", _FAULTS, what], capture_output=True, text=True, check=True
        )
        faults[what] = int(done.stdout)
    assert faults["keep"] < 1000 < faults["give back"]
