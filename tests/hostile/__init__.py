"""Data sets that are not as published, and what `prepare` is to make of each: made, never stored.

A case is a name, what makes the hostile data set of a sound one, and the outcome: an error's code
with the row, the column and the words that it names, or a store with so many images.
"""

from __future__ import annotations

from tests.hostile.files import contents, no_files
from tests.hostile.folders import class_folders
from tests.hostile.links import links
from tests.hostile.outputs import disks, outputs
from tests.hostile.place import Case
from tests.hostile.splits import splits
from tests.hostile.tables import columns, encodings, quotation, sizes
from tests.hostile.values import duplicates, labels, names


def hostile() -> list[Case]:
    """All of them, in a fixed order."""
    cases = [
        *encodings(),
        *columns(),
        *quotation(),
        *sizes(),
        *labels(),
        *names(),
        *duplicates(),
        *no_files(),
        *links(),
        *contents(),
        *splits(),
        *class_folders(),
        *outputs(),
        *disks(),
    ]
    assert len({case.name for case in cases}) == len(cases)
    return cases
