"""History: what a training run remembers, a number per epoch and quantity.

Reads like a table: history["loss"] is a column, history[-1] an epoch, history[2:5] a
History of three.  A file of one is JSON, and what is read from it is checked.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self, SupportsIndex, overload

from fastnn import files
from fastnn.architecture import is_plain
from fastnn.checks import figure
from fastnn.errors import ArgumentError, CheckpointError, DataError, MissingLibraryError
from fastnn.files import PathLike

VERSION = 1

_FIRST = ("loss", "accuracy", "val_loss", "val_accuracy")
_NOT_FINITE = ("nan", "inf", "-inf")  # as text in a file: JSON has no such numbers


@dataclass
class History:
    """Losses are means per row, accuracies fractions; a list stays empty where there is none.

    more has a list for each metric, with val_ before its name for the validation, and for each
    number that a callback added.  Epochs count from 0.  str() is a table with a row per epoch.
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    more: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    best_epoch: int | None = None  # the one whose weights were restored; with patience
    stopped: str = "epochs"  # why: "epochs", "target_loss", "patience", "nan" or "callback"

    def __len__(self) -> int:
        return len(self.loss)

    def __iter__(self) -> Iterator[dict[str, float]]:
        return (self[epoch] for epoch in range(len(self)))

    @overload
    def __getitem__(self, key: str) -> list[float]: ...
    @overload
    def __getitem__(self, key: slice) -> Self: ...
    @overload
    def __getitem__(self, key: SupportsIndex) -> dict[str, float]: ...
    def __getitem__(self, key: Any) -> Any:
        """A column by name, a History of the epochs of a slice, or one epoch's figures.

        best_epoch of a slice is the place in it, or None where it is not in it.
        """
        if isinstance(key, slice):
            return self._part(range(len(self))[key])
        if isinstance(key, SupportsIndex):
            epoch = _place(key, len(self))
            return {name: x[epoch] for name, x in self.columns.items() if epoch < len(x)}
        if key not in self.columns:
            raise KeyError(f"{key!r:.80}, need one of {', '.join(self.columns)}")
        return self.columns[key]

    @property
    def columns(self) -> dict[str, list[float]]:
        """All lists by name, the empty ones too, as they stand in the table."""
        return (
            {name: getattr(self, name) for name in _FIRST} | self.more | {"seconds": self.seconds}
        )

    def append(self, figures: dict[str, float]) -> None:
        """Add an epoch's figures to their columns; in a column that is there, a missing one is NaN.

        Raises ArgumentError for what is no number, and has then added none.
        """
        for name in figures:
            if not isinstance(name, str) or not is_plain(name):
                raise ArgumentError(f"a figure's name is {name!r:.80}, need one line of text")
        plain = {name: figure(f"the figure {name!r}", x) for name, x in figures.items()}
        self._extend({name: [x] for name, x in plain.items()}, 1)

    def extend(self, columns: dict[str, list[float]]) -> None:
        """Add epochs by columns, all as long as that of the loss, as append does one by one."""
        self._extend(columns, len(columns["loss"]))

    def _extend(self, columns: dict[str, list[float]], epochs: int) -> None:
        before = len(self)
        self.more |= {name: [] for name in columns if name not in self.columns}
        for name, column in self.columns.items():
            if name in columns or column or name == "loss":
                column += [math.nan] * (before - len(column))
                column += columns.get(name, [math.nan] * epochs)

    def last(self) -> dict[str, float]:
        """The last epoch's figures, apart from the time."""
        return {name: x[-1] for name, x in self.columns.items() if x and name != "seconds"}

    def save(self, path: PathLike) -> None:
        """Write it to path as JSON, whole or not at all.  History.load reads it back.

        NaN and infinities are written as text.  Raises DataError for what load would refuse,
        and as files.replace.
        """
        texts = {name: [_as_json(x) for x in column] for name, column in self.columns.items()}
        more = {name: texts.pop(name) for name in self.more}
        record = {"fastnn_history": VERSION} | asdict(self) | texts | {"more": more}
        try:
            self._from(record)
        except ValueError as error:
            raise DataError(f"the history cannot be saved: {error}") from error
        files.replace(path, json.dumps(record).encode())

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """The history that save wrote to path.

        Raises CheckpointError for a file that is anything else, and OSError where the system
        refuses to read.
        """
        with files.open_regular(path, CheckpointError) as file:
            content = file.read()
        try:
            return cls._from(json.loads(content))
        except (ValueError, OverflowError, RecursionError) as error:
            raise CheckpointError(
                f"{path} is not a history that fastnn saved: {str(error)[:400]}"
            ) from error

    def to_frame(self) -> Any:
        """A pandas.DataFrame with a row per epoch and a column per quantity there is.

        Raises MissingLibraryError where pandas cannot be imported.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingLibraryError(f"a DataFrame needs pandas, which cannot be imported "
                                      f"({error}); try: pip install pandas") from error  # fmt: skip
        return pandas.DataFrame(list(self), index=pandas.RangeIndex(len(self), name="epoch"))

    def __repr__(self) -> str:
        figures = [f"{name}={value:.4g}" for name, value in self.last().items()]
        return f"History({', '.join([f'{len(self)} epochs', *figures])}, stopped={self.stopped!r})"

    def __str__(self) -> str:
        names = [name for name, column in self.columns.items() if column]
        rows = [
            [str(epoch), *(_four_digits(x[name]) if name in x else "" for name in names)]
            for epoch, x in enumerate(self)
        ]
        table = [["epoch", *names], *rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in table
        )

    def _part(self, epochs: range) -> Self:
        part = {name: [x[i] for i in epochs if i < len(x)] for name, x in self.columns.items()}
        best = self.best_epoch
        place = epochs.index(best) if best is not None and best in epochs else None
        return self.of_columns(part, place, self.stopped)

    @classmethod
    def of_columns(
        cls, columns: dict[str, list[float]], best_epoch: int | None, stopped: str
    ) -> Self:
        """The inverse of .columns."""
        more = {name: x for name, x in columns.items() if name not in (*_FIRST, "seconds")}
        usual = {name: x for name, x in columns.items() if name not in more}
        return cls(**usual, more=more, best_epoch=best_epoch, stopped=stopped)

    @classmethod
    def _from(cls, record: Any) -> Self:
        """The history of a file's content.  Raises ValueError saying what is wrong with it."""
        names = {"fastnn_history", *(f.name for f in fields(cls))}
        if not isinstance(record, dict) or record.keys() != names:
            raise ValueError(f"need a JSON object of {', '.join(sorted(names))}")
        version = record["fastnn_history"]
        if type(version) is not int or version != VERSION:
            raise ValueError(f"its format is version {version!r:.20}, this fastnn reads {VERSION}")
        columns = {name: _column(name, record[name]) for name in (*_FIRST, "seconds")}
        if not isinstance(record["more"], dict):
            raise ValueError(f"more is {record['more']!r:.20}, need an object of lists")
        if twice := record["more"].keys() & columns.keys():
            raise ValueError(f"{', '.join(twice)} is among more")
        columns |= {name: _column(name, x) for name, x in record["more"].items()}
        n, best, stopped = len(columns["loss"]), record["best_epoch"], record["stopped"]
        if uneven := [name for name, column in columns.items() if len(column) not in (0, n)]:
            raise ValueError(f"{', '.join(uneven)} are not of {n} epochs, as loss is")
        if best is not None and (type(best) is not int or not 0 <= best < n):
            raise ValueError(f"best_epoch is {best!r:.20}, need null or one of {n} epochs")
        if not isinstance(stopped, str):
            raise ValueError(f"stopped is {stopped!r:.20}, need a text")
        return cls.of_columns(columns, best, stopped)


def _place(key: SupportsIndex, n: int) -> int:
    try:
        return range(n)[key]
    except IndexError as error:
        raise IndexError(f"epoch {key.__index__()} of a history of {n} epochs") from error


def _four_digits(x: float) -> str:
    return f"{x:#.4g}".removesuffix(".")


def _as_json(x: float) -> float | str:
    return float(x) if math.isfinite(x) else str(float(x))


def _column(name: str, values: Any) -> list[float]:
    if not isinstance(values, list) or not all(map(_is_figure, values)):
        raise ValueError(f"{name} is not a list of numbers")
    return [float(x) for x in values]


def _is_figure(x: Any) -> bool:
    return x in _NOT_FINITE if isinstance(x, str) else (
        type(x) in (int, float) and math.isfinite(x)
    )  # fmt: skip
