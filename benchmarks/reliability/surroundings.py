"""The four commands in odd surroundings: they work, and say nothing that they do not say elsewhere.

    python benchmarks/reliability/surroundings.py [--quick]

prepare, train, eval and predict of phantoms, each in a process of its own, with: no home folder, a
home that cannot be written to, no room for temporary files, no terminal type, 40 columns, NO_COLOR,
the C locale, a closed standard input, a clock that jumps back and forth by a year, and all of these
at once, which is what --quick tries. The weights and the answers must be those of plain
surroundings, standard error empty but for what is told there too. Prints the counts, and exits with
1 where anything was otherwise. In full it writes benchmarks/results/surroundings.json.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "surroundings.json"
sys.path[:0] = [str(ROOT / "benchmarks")]

NOWHERE = "/dev/null/nowhere"
"""A folder that not even root can make."""
WITHOUT_HOME = {"HOME": None, "XDG_CACHE_HOME": None, "XDG_CONFIG_HOME": None}
HOME_NOWHERE = {"HOME": NOWHERE, "XDG_CACHE_HOME": NOWHERE, "XDG_CONFIG_HOME": NOWHERE}
SURROUNDINGS: dict[str, dict[str, str | None]] = {
    "no home": WITHOUT_HOME,
    "a home that cannot be written to": HOME_NOWHERE,
    "no temporary folder": {"TMPDIR": NOWHERE},
    "no terminal type": {"TERM": None},
    "a dumb terminal": {"TERM": "dumb"},
    "40 columns": {"COLUMNS": "40"},
    "NO_COLOR": {"NO_COLOR": "1"},
    "C locale": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "a clock that jumps": {"CLOCK": "jumps"},
    "a closed standard input": {"STDIN": "closed"},
}
together: dict[str, str | None] = {}
for _change in SURROUNDINGS.values():
    together |= _change
SURROUNDINGS["all at once"] = together | HOME_NOWHERE

JUMP = """
import sys, time
if {jumps}:
    plain, calls = time.time, [0]
    def jumping():
        calls[0] += 1
        return plain() + (-1) ** calls[0] * 31_536_000
    time.time = jumping
    plain_ns = time.time_ns
    time.time_ns = lambda: plain_ns() - 31_536_000 * 10**9
from cxrdiag.cli.app import main
main()
"""


def run(desk: Path, raw: Path, change: dict[str, str | None]) -> tuple[dict[str, str], list[str]]:
    """What the four commands made, and what is wrong with what they said."""
    plain = {key: value for key, value in os.environ.items() if key not in change}
    settings = {k: v for k, v in change.items() if v is not None and k not in ("CLOCK", "STDIN")}
    environment = plain | {"OMP_NUM_THREADS": "1"} | settings
    film = min((raw / "Coronahack-Chest-XRay-Dataset").rglob("test/*.jpeg"))
    found, wrong = {}, []
    script = JUMP.format(jumps="CLOCK" in change)
    for command in (
        ["prepare", "--kaggle-dir", raw, "--size", "64"],
        ["train", "--recipe", "smoke", "--set", "data.resolution=32", "--set", "training.epochs=1",
         "--set", "training.precision=fp32", "--device", "cpu"],
        ["eval", "--device", "cpu"],
        ["predict", film, "--heatmap", desk / "maps", "--device", "cpu"],
        ["predict", film, "--json", "--device", "cpu"],
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-W", "default", "-c", script, *map(str, command)],
            cwd=desk, env=environment, capture_output=True, check=False,
            stdin=None if "STDIN" not in change else subprocess.DEVNULL,
            preexec_fn=(lambda: os.close(0)) if "STDIN" in change else None,
        )  # fmt: skip
        if done.returncode != 0:
            wrong.append(f"{command[0]}: code {done.returncode}: {done.stderr.decode()[-300:]}")
            return found, wrong
        told = done.stderr.decode()
        # What differs from one time to the next, and how lines are broken.
        told = re.sub(r"\d+ images/s", "", told)
        found[f"{command[0]} said"] = " ".join(told.split())
        if b"\x1b[" in done.stdout + done.stderr:
            wrong.append(f"{command[0]}: colours, and no terminal")
        if "--json" in command:
            (diagnosis,) = json.loads(done.stdout)["diagnoses"]
            found["answer"] = f"{diagnosis['label']} {diagnosis['probability']}"
    weights = next(desk.glob("runs/*/model.safetensors"))
    found["weights"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    found["store"] = hashlib.sha256((desk / "data/prepared/images.npy").read_bytes()).hexdigest()
    metrics = json.loads(next(desk.glob("runs/*/metrics.json")).read_text(encoding="utf-8"))
    found["auroc"] = str(metrics["auroc"])
    return found, wrong


def main() -> int:
    from cxrdiag.data.phantom.dataset import write_coronahack

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="all at once alone; nothing written")
    quick = parser.parse_args().quick
    outcomes: dict[str, list[str]] = {}
    with TemporaryDirectory() as folder:
        raw = write_coronahack(Path(folder) / "raw", n_train=60, n_test=20, size=64)
        (Path(folder) / "plain").mkdir()
        expected, wrong = run(Path(folder) / "plain", raw, {})
        assert not wrong, wrong
        for name, change in SURROUNDINGS.items():
            if quick and name != "all at once":
                continue
            desk = Path(folder) / name.replace(" ", "-")
            desk.mkdir()
            found, wrong = run(desk, raw, change)
            differing = [
                f"{key}: {found.get(key)!r}, elsewhere {expected[key]!r}"
                for key in expected
                if found.get(key) != expected[key]
            ]
            outcomes[name] = wrong or differing
            print(f"{name}: {'; '.join(outcomes[name]) or 'as elsewhere'}", flush=True)
    print(f"{sum(not wrong for wrong in outcomes.values())} of {len(outcomes)} as elsewhere")
    if not quick:
        from provenance import provenance

        document = {**provenance(), "surroundings": {k: v or "ok" for k, v in outcomes.items()}}
        RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    return int(any(outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
