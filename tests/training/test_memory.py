"""While freed memory is kept there are few page faults, and afterwards it is given back."""

import json
import platform
import subprocess
import sys

import pytest

_SCRIPT = """
import ctypes, json, resource
import torch
from cxrdiag.errors import TrainingError
from cxrdiag.training.gradients import Gradients
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

def run_out_of_memory():
    def logits(x):
        raise torch.OutOfMemoryError
    try:
        gradients = Gradients(lambda text: None)
        gradients.compute(torch.nn.Linear(1, 1), logits, None, torch.ones(4), torch.ones(4))
    except TrainingError:
        pass
"""
_ON_GLIBC = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's malloc")


def _run(rest: str) -> list[float]:
    script = [sys.executable, "-c", _SCRIPT + rest]
    done = subprocess.run(script, capture_output=True, check=True)
    numbers: list[float] = json.loads(done.stdout)
    return numbers


@_ON_GLIBC
def test_memory_is_kept_while_it_is_asked_for() -> None:
    before, during, given_back = _run("""
before = faults()
with kept_memory():
    during, held = faults(), megabytes()
print(json.dumps([before, during, held - megabytes()]))
""")
    assert during < 1000 < before
    assert given_back > 32


@_ON_GLIBC
def test_it_is_kept_no_longer_once_memory_ran_out() -> None:
    during, given_back, after = _run("""
with kept_memory():
    during, held = faults(), megabytes()
    run_out_of_memory()
    print(json.dumps([during, held - megabytes(), faults()]))
""")
    assert during < 1000 < after
    assert given_back > 32


@_ON_GLIBC
def test_it_is_not_kept_where_a_process_may_have_so_much_only() -> None:
    (during,) = _run("""
resource.setrlimit(resource.RLIMIT_AS, (2**40, resource.RLIM_INFINITY))
with kept_memory():
    print(json.dumps([faults()]))
""")
    assert during > 1000
