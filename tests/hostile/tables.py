"""Metadata that is no sound CSV: encodings, columns, quotation marks, sizes."""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Callable, Iterator
from functools import partial

from tests.hostile.place import (
    COLUMNS,
    FIRST,
    KIND,
    LABEL,
    LAST,
    NAME,
    SPLIT,
    Case,
    Make,
    Place,
    noise,
)

LOGIN = "<!DOCTYPE html>\n<html><body>Please sign in</body></html>\n"
WANTS = "there is no such column"


def encodings() -> Iterator[Case]:
    def written_in(encoding: str, mark: bytes = b"") -> Make:
        return lambda place: place.bytes(lambda data: mark + data.decode().encode(encoding))

    def bad(name: str, make: Make, row: int = 1, column: str = "1", says: str = "UTF") -> Case:
        return Case(name=name, make=make, code="bad_metadata", row=row, column=column, says=says)

    def ended(by: str) -> Make:
        return lambda place: place.text(lambda text: text.replace("\n", by))

    def good(name: str, make: Make) -> Case:
        return Case(name=name, make=make)

    def bytes_in(line: int, column: str, value: bytes) -> Make:
        def make(place: Place) -> None:
            place.put(line, column, "HERE")
            place.bytes(lambda data: data.replace(b"HERE", value))

        return make

    yield good("byte order mark", lambda place: place.bytes(lambda data: codecs.BOM_UTF8 + data))
    yield bad("UTF-16, little-endian", written_in("utf-16-le", codecs.BOM_UTF16_LE))
    yield bad("UTF-16, big-endian", written_in("utf-16-be", codecs.BOM_UTF16_BE))
    yield bad("UTF-16 without mark", written_in("utf-16-le"), column="2", says="NUL")
    yield bad("UTF-32", written_in("utf-32"))
    yield bad("EBCDIC", written_in("cp500"))
    yield bad("latin-1 in a name", bytes_in(9, NAME, b"m\xfcller.jpeg"), 9, NAME)
    yield bad("latin-1 in a label", bytes_in(9, LABEL, b"Pn\xe9umonie"), 9, LABEL)
    yield bad("latin-1 in a column that is not used", bytes_in(9, "", b"\xe9"), 9)
    yield bad("latin-1 in the header", lambda p: p.bytes(lambda b: b"\xe9" + b))
    yield bad("half a character of UTF-8", bytes_in(LAST, KIND, b"\xc3"), LAST, KIND)
    yield bad("half a surrogate pair", bytes_in(9, NAME, b"\xed\xa0\x80.jpeg"), 9, NAME)
    yield bad("NUL in a name", bytes_in(30, NAME, b"a\0b.jpeg"), 30, NAME, "NUL")
    yield bad("NUL in a label", bytes_in(30, LABEL, b"Normal\0"), 30, LABEL, "NUL")
    yield bad(
        "NULs at the end, as after a crash",
        lambda place: place.bytes(lambda data: data + bytes(4096)),
        LAST + 1,
        says="NUL",
    )
    yield good("Windows line ends", ended("\r\n"))
    yield good("line ends of CR alone", ended("\r"))
    yield good("blank lines", ended("\n\n"))
    yield good("no line end at the end", lambda p: p.text(str.rstrip))
    yield good(
        "line ends of all kinds",
        lambda p: p.text(lambda text: text.replace("\n", "\r\n", 20).replace("\r\n", "\r", 10)),
    )
    yield bad("a PNG", lambda p: p.table.write_bytes(noise(2)), says="UTF-8")
    yield bad("gzip", lambda p: p.bytes(gzip.compress), says="UTF-8")
    yield bad("a web page", lambda p: p.table.write_text(LOGIN), column=NAME, says=WANTS)
    yield bad("a document of JSON", lambda p: p.table.write_text("[]"), column=NAME, says=WANTS)
    for name, data in (("no bytes", b""), ("a mark alone", codecs.BOM_UTF8), ("newlines", b"\n\n")):
        yield Case(
            name=f"metadata of {name}",
            make=partial(written, data=data),
            code="bad_metadata",
            says="empty",
        )


