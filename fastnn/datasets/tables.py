"""CSV files: numbers in rows, with one or more columns to predict.

Comma, semicolon or tab, told from the first line and refused where it is not clear.
Numbers are written as in C, with a point, whatever the locale.  What is missing, not a
number, or not finite is refused with file, line and column; nothing becomes NaN.
"""

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn import files
from fastnn.errors import ArgumentError, DataError
from fastnn.files import PathLike

Array = np.ndarray[Any, Any]
Column = int | str
Row = tuple[int, list[str]]  # the line it ends on, its cells

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_INTEGER = re.compile(r"\s*[+-]?\d{1,18}\s*", re.ASCII)
_MISSING = re.compile(r"\s*|[+-]?(nan|inf|infinity)|n/?a|null", re.IGNORECASE)
_ONLY_NUMBERS = b"0123456789+-.eE,;\t \r\n"


@dataclass(frozen=True)
class Table:
    """X (n, d) float64, Y as load_csv's, and the sorted words that Y counts, if it does."""

    X: Array
    Y: Array
    words: tuple[str, ...] | None


def load_csv(
    path: PathLike, *, target: Column | Sequence[Column] = -1, header: bool | str = "auto"
) -> tuple[Array, Array]:
    """(X float64 (n, d), Y) of a CSV file.

    target: a column's name or index, or a list of them, whose Y is float64 (n, k).  One
    column of integers, of 18 digits at most, is int64 (n,) as they stand; of words, int64 (n,)
    indices into the sorted words; of other numbers, float64 (n,).  header: True, False, or
    "auto", which takes the first row for names if it holds no number.

    Raises DataError with file:line:column, ArgumentError for a column that is not there,
    OSError (FileNotFoundError) where the system refuses.
    """
    table = read_csv(path, target=target, header=header)
    return table.X, table.Y


def read_csv(
    path: PathLike, *, target: Column | Sequence[Column] = -1, header: bool | str = "auto"
) -> Table:
    """As load_csv, with the words."""
    names, cells = _read(path, header)
    if isinstance(target, str) or not isinstance(target, Sequence):
        wanted = [_place(path, names, cells.width, target)]
    else:
        wanted = [_place(path, names, cells.width, t) for t in target]
    if not wanted or len(set(wanted)) < len(wanted):
        raise ArgumentError(f"target is {target!r}, need different columns")
    features = [j for j in range(cells.width) if j not in wanted]
    if not features:
        raise DataError(f"{path}: has no column besides the target's {cells.width}; columns are "
                        "parted by commas, semicolons or tabs")  # fmt: skip
    X = cells.numbers(features)
    if not isinstance(target, str) and isinstance(target, Sequence):
        return Table(X, cells.numbers(wanted), None)
    return Table(X, *_target(cells, wanted[0]))


def read_features(path: PathLike, d: int) -> Array:
    """X (n, d) float64 of a CSV file without a target.  Raises as load_csv."""
    _, cells = _read(path, "auto")
    if cells.width != d:
        raise DataError(f"{path}: has {cells.width} columns, need the network's {d} inputs "
                        "and nothing else")  # fmt: skip
    return cells.numbers(list(range(d)))


class _Numbers:
    """The cells of a file in which all are finite numbers, parsed at once."""

    def __init__(self, values: Array, body: str, delimiter: str) -> None:
        self.values, self.body, self.delimiter = values, body, delimiter
        self.width = values.shape[1]

    def numbers(self, columns: list[int]) -> Array:
        """(n, len(columns)) float64."""
        return np.ascontiguousarray(self.values[:, columns])

    def words(self, column: int) -> list[str]:
        """A column as it is written."""
        rows = (line.split(self.delimiter, column + 1) for line in self.body.splitlines())
        return [cells[column] for cells in rows]


class _Words:
    """The cells of any file, with the place of each."""

    def __init__(self, path: PathLike, names: list[str] | None, rows: list[Row]) -> None:
        self.path, self.names, self.rows = path, names, rows
        self.width = len(names or rows[0][1])
        for line, cells in rows:
            if len(cells) != self.width:
                raise DataError(f"{path}:{line}: has {len(cells)} columns, the first row has "
                                f"{self.width}")  # fmt: skip

    def numbers(self, columns: list[int]) -> Array:
        """(n, len(columns)) float64."""
        return np.array(
            [[self._number(line, cells, j) for j in columns] for line, cells in self.rows]
        )

    def words(self, column: int) -> list[str]:
        """A column as it is written.  Raises DataError for a missing cell."""
        for line, cells in self.rows:
            if _MISSING.fullmatch(cells[column].strip()):
                raise self._refusal(line, cells, column)
        return [cells[column].strip() for _, cells in self.rows]

    def _number(self, line: int, cells: list[str], j: int) -> float:
        if _NUMBER.fullmatch(cells[j]) and math.isfinite(float(cells[j])):
            return float(cells[j])
        raise self._refusal(line, cells, j)

    def _refusal(self, line: int, cells: list[str], j: int) -> DataError:
        name = f" ({self.names[j]})" if self.names else ""
        shown = repr(cells[j][:40]) if cells[j].strip() else "empty"
        return DataError(f"{self.path}:{line}:{j + 1}: column {j + 1}{name} is {shown}, need a "
                         "finite number such as -1.5e3")  # fmt: skip


