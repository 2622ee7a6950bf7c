"""What refusing and warning gave on pictures that no training saw: from `benchmarks/results`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """How many of a kind of picture it happened to."""

    what: str
    k: int
    n: int


FRONTAL_UNREMARKED = Measured("the same, answered without a warning", 22, 65)
LATERAL_REFUSED = Measured("lateral films of that origin, refused", 3, 4)
REFUSED = (
    Measured("test films refused", 2, 624),
    Measured("pictures of 14 other kinds refused", 1627, 1627),
)
"""The shipped model, by `benchmarks/refusal.py`."""
WARNED = (
    Measured("test films warned of", 8, 624),
    Measured("frontal films of another origin, most of adults, warned of", 40, 65),
    Measured("the same, refused", 3, 65),
    FRONTAL_UNREMARKED,
    LATERAL_REFUSED,
    Measured("the same, answered without a warning", 1, 4),
)
"""Recipe `default` of commit 5a9ae3f, trained without these 69, by `benchmarks/other_origin.py`.
Of the four lateral files two are of one film."""
