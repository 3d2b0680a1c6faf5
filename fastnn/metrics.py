"""Metrics: what a prediction is worth, by name or by a function of (Y, A), in host memory.

Y is labels (n,) int64 where each row names one class, else rows (n, k); A (n, k) are the
outputs, activation applied.  n >= 1.  These are the names; a NaN in A makes each NaN:

    accuracy  fraction of rows whose class, or whose every output, is right
    top_N     fraction of rows whose class is among the N largest outputs, N < k
    f1        mean over the classes, or of the positive class for one output
    r2        mean over the outputs of the variance that is explained
    mse, mae  mean over rows and outputs of (Y - A)^2, of |Y - A|; labels become one-hot rows
"""

import contextlib
import keyword
import math
import re
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fastnn import scores
from fastnn.backend import Array
from fastnn.checks import figure
from fastnn.errors import ArgumentError, DataError

Metric = Callable[[Array, Array], float]

_RESERVED = ("loss", "seconds", "epoch", "best_epoch", "stopped")  # what a history has besides
_TOP = re.compile("top_([1-9][0-9]{0,8})")
_FORMULAS = {
    "accuracy": scores.accuracy,
    "f1": scores.f1,
    "r2": scores.r2,
    "mse": scores.mse,
    "mae": scores.mae,
}


def checked(metrics: Any, output: str, k: int) -> dict[str, Metric]:
    """Metrics of k outputs by their column names, from names and functions.

    metrics: a list of both, where a function's column is its __name__, or a dict from columns.
    A function is called with read-only arrays and gives a finite number or NaN; DataError says
    where it does not.  Raises ArgumentError, and a metric does for a Y that it does not fit.
    """
    if isinstance(metrics, dict):
        pairs = list(metrics.items())
    elif isinstance(metrics, list | tuple):
        pairs = [(m if isinstance(m, str) else getattr(m, "__name__", None), m) for m in metrics]
    else:
        example = repr(metrics) if isinstance(metrics, str) else "'f1'"
        raise ArgumentError(f"metrics is {reprlib.repr(metrics)}, need a list of names and "
                            f"functions, for example metrics=[{example}]")  # fmt: skip
    found: dict[str, Metric] = {}
    for column, metric in pairs:
        made = _metric(column, metric, output, k)
        _check_column(column, metric)
        if column in found:
            raise ArgumentError(f"metrics has {column!r} twice; keep one, or use a dict "
                                '{"name": function}')  # fmt: skip
        found[str(column)] = made
    return found


def is_better_when_larger(name: str) -> bool:
    """Whether a history's column should rise, "val_" or not.  ArgumentError where unknown."""
    plain = name.removeprefix("val_")
    if plain in ("loss", "mse", "mae"):
        return False
    if _is_known(plain):
        return True
    raise ArgumentError(f"whether {name!r} is better when larger is known of loss, accuracy, "
                        "top_N, f1, r2, mse and mae alone, with val_ or without; for others give "
                        "mode='min' or mode='max'")  # fmt: skip


def _metric(column: Any, metric: Any, output: str, k: int) -> Metric:
    if callable(metric) and not isinstance(metric, type):
        return _Own(column, metric)
    if not isinstance(metric, str) or not _is_known(metric):
        raise ArgumentError(f"metrics has {reprlib.repr(metric)}, need one of "
                            f"{', '.join(_FORMULAS)}, top_N, or a function of (Y, A)")  # fmt: skip
    if top := _TOP.fullmatch(metric):
        N = int(top[1])
        if k <= N:
            raise ArgumentError(f"metric {metric!r} needs at least {N + 1} outputs, this network "
                                f"has {k}")  # fmt: skip
        return _Named(partial(scores.top, N), output)
    return _Named(_FORMULAS[metric], output)


def _check_column(column: Any, metric: Any) -> None:
    if not isinstance(column, str) or not column.isidentifier() or keyword.iskeyword(column):
        raise ArgumentError(f"metric {reprlib.repr(metric)} has name {reprlib.repr(column)}, need "
                            'an identifier; use def, or a dict {"name": function}')  # fmt: skip
    if column in _RESERVED or column.startswith("val_"):
        raise ArgumentError(f"{column!r} is a name of the history's own, need another for the "
                            'metric: {"name": function}')  # fmt: skip
    if _is_known(column) and not (isinstance(metric, str) and metric == column):
        raise ArgumentError(f"{column!r} is the name of a metric that is there already, need "
                            f'another for yours: {{"my_{column}": function}}')  # fmt: skip


def _is_known(name: str) -> bool:
    return name in _FORMULAS or _TOP.fullmatch(name) is not None


@dataclass(frozen=True)
class _Own:
    """A user's function, whose result is checked."""

    name: str
    function: Callable[[Array, Array], Any]

    def __call__(self, Y: Array, A: Array) -> float:
        came = self.function(_read_only(Y), _read_only(A))
        with contextlib.suppress(ArgumentError):
            plain = figure(self.name, came)
            if not math.isinf(plain):
                return plain
        raise DataError(f"metric {self.name!r} gave {reprlib.repr(came)}, need a finite number, "
                        "or NaN where it is undefined")  # fmt: skip


@dataclass(frozen=True)
class _Named:
    """A formula of scores.py under one output activation."""

    formula: Callable[[Array, Array, str], float]
    output: str

    def __call__(self, Y: Array, A: Array) -> float:
        if np.isnan(A).any():
            return math.nan
        with np.errstate(over="ignore", invalid="ignore"):
            return self.formula(Y, A, self.output)


def _read_only(x: Array) -> Array:
    """A view: the targets are those that are trained on, and other metrics see the same."""
    view = x.view()
    view.flags.writeable = False
    return view
