"""Splitting, scaling and one-hot: from data to what a network is fed."""

from typing import Any

import numpy as np

from fastnn.errors import ArgumentError, DataError, DTypeError, ShapeError
from fastnn.inputs import Scaling, checked_array, host_array
from fastnn.streams import Purpose, checked_seed, generator

Array = np.ndarray[Any, Any]
Pair = tuple[Array, Array]


def split(X: Any, y: Any, *, test: float = 0.2, seed: int = 0) -> tuple[Pair, Pair]:
    """(X_train, y_train), (X_test, y_test): the fraction `test` of the rows held out.

    Both parts are shuffled, and have the same share of each class (of a real y (n,): the
    same spread).  Raises ArgumentError, ShapeError, DTypeError.
    """
    X, y = host_array(X, "X"), host_array(y, "y")
    n = len(X) if X.ndim else 0
    if y.ndim == 0 or len(y) != n:
        raise ShapeError(f"X is {X.shape} and y {y.shape}, need as many rows in both")
    if y.dtype.kind == "O":
        raise DTypeError("y is object, need numbers or words")
    if not isinstance(test, int | float | np.floating) or not 0 < test < 1:
        raise ArgumentError(f"test is {test!r}, need a fraction in (0, 1)")
    held = round(n * test)
    if not 0 < held < n:
        raise ArgumentError(f"test={test} of {n} rows leaves {n - held} and {held}, need at least "
                            "one row in each part")  # fmt: skip
    rng = generator(checked_seed(seed), Purpose.SPLIT)
    order = rng.permutation(n)
    if y.ndim == 1:
        order = order[np.argsort(y[order], kind="stable")]
    in_test = np.zeros(n, bool)
    in_test[((np.arange(held) + rng.random()) * n / held).astype(int)] = True  # evenly along y
    train, held_out = rng.permutation(order[~in_test]), rng.permutation(order[in_test])
    return (X[train], y[train]), (X[held_out], y[held_out])


def one_hot(y: Any, k: int) -> Array:
    """Rows (n, k) float32 with a one in column y[i].

    Raises ArgumentError, ShapeError, DTypeError, DataError.
    """
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ArgumentError(f"k is {k!r}, need the number of classes, an integer >= 1")
    y = checked_array(y, "y")
    if y.ndim != 1:
        raise ShapeError(f"y is {y.shape}, need (n,)")
    good = (y >= 0) & (y < k) & (y == np.floor(y))
    if not good.all():
        where = int(np.argmin(good))
        raise DataError(f"y[{where}] is {y[where]}, need whole labels 0 to {k - 1}")
    rows = np.zeros((len(y), k), np.float32)
    rows[np.arange(len(y)), y.astype(np.int64)] = 1
    return rows


def minmax_scaling(X: Any) -> Pair:
    """(offset, factor), (d,) each, that take every column of X to [0, 1]; for input_scaling."""
    low, high = _columns(X).min(axis=0), _columns(X).max(axis=0)
    with np.errstate(over="ignore"):
        return low.astype(np.float64), _inverse(high.astype(np.float64) - low)


def standard_scaling(X: Any) -> Pair:
    """(offset, factor), (d,) each, that take every column of X to mean 0 and standard
    deviation 1; for input_scaling."""
    columns = _columns(X).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # _inverse refuses what overflows
        shifted = columns - columns[0]  # a constant column is 0 now, and exactly
        largest = np.abs(shifted).max(axis=0)
        unit = np.where(largest > 0, largest, 1.0)  # whose square neither over- nor underflows
        return columns[0] + shifted.mean(axis=0), _inverse(unit * (shifted / unit).std(axis=0))


def scale_minmax(X: Any) -> Array:
    """X (n, d) with every column in [0, 1], float64; a constant column is 0."""
    return _scaled(X, minmax_scaling(X))


def standardize(X: Any) -> Array:
    """X (n, d) with mean 0 and standard deviation 1 in every column, float64; a constant
    column is 0."""
    return _scaled(X, standard_scaling(X))


def _columns(values: Any) -> Array:
    X: Array = checked_array(values)
    if X.ndim != 2 or len(X) == 0:
        raise ShapeError(f"X is {X.shape}, need (n, d) with n >= 1")
    if X.dtype.kind == "f" and not np.isfinite(X).all():
        i, j = np.argwhere(~np.isfinite(X))[0]
        raise DataError(f"X[{i}, {j}] is {X[i, j]}, need finite numbers")
    return X


def _inverse(width: Array) -> Array:
    """1 / width, and 1 for a constant column.  Raises DataError for a width that overflowed."""
    if not np.isfinite(width).all():
        raise DataError(f"column {int(np.argmin(np.isfinite(width)))} of X spreads beyond "
                        "float64, need smaller numbers")  # fmt: skip
    return np.asarray(1 / np.where(width > np.finfo(np.float64).tiny, width, 1.0))


def _scaled(X: Any, scaling: Pair) -> Array:
    columns = _columns(X)
    return np.asarray(Scaling(*scaling, columns.shape[1])(columns, np.dtype(np.float64)))
