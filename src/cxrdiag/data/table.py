"""A CSV file, read strictly: each row as text, or one error that names its row and column."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path

from cxrdiag.errors import DataError

MAX_LINE = 100_000
"""Characters; a row of metadata has a hundred. Python's csv refuses a cell of 131,072."""
MAX_BYTES = 256 * 2**20
"""Of a file: a million rows have 50 MiB."""
MAX_NAME = 255
"""Bytes of a file's name, on nearly every file system."""
_HINT = "take the CSV as published, or export it as CSV in UTF-8, with commas"


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of the columns that were asked for, and where they stand."""

    file: Path
    line: int
    """In which the row begins, counted from 1, as editors do."""
    cells: dict[str, str]
    """By column, without spaces around them; "" where the row is too short."""

    def error(self, column: str, message: str, *, hint: str, code: str) -> DataError:
        """What is wrong with one of the cells."""
        return DataError(message, path=_where(self.file, self.line, column), hint=hint, code=code)

    def one_of(self, table: dict[str, str], column: str) -> str:
        """What `table` has for a cell. Raises DataError (`unknown_value`) where it has nothing."""
        value = self.cells[column]
        if value in table:
            return table[value]
        raise self.error(
            column,
            f"{quoted(value)} is not one of {', '.join(table)}",
            hint="unknown values are never guessed: correct or remove the row",
            code="unknown_value",
        )

    def file_name(self, column: str) -> str:
        """A cell that is the name of a file. Raises DataError (`bad_name`) where it is none."""
        name = self.cells[column]
        if "/" in name or "\\" in name:
            why = "is a path: names alone are looked for in the data set's folder"
        elif not name.isprintable():
            why = "is not printable text"
        elif len(os.fsencode(name)) > MAX_NAME:
            why = "is longer than a file's name may be"
        elif not name.strip("."):
            why = "is no name of a file"
        else:
            return name
        message = f"{quoted(name)} {why}"
        raise self.error(column, message, hint="correct or remove the row", code="bad_name")


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Yield the rows below the header, of which `columns` are kept.

    The text is UTF-8, with or without a byte order mark, its lines ended in any way. Columns may
    stand in any order and others beside them; cells that are missing at the end of a row are empty,
    and rows of nothing else are left out. Raises DataError (`bad_metadata`) for everything else:
    nothing is guessed of a file that may be damaged.
    """
    records = _records(path)
    line, header = next(records, (0, []))
    if not header:
        raise DataError("the file is empty", path=path, hint=_HINT, code="bad_metadata")
    places = {name: _place(name, header, path, line) for name in columns}
    for line, record in records:
        surplus = len(record) - len(header)
        if surplus > 0 and any(map(str.strip, record[len(header) :])):
            message = f"{len(record)} cells in a table of {len(header)} columns"
            hint = "put quotation marks around a cell that holds a comma"
            raise _bad(message, path, line, str(len(header) + 1), hint)
        record += [""] * -surplus
        if any(map(str.strip, record)):
            yield Row(path, line, {name: record[at].strip() for name, at in places.items()})


def quoted(text: str) -> str:
    r"""Text of a file as an error shows it: in ASCII, so that lookalikes differ, and not at length.

    >>> print(quoted("N\u043ermal"), quoted("\x1b[2J"))
    'N\u043ermal' '\x1b[2J'
    """
    return ascii(text if len(text) <= 80 else text[:77] + "...")


def _place(name: str, header: Sequence[str], path: Path, line: int) -> int:
    names = [cell.strip() for cell in header]
    if names.count(name) == 1:
        return names.index(name)
    separator = next((mark for mark in ";\t|" if mark in header[0]), "")
    if names.count(name) > 1:
        message = "there are two columns of this name"
    elif len(header) == 1 and separator:
        message = f"no such column: the cells are separated by {separator!r}, not by commas"
    else:
        message = "there is no such column"
    raise _bad(message, path, line, name)


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each record, the header first, and the line it begins in; blank lines are left out."""
    header: list[str] = []
    lines: list[str] = []  # of the record that is being read

    def bad(message: str) -> DataError:
        at = _cell_at("".join(lines))
        name = header[at].strip() if at < len(header) else ""
        is_plain = name and name.isprintable() and len(name) <= 80
        return _bad(message, path, start, name if is_plain else str(at + 1))

    def read() -> Iterator[str]:
        while line := file.readline(MAX_LINE + 1):
            lines.append(line)
            message, at = _unreadable(line)
            if message:
                lines[-1] = line[:at]
                raise bad(message)
            yield line

    # What is no UTF-8 becomes surrogates, so that its row and column can be told.
    file = TextIOWrapper(_read(path), "utf-8-sig", "surrogateescape", newline="")
    reader, start = csv.reader(read(), strict=True), 1
    try:
        for record in reader:
            if record:
                header = header or record
                yield start, record
            lines.clear()
            start = reader.line_num + 1
    except csv.Error as error:
        raise bad("a quotation mark that does not end with the cell") from error


def _read(path: Path) -> BytesIO:
    # At once: a generator that nobody goes on with would leave the file open.
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) <= MAX_BYTES:
        return BytesIO(data)
    message = f"more than {MAX_BYTES // 2**20} MiB"
    raise DataError(message, path=path, hint=_HINT, code="bad_metadata")


def _unreadable(line: str) -> tuple[str, int]:
    """What no row may hold, and at which character; "" where all is well."""
    if len(line) > MAX_LINE:
        return f"the row is longer than {MAX_LINE:,} characters", MAX_LINE
    if line.isascii() and "\0" not in line:
        return "", 0
    try:
        line.encode()
    except UnicodeEncodeError as error:
        return "bytes that are no UTF-8 text", error.start
    at = line.find("\0")
    return ("a NUL character, as in UTF-16 or a damaged file", at) if at >= 0 else ("", 0)


def _cell_at(text: str) -> int:
    """The number, from 0, of the cell in which the beginning of a record ends, or breaks off."""
    inside, cell, before = False, 0, ","
    for char, after in zip(text, text[1:] + ",", strict=False):
        if char == '"' and (inside or before in ',"'):
            inside = not inside
            if not inside and after not in ',"\r\n':
                break
        elif char == "," and not inside:
            cell += 1
        before = char
    return cell


def _where(path: Path, line: int, column: str) -> str:
    return f"{path}, row {line}, column {column}"


def _bad(message: str, path: Path, line: int, column: str, hint: str = _HINT) -> DataError:
    return DataError(message, path=_where(path, line, column), hint=hint, code="bad_metadata")