def written(place: Place, data: bytes) -> None:
    place.table.write_bytes(data)


def replaced(old: str, new: str, text: str) -> str:
    return text.replace(old, new)


def columns() -> Iterator[Case]:
    def bad(name: str, change: Callable[[str], str], column: str, says: str, row: int = 1) -> Case:
        return Case(
            name=name, make=lambda place: place.text(change), code="bad_metadata", row=row,
            column=column, says=says,
        )  # fmt: skip

    for mark, what in (("\t", "tabs"), (";", "semicolons"), ("|", "bars")):
        says = f"separated by {mark!r}"
        yield bad(what, partial(replaced, ",", mark), NAME, says)
    for column in COLUMNS[1:]:
        yield bad(f"no column {column}", partial(replaced, column, "other"), column, WANTS)
    yield bad("column in lower case", lambda text: text.replace(LABEL, "label", 1), LABEL, WANTS)
    yield bad("no header", lambda text: text.split("\n", 1)[1], NAME, WANTS)
    yield bad("a line above the header", lambda text: "exported today\n" + text, NAME, WANTS)
    yield bad(
        "two columns of one name", lambda text: f"{LABEL}{text}", LABEL, "two columns of this name"
    )
    yield bad(
        "a comma too many",
        lambda text: text.replace("Pnemonia,TRAIN,,Virus", "Pnemonia,TRAIN,,a cause, Virus", 1),
        str(len(COLUMNS) + 1), f"{len(COLUMNS) + 1} cells", row=0,
    )  # fmt: skip
    yield Case(
        name="header twice", make=lambda p: p.rows(lambda rows: [rows[0], *rows]),
        code="unknown_value", row=2, column=LABEL, says="'Label' is not one of",
    )  # fmt: skip
    yield Case(name="header alone", make=lambda p: p.rows(lambda rows: rows[:1]), code="no_images")
    yield Case(
        name="columns in another order",
        make=lambda p: p.rows(lambda rows: [row[::-1] for row in rows]),
    )
    yield Case(
        name="spaces around column names and values",
        make=lambda p: p.rows(lambda rows: [[f"  {cell} " for cell in row] for row in rows]),
    )
    yield Case(
        name="spaces that do not break around values",
        make=lambda p: p.rows(
            lambda rows: [rows[0], *([f"\xa0{cell}\u3000" for cell in row] for row in rows[1:])]
        ),
    )
    yield Case(
        name="columns without a name and of one name that are not used",
        make=lambda p: p.rows(
            lambda rows: [[*rows[0], "", "", "x", "x"], *([*r, *"abcd"] for r in rows[1:])]
        ),
    )
    yield Case(
        name="rows without their last, empty cells, as a spreadsheet leaves them",
        make=lambda p: p.text(
            lambda text: "\n".join(line.rstrip(",") for line in text.splitlines())
        ),
    )
    yield Case(
        name="rows with empty cells too many, and rows of nothing else",
        make=lambda p: p.text(lambda text: text.replace("\n", ",,\n") + ",,,,,,\n, ,\n"),
    )
    yield Case(
        name="row that ends before its split",
        make=lambda p: p.rows(lambda rows: [*rows[:20], rows[20][:3], *rows[21:]]),
        code="unknown_value", row=21, column=SPLIT, says="''",
    )  # fmt: skip
    yield Case(
        name="file that ends within a label",
        make=lambda p: p.text(lambda text: text[: text.rindex(",TEST") - 2]),
        code="unknown_value", row=LAST, column=LABEL, says="'Pnemon'",
    )  # fmt: skip


