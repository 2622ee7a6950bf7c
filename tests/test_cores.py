"""How many cores a process may use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cxrdiag.cores import n_cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone binds to cores")
def test_those_it_is_bound_to_count() -> None:
    one = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{one}])\n"
    code += "from cxrdiag.cores import n_cores; print(n_cores())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "1\n"


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", 6),
        ("200000 100000", 2),
        ("250000 100000", 2),
        ("1000 100000", 1),
        ("", 6),
        ("100000 0", 6),
        ("1e5 100000", 6),
    ],
)
def test_a_container_may_be_granted_less(
    tmp_path: Path, quota: str, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    monkeypatch.setattr("cxrdiag.cores._QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(6), raising=False)
    assert n_cores() == cores


def test_where_nothing_is_known_of_it_all_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    monkeypatch.setattr("cxrdiag.cores._QUOTA", tmp_path / "none")
    assert n_cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert n_cores() == 1
