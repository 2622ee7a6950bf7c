"""What a report tells of refusing and warning is what the benchmarks measured."""

import json
from pathlib import Path

from cxrdiag.evaluation.elsewhere import REFUSED, WARNED

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def test_the_shares_of_pictures_refused() -> None:
    found = json.loads((RESULTS / "refusal.json").read_text())
    rows = [found["films_refused"], found["others_refused"]]
    assert [(m.k, m.n) for m in REFUSED] == [(row["k"], row["n"]) for row in rows]
    assert f"of {len(found['kinds'])} other kinds" in REFUSED[1].what


def test_the_shares_of_films_warned_of() -> None:
    found = json.loads((RESULTS / "other_origin.json").read_text())
    frontal, lateral = (found[f"other origin, {view}"] for view in ("frontal", "lateral"))
    names = ("warned of", "refused", "answered without a warning")
    rows = [found["test films"]["warned of"], *(frontal[name] for name in names)]
    rows += [lateral["refused"], lateral["answered without a warning"]]
    assert [(m.k, m.n) for m in WARNED] == [(row["k"], row["n"]) for row in rows]
    for films in (frontal, lateral):
        assert sum(row["k"] for row in films.values()) == films["refused"]["n"]
