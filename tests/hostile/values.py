"""Metadata that is sound CSV and says what cannot be: labels, splits, names, duplicates."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from unicodedata import normalize

from tests.hostile.place import (
    CAUSE,
    FIRST,
    KIND,
    LABEL,
    LAST,
    NAME,
    SPLIT,
    Case,
    N,
    Place,
    noise,
)

LABELS = {
    "lower case": "normal", "upper case": "NORMAL", "misspelt": "Neumonia", "nothing": "",
    "another disease": "Tuberculosis", "a number": "0", "both": "Normal/Pneumonia",
    "a formula": "=cmd()", "lookalike letters": "N\u043ermal", "zero-width space": "Nor\u200bmal",
    "right-to-left": "\u202elamroN", "terminal sequence": "Normal\x1b[2J", "header's name": LABEL,
    "accents": "Pneumonía", "emoji": "🫁", "null": "NULL", "nan": "nan",
}  # fmt: skip
SPLITS = {
    "lower case": "train", "val": "VAL", "nothing": "", "both": "TRAIN/TEST",
    "lookalike letters": "\u0422EST", "terminal sequence": "TEST\x1b]0;owned\x07",
}  # fmt: skip
PATHS = {
    "up and out": "../outside/secret.jpeg", "far up": "../" * 40 + "etc/passwd",
    "absolute": "/etc/passwd", "back-slashes": r"..\outside\secret.jpeg",
    "drive": r"C:\secret.jpeg", "network share": r"\\host\share\secret.jpeg",
    "address": "file:///etc/passwd", "in a folder": "train/x.jpeg",
}  # fmt: skip
NO_NAMES = {
    "nothing": "", "one dot": ".", "two dots": "..", "many dots": ".....",
    "terminal sequence": "\x1b[2J\x1b]0;owned\x07.jpeg", "bell": "a\x07.jpeg", "tab": "a\tb.jpeg",
    "right-to-left": "gepj.\u202escan", "zero-width space": "a\u200bb.jpeg",
    "byte order mark": "a\ufeffb.jpeg", "line separator": "a\u2028b.jpeg",
    "256 letters": "a" * 251 + ".jpeg", "128 umlauts": "ü" * 128,
}  # fmt: skip
FINE_NAMES = {
    "formula": "=cmd().jpeg", "option": "-rf.jpeg", "shell": "$(id);`id`&.jpeg",
    "percent": "%s%n{0}.jpeg", "markup": "[bold red]x:lung:.jpeg", "mathematics": "$x$.jpeg",
    "reserved by Windows": "CON.jpeg", "reserved, too": "nul.JPEG", "wildcards": "*?.jpeg",
    "apostrophe": "o'b.jpeg", "colon": "a:b.jpeg", "emoji": "🫁.jpeg", "Chinese": "胸片.jpeg",
    "Arabic": "صورة.jpeg", "255 letters": "a" * 250 + ".jpeg", "spaces": "a  b .jpeg",
    "two suffixes": "a.csv.jpeg", "HTML": "<script>alert(1)<script>.jpeg",
}  # fmt: skip


def labels() -> Iterator[Case]:
    def bad(what: str, line: int, column: str, value: str, says: str, code: str = "") -> Case:
        return Case(
            name=f"{what} as {column}", make=lambda p: p.put(line, column, value),
            code=code or "unknown_value", row=line, column=column, says=says,
        )  # fmt: skip

    for what, value in LABELS.items():
        yield bad(what, 33, LABEL, value, f"{value!a} is not one of Normal, Pnemonia,")
    for what, value in SPLITS.items():
        yield bad(what, LAST, SPLIT, value, f"{value!a} is not one of TRAIN, TEST")
    pneumonia = 33
    for what, value in (
        ("a formula", "=cmd()"),
        ("a terminal sequence", "\x1b[31mvirus"),
        ("lookalike letters", "COVID\u201119"),
        ("a long text", "a" * 41),
    ):
        yield bad(what, pneumonia, CAUSE, value, f"{value!a} is no cause")
        yield bad(what, pneumonia, KIND, value, f"{value!a} is no cause")
    yield bad("a virus of a normal film", FIRST, KIND, "Virus", "'Virus'", "conflicting_labels")
    yield bad("a cause of a normal film", FIRST, CAUSE, "SARS", "'SARS'", "conflicting_labels")
    yield Case(
        name="a new cause", make=lambda p: p.put(pneumonia, CAUSE, "MERS (2012)"),
        says="Pneumonia MERS (2012)",
    )  # fmt: skip
    yield Case(
        name="the other spelling of pneumonia",
        make=lambda p: p.text(lambda text: text.replace("Pnemonia", "Pneumonia")),
    )


def names() -> Iterator[Case]:
    def bad(what: str, value: str, says: str) -> Case:
        return Case(
            name=f"name: {what}", make=lambda p: p.put(11, NAME, value), code="bad_name", row=11,
            column=NAME, says=says,
        )  # fmt: skip

    for what, value in PATHS.items():
        yield bad(what, value, "is a path: names alone are looked for")
    yield Case(
        name="name: absolute, of the folder beside",
        make=lambda p: p.put(11, NAME, str(p.secret)), code="bad_name", row=11, column=NAME,
        says="is a path",
    )  # fmt: skip
    for what, value in NO_NAMES.items():
        yield bad(what, value, ascii(value[:70])[:-1])
    for what, value in FINE_NAMES.items():
        yield Case(name=f"name: {what}", make=partial(Place.rename, line=11, stored=value))
    yield Case(
        name="name: comma and quotation marks",
        make=lambda p: p.rename(11, 'a "b", c.jpeg', '"a ""b"", c.jpeg"'),
    )
    yield Case(name="name: hidden file", make=lambda p: p.rename(11, ".a.jpeg"), n=N - 1, missing=1)
    yield Case(
        name="name: no image's suffix", make=lambda p: p.rename(11, "a.txt"), n=N - 1, missing=1
    )
    yield Case(
        name="name: other case", make=lambda p: p.rename(11, "a.jpeg", "A.JPEG"), n=N - 1, missing=1
    )

    def collide(place: Place) -> None:
        place.rename(11, "scan.jpeg")
        place.rename(12, "SCAN.jpeg")

    yield Case(name="names that differ in case alone", make=collide)

    composed, decomposed = (normalize(form, "müller é.jpeg") for form in ("NFC", "NFD"))
    yield Case(
        name="listed composed, stored decomposed",
        make=lambda p: p.rename(11, decomposed, composed),
    )
    yield Case(
        name="listed decomposed, stored composed",
        make=lambda p: p.rename(11, composed, decomposed),
    )

    def both(place: Place) -> None:
        place.rename(11, composed)
        place.rename(12, decomposed)

    def both_listed(place: Place) -> None:
        place.rename(11, composed)
        place.put(12, NAME, decomposed)

    def both_stored(place: Place) -> None:
        third = normalize("NFC", "müller") + normalize("NFD", " é.jpeg")
        place.rename(11, composed, third)
        (place.train / decomposed).write_bytes(noise(11))

    yield Case(name="both forms stored and listed", make=both)
    yield Case(
        name="both forms listed, one stored", make=both_listed, code="duplicate_row", row=12,
        column=NAME, says="first in row 11",
    )  # fmt: skip
    yield Case(
        name="both forms stored, a third listed", make=both_stored, code="ambiguous_name", row=11,
        column=NAME, says="two different files",
    )  # fmt: skip


def duplicates() -> Iterator[Case]:
    def again(place: Place, column: str = "", value: str = "") -> None:
        place.rows(lambda rows: [*rows, rows[FIRST - 1]])
        if column:
            place.put(LAST + 1, column, value)

    def bad(what: str, says: str, **changed: str) -> Case:
        return Case(
            name=f"row twice, {what}", make=lambda p: again(p, **changed), code="duplicate_row",
            row=LAST + 1, column=NAME, says=says,
        )  # fmt: skip

    yield bad("the same", f"listed twice, first in row {FIRST}")
    yield bad(
        "with another label", f"in row {FIRST} as Normal, TRAIN, here as Pnemonia, TRAIN",
        column=LABEL, value="Pnemonia",
    )  # fmt: skip
    yield bad(
        "with another split", f"in row {FIRST} as Normal, TRAIN, here as Normal, TEST",
        column=SPLIT, value="TEST",
    )  # fmt: skip
    yield bad("with another number", "listed twice", column="", value="900")
    yield Case(
        name="all rows twice", make=lambda p: p.rows(lambda rows: [*rows, *rows[1:]]),
        code="duplicate_row", row=LAST + 1, column=NAME, says=f"first in row {FIRST}",
    )  # fmt: skip
