"""The table of what the scripts in reliability/ found when they last ran in full, as Markdown.

    python benchmarks/what_may_go_wrong.py

It stands in benchmarks/README.md; a test holds it to the results.
"""

import json
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def table() -> str:
    images, cost, folder, sets, weights, crashes, places = (
        json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        for name in (
            "mutated_images", "image_cost", "folder", "hostile_data_sets", "mutated_weights",
            "crashes", "surroundings",
        )
    )  # fmt: skip
    kills, faults, full, nan, signals = (
        crashes[name] for name in ("kills", "faults", "disk full", "non-finite", "signals")
    )
    there = places["surroundings"]
    refused = sum(folder["reasons"].values())
    used = sum(kind.get("used", 0) for kind in weights["outcomes"].values())
    most = round(weights["most_mib_beyond_twice_the_file"])
    rows = [
        ("made files, each read or refused as it should be, sound ones as large as may be too",
         f"{cost['n']}: at most {cost['slowest_s']:.1f} s and {cost['most_mib']} MiB",
         "image_cost"),
        ("damaged image files: read or refused, no crash",
         f"{images['n']:,}: at most {images['slowest_s']:.1f} s and {images['most_mib']} MiB",
         "mutated_images"),
        (f"a folder of {folder['answers'] + refused:,} files, {refused} of them bad",
         f"{folder['answers']} answers, {refused} reasons, exit code {folder['exit_code']}",
         "folder"),
        ("hostile data sets: one error and no trace, or the store that is documented; nothing read "
         "outside",
         f"{sets['n'] - sets['off']} of {sets['n']}", "hostile_data_sets"),
        ("weights from strangers: used, or refused in one line; nothing is run",
         f"{weights['n']:,}: {used:,} used, {weights['canaries']} run, at most {most} MiB beyond "
         "twice the file", "mutated_weights"),
        ("SIGKILLs of a training: what is saved loads, it ends with the same weights",
         f"{kills['killed, sound']} of {_n(kills, 'killed')}", "crashes"),
        ("the process ends, or the disk fails, at each operation on files of a training and of a "
         "preparation",
         f"{_n(faults) - _bad(faults)} of {_n(faults)} sound", "crashes"),
        ("no room on the disk from an offset on: the earlier state stands",
         f"{_n(full) - _bad(full)} of {_n(full)}", "crashes"),
        ("a loss that is not finite: stopped before the update, the images named",
         f"{_n(nan) - _bad(nan)} of {_n(nan)}", "crashes"),
        ("SIGTERM and Ctrl-C: saved, one line, exit code 143 or 130",
         f"{_n(signals) - _bad(signals)} of {_n(signals)}", "crashes"),
        ("no home, no room for temporary files, no terminal, 40 columns, the C locale, a clock "
         "that jumps, ...: the same weights and answers",
         f"{sum(v == 'ok' for v in there.values())} of {len(there)}", "surroundings"),
    ]  # fmt: skip
    lines = ["| what | what came of it | script |", "|---|---|---|"]
    lines += [f"| {what} | {found} | `{script}.py` |" for what, found, script in rows]
    return "\n".join(lines)


def _n(outcomes: dict[str, int], only: str = "") -> int:
    return sum(n for outcome, n in outcomes.items() if outcome.startswith((only, "BAD")))


def _bad(outcomes: dict[str, int]) -> int:
    return sum(n for outcome, n in outcomes.items() if outcome.startswith("BAD"))


if __name__ == "__main__":
    print(table())