def quotation() -> Iterator[Case]:
    def bad(name: str, line: int, column: str, value: str) -> Case:
        return Case(
            name=name, make=lambda p: p.put(line, column, value), code="bad_metadata", row=line,
            column=column or "1", says="quotation mark",
        )  # fmt: skip

    yield bad("quotation mark that is never closed", 40, NAME, '"a.jpeg')
    yield bad("quotation mark that is never closed, in the last row", LAST, LABEL, '"Normal')
    yield bad("quotation mark that is never closed, in a column not used", 40, "", '"1')
    yield bad("quotation mark that is closed too early", 40, LABEL, '"Nor"mal')

    def two(place: Place) -> None:
        place.put(10, NAME, '"a.jpeg')
        place.put(20, NAME, '"b.jpeg')

    yield Case(
        name="two stray quotation marks with rows between them", make=two, code="bad_metadata",
        row=10, column=NAME, says="quotation mark",
    )  # fmt: skip
    yield Case(
        name="all cells in quotation marks",
        make=lambda p: p.rows(lambda rows: [[f'"{cell}"' for cell in row] for row in rows]),
    )
    yield Case(
        name="line end within a name", make=lambda p: p.put(10, NAME, '"a\nb.jpeg"'),
        code="bad_name", row=10, column=NAME, says=r"'a\nb.jpeg'",
    )  # fmt: skip
    yield Case(
        name="line end within a label", make=lambda p: p.put(10, LABEL, '"Nor\nmal"'),
        code="unknown_value", row=10, column=LABEL, says=r"'Nor\nmal'",
    )  # fmt: skip
    yield Case(
        name="line ends within cells that are not used",
        make=lambda p: p.rows(lambda rows: [['"a\nb\r\n"', *row[1:]] for row in rows]),
    )

    def below(place: Place) -> None:
        place.put(20, LABEL, "Healthy")
        place.put(10, "", '"three\nlines\n"')

    yield Case(
        name="unknown label below a cell of three lines", make=below, code="unknown_value",
        row=22, column=LABEL, says="'Healthy'",
    )  # fmt: skip


def sizes() -> Iterator[Case]:
    huge = "x" * 10_000_000

    def bad(name: str, make: Make, row: int, column: str, says: str) -> Case:
        return Case(name=name, make=make, code="bad_metadata", row=row, column=column, says=says)

    long = "longer than 100,000 characters"
    yield bad("10 MB name", lambda p: p.put(10, NAME, huge), 10, NAME, long)
    yield bad("10 MB label in the last row", lambda p: p.put(LAST, LABEL, huge), LAST, LABEL, long)
    yield bad("10 MB cell that is not used", lambda p: p.put(10, "", huge), 10, "1", long)
    yield bad(
        "10 MB cell of many lines", lambda p: p.put(10, LABEL, f'"{"x" * 999}\n' * 10_000), 10,
        LABEL, "quotation mark",
    )  # fmt: skip

    def sparse(place: Place) -> None:
        with place.table.open("r+b") as file:
            file.truncate(2**40)  # of which the disk holds nothing

    yield Case(
        name="1 TB of metadata", make=sparse, code="bad_metadata", says="more than 256 MiB",
        heavy=True,
    )  # fmt: skip
    yield bad("10 MB header", lambda p: p.put(1, "", huge), 1, "1", long)
    yield bad(
        "100,000 columns with names",
        lambda p: p.rows(lambda rows: [[*rows[0], *(f"c{i}" for i in range(100_000))], *rows[1:]]),
        1, "15868", long,
    )  # fmt: skip
    yield Case(
        name="90,000 columns without a name",
        make=lambda p: p.text(lambda text: text.replace("\n", "," * 90_000 + "\n", FIRST)),
    )

    def many(place: Place, n: int) -> None:
        rows = "".join(f"{i},x{i}.jpeg,Normal,TRAIN,,\n" for i in range(n))
        place.text(lambda text: text + rows)

    for n, heavy in ((20_000, False), (1_000_000, True)):
        yield Case(
            name=f"{n:,} rows of images that are not there",
            make=partial(many, n=n),
            code="incomplete_data_set", says=f"{n} images are missing", heavy=heavy,
        )  # fmt: skip
