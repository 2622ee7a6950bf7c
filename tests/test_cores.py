"""How many cores a process may use."""

import os
import subprocess
import sys

import pytest

from cxrdiag.cores import n_cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone binds to cores")
def test_those_it_is_bound_to_count() -> None:
    one = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{one}])\n"
    code += "from cxrdiag.cores import n_cores; print(n_cores())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "1\n"


def test_where_nothing_is_known_of_binding_all_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert n_cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert n_cores() == 1
