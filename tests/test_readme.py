"""What the README shows is what the results hold and what the code does."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_results_table_is_made_from_the_committed_results():
    path = ROOT / "benchmarks" / "accuracy.py"
    spec = importlib.util.spec_from_file_location("accuracy", path)
    assert spec is not None
    assert spec.loader is not None
    accuracy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(accuracy)
    document = json.loads((ROOT / "benchmarks" / "results" / "accuracy.json").read_text())
    assert accuracy.with_table(README, document) == README


def test_every_module_stands_in_the_file_tree():
    tree = README.partition("    src/cxrdiag/")[2].partition("    tests/")[0]
    named = set(re.findall(r"([a-z_]+)\.py", tree))
    package = ROOT / "src" / "cxrdiag"
    modules = [path for path in package.rglob("*.py") if "phantom" not in path.parts]
    missing = {path.stem for path in modules} - named - {"__init__", "__main__"}
    assert not missing


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_links_into_the_repository_lead_somewhere(target: str):
    assert (ROOT / target).exists()
