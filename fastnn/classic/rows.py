"""Rows: what a beginner gives a network, one sample or several, as rows of float64."""

from typing import Any

import numpy as np

from fastnn.backend import Array
from fastnn.errors import DataError, ShapeError
from fastnn.inputs import checked_array


def rows(values: Any, name: str, width: int) -> Array:
    """values, one sample of `width` finite numbers or rows of them, as (n, width).

    Raises ShapeError, DTypeError, DataError.
    """
    array = checked_array(values, name)
    if array.ndim < 2 and (width == 1 or array.shape == (width,)):
        array = array.reshape(-1, width)
    if array.ndim != 2 or array.shape[1] != width or not len(array):
        what = "one number" if width == 1 else f"{width} numbers"
        raise ShapeError(f"{name} is {np.shape(values)}, need {what}, or rows of as many")
    return _finite(array, name)


def exactly(values: Any, name: str, shape: tuple[int, ...]) -> Array:
    """values as finite numbers of this shape.  Raises as `rows`."""
    array = checked_array(values, name)
    if array.shape != shape:
        what = "a number" if shape == () else str(shape)
        raise ShapeError(f"{name} is {array.shape}, need {what}")
    return _finite(array, name)


def pairs(
    x: Any, x_name: str, x_width: int, y: Any, y_name: str, y_width: int
) -> tuple[Array, Array]:
    """x and y as rows, a row of y for each of x.  Raises as `rows`."""
    X = rows(x, x_name, x_width)
    if y_width > 1 and np.shape(y) == (len(X),) and len(X) > 1:
        raise ShapeError(f"{y_name} is {np.shape(y)}, need ({len(X)}, {y_width}); labels become "
                         f"rows by fastnn.datasets.one_hot(labels, {y_width})")  # fmt: skip
    Y = rows(y, y_name, y_width)
    if len(X) != len(Y):
        raise ShapeError(f"{x_name} has {len(X)} rows and {y_name} {len(Y)}, need as many")
    return X, Y


def check_reachable(Y: Array, name: str) -> None:
    """Raises DataError unless a sigmoid can give all of Y."""
    if not (Y.min() >= 0 and Y.max() <= 1):
        wrong = Y[(Y < 0) | (Y > 1)][0]
        raise DataError(f"{name} has {wrong:g}, need 0 to 1, which a sigmoid can give")


def _finite(array: Array, name: str) -> Array:
    if not np.isfinite(array).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise DataError(f"{name} has {array[place]!s}, need finite numbers")
    return array.astype(np.float64, copy=False)