def _read(path: PathLike, header: bool | str) -> tuple[list[str] | None, _Numbers | _Words]:
    """(names or None, cells)"""
    if not isinstance(header, bool) and header != "auto":
        raise ArgumentError(f"header is {header!r}, need True, False or 'auto'")
    text = _text(path)
    delimiter = _delimiter(path, text)
    line, first = next(_rows(path, text, delimiter))
    is_header = header is True or (
        header == "auto" and not any(_NUMBER.fullmatch(cell) for cell in first)
    )
    names = [name.strip() for name in first] if is_header else None
    body = "".join(text.split("\n", line)[line:]) if is_header else text
    if not body.strip():
        raise DataError(f"{path}: has no rows of data")
    body = re.sub(r"\n\n+", "\n", body).lstrip("\n")
    values = _all_numbers(body, delimiter)
    if values is not None and values.shape[1] == len(first):
        return names, _Numbers(values, body, delimiter)
    rows = [(i, cells) for i, cells in _rows(path, text, delimiter) if not is_header or i > line]
    return names, _Words(path, names, rows)


def _place(path: PathLike, names: list[str] | None, width: int, column: Column) -> int:
    """The place of a column by name or index."""
    if isinstance(column, str):
        names = names or []
        if names.count(column) != 1:
            known = f"the columns {', '.join(names)}" if names else "no header"
            known = f"that name {names.count(column)} times" if column in names else known
            raise ArgumentError(f"target is {column!r}, but {path} has {known[:400]}")
        return names.index(column)
    if isinstance(column, bool) or not isinstance(column, int | np.integer):
        raise ArgumentError(f"target is {column!r}, need a column's name or index")
    if not -width <= column < width:
        raise ArgumentError(f"target is {column}, but {path} has {width} columns")
    return int(column) % width


def _target(cells: _Numbers | _Words, column: int) -> tuple[Array, tuple[str, ...] | None]:
    """(Y (n,), the sorted words or None)."""
    written = cells.words(column)
    if all(_INTEGER.fullmatch(word) for word in written):
        return np.array([int(word) for word in written], np.int64), None
    if any(_NUMBER.fullmatch(word) for word in written):
        return cells.numbers([column])[:, 0], None  # refuses a word among numbers
    words = tuple(sorted(set(written)))
    place = {word: i for i, word in enumerate(words)}
    return np.array([place[word] for word in written], np.int64), words


def _text(path: PathLike) -> str:
    with files.open_regular(path, DataError) as file:
        content = file.read()
    if b"\0" in content:
        raise DataError(f"{path}: byte {content.index(0)} is zero, need a text file")
    try:
        text = content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is not UTF-8, need a text file") from error
    if not text.strip():
        raise DataError(f"{path}: is empty")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _delimiter(path: PathLike, text: str) -> str:
    first = re.sub(r'"[^"]*"', "", text.lstrip("\n").partition("\n")[0])
    found = [d for d in ",;\t" if d in first]
    if len(found) > 1:
        raise DataError(f"{path}:1: has {' and '.join(map(repr, found))}, need one delimiter; "
                        "numbers are written with a point")  # fmt: skip
    return found[0] if found else ","


def _rows(path: PathLike, text: str, delimiter: str) -> Iterator[Row]:
    """(line, cells) of every row that is not blank."""
    lines = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        for cells in lines:
            if cells:
                yield lines.line_num, cells
    except csv.Error as error:
        raise DataError(f"{path}:{lines.line_num}: {error}") from error


def _all_numbers(body: str, delimiter: str) -> Array | None:
    """(n, d) float64, or None where a cell is anything but a finite number."""
    if body.encode().translate(None, _ONLY_NUMBERS):
        return None
    try:
        values = np.loadtxt(io.StringIO(body), delimiter=delimiter, comments=None, ndmin=2)
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None
