"""Rows: what a beginner gives a network, one sample or several, as rows of float64."""

from typing import Any

import numpy as np

from fastnn.backend import Array
from fastnn.errors import DataError, ShapeError
from fastnn.inputs import checked_array


def rows(values: Any, name: str, width: int) -> Array:
    """values, one sample of `width` numbers or rows of them, as (n, width).

    Raises ShapeError, DTypeError, DataError.
    """
    array = checked_array(values, name)
    if array.ndim < 2 and (width == 1 or array.shape == (width,)):
        array = array.reshape(-1, width)
    if array.ndim != 2 or array.shape[1] != width or not len(array):
        what = "one number" if width == 1 else f"{width} numbers"
        raise ShapeError(f"{name} is {np.shape(values)}, need {what}, or rows of as many")
    return array.astype(np.float64, copy=False)


def pairs(x: Any, x_width: int, y: Any, y_width: int) -> tuple[Array, Array]:
    """x and y as rows, a row of y for each of x.  Raises as `rows`."""
    X, Y = rows(x, "x", x_width), rows(y, "the target", y_width)
    if len(X) != len(Y):
        raise ShapeError(f"x has {len(X)} rows and the target {len(Y)}, need as many")
    return X, Y


def check_targets(Y: Array, good: Array, need: str) -> None:
    """Raises DataError that tells the first target that is not good."""
    if not good.all():
        raise DataError(f"a target is {Y[~good][0]:g}, need {need}")
