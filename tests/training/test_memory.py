"""While freed memory is kept there are few page faults, and afterwards it is given back."""

import json
import platform
import subprocess
import sys

import pytest

_SCRIPT = """
import ctypes, json, resource
import torch
from cxrdiag.training.memory import kept_memory

# Pages of 4 kB, however the machine is set up.
PR_SET_THP_DISABLE = 41
ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)

def faults():
    for _ in range(20):  # until the blocks that are free fit
        torch.ones(16, 1024, 1024)  # 64 MB, 16,384 pages
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(16, 1024, 1024)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def megabytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20

before = faults()
with kept_memory():
    during, held = faults(), megabytes()
print(json.dumps([before, during, held - megabytes()]))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's malloc")
def test_memory_is_kept_while_it_is_asked_for() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, check=True)
    before, during, given_back = json.loads(done.stdout)
    assert during < 1000 < before
    assert given_back > 32
