"""Rows: a network's input, checked once and made ready a few rows at a time.

Raw data stay as they are (uint8 images stay uint8) until they are used: then they become
(X - offset) * factor in the network's float type.
"""

import copy
from typing import Any

import numpy as np

from fastnn.backend import Array, Backend
from fastnn.errors import ArgumentError, DataError, DTypeError, FastnnError, ShapeError

BLOCK = 1024  # rows looked at or predicted at once: they and their results fit a CPU's cache


class Scaling:
    """X enters a network as (X - offset) * factor; numbers or (d,) arrays."""

    def __init__(self, offset: Any, factor: Any, d: int) -> None:
        """Raises ArgumentError unless both are finite numbers or arrays (d,)."""
        self.offset = _numbers("offset", offset, d)
        self.factor = _numbers("factor", factor, d)

    def __call__(self, X: Array, dtype: Any) -> Array:
        """(X - offset) * factor as dtype, computed in no less than X's own precision."""
        wide = np.result_type(X.dtype, dtype)
        X = X.astype(wide)
        X -= self.offset.astype(wide)
        X *= self.factor.astype(wide)
        return X.astype(dtype, copy=False)


class Rows:
    """The rows of X (n, d), which come out of [...] scaled and in the network's type."""

    def __init__(self, X: Any, d: int, scaling: Scaling | None, backend: Backend) -> None:
        """Raises ShapeError, DTypeError, DataError; looks at every number once."""
        self.X = checked_array(X)
        if self.X.ndim != 2 or self.X.shape[1] != d:
            raise ShapeError(f"X is {self.X.shape}, need (n, {d})" + _reshape_hint(self.X.shape, d))
        self.scaling, self.dtype = scaling, backend.dtype
        self._check_finite()

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, rows: Any) -> Array:
        """rows is a slice or an index array."""
        X = self.X[rows] if isinstance(rows, slice) else self.X.take(rows, axis=0)
        if self.scaling is not None:
            return self.scaling(X, self.dtype)
        return np.ascontiguousarray(X, self.dtype)

    def part(self, rows: Any) -> "Rows":
        """Some of the rows, by an index array, checked already."""
        part = copy.copy(self)
        part.X = self.X.take(rows, axis=0)
        return part

    def _check_finite(self) -> None:
        if self.X.dtype.kind != "f" and self.scaling is None:
            return
        with np.errstate(all="ignore"):
            for start in range(0, len(self), BLOCK):
                block = self[start : start + BLOCK]
                # One pass: a sum is finite only if its terms are.  It may overflow, so look.
                if not np.isfinite(block.sum()) and not np.isfinite(block).all():
                    self._refuse(start, block)

    def _refuse(self, start: int, block: Array) -> None:
        i, j = (int(k) for k in np.argwhere(~np.isfinite(block))[0])
        value = self.X[start + i, j]
        if np.isfinite(value):
            raise DataError(f"X[{start + i}, {j}] is {value!s}, beyond {self.dtype} once scaled; "
                            "use dtype='float64' or scale the data")  # fmt: skip
        raise DataError(f"X[{start + i}, {j}] is {value!s}, need finite numbers; "
                        "remove or fill such rows first")  # fmt: skip


def checked_array(values: Any, name: str = "X") -> Array:
    """values as an array of real numbers of any shape.

    Raises DTypeError, ShapeError, DataError.
    """
    if hasattr(values, "toarray") and hasattr(values, "nnz"):
        raise DTypeError(f"{name} is a sparse {type(values).__name__}, need a dense array: "
                         f"{name}.toarray()")  # fmt: skip
    if np.ma.is_masked(values):
        raise DataError(f"{name} has masked values, need all: {name}.filled(...), or drop the rows")
    if values is None:
        raise DTypeError(f"{name} is None, need an array of numbers")
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ShapeError(
            f"{name} is not rectangular ({error}), need rows of equal length"
        ) from error
    if array.dtype.kind not in "biuf":
        hint = f"; of a DataFrame: {name}.to_numpy(float)" if array.dtype.kind == "O" else ""
        if array.dtype.kind == "U" and name == "Y":
            hint = "; words become labels by np.unique(Y, return_inverse=True)"
        raise DTypeError(f"{name} is {array.dtype}, need real numbers{hint}")
    return array


def _reshape_hint(shape: tuple[int, ...], d: int) -> str:
    if len(shape) == 1 and shape[0] == d:
        return ": one sample is X.reshape(1, -1)"
    if len(shape) == 1 and d == 1:
        return ": one feature is X.reshape(-1, 1)"
    if len(shape) > 2 and np.prod(shape[1:]) == d:
        return ": X.reshape(len(X), -1)"
    return ""


def _numbers(name: str, values: Any, d: int) -> Array:
    try:
        numbers = checked_array(values, name).astype(np.float64)
    except (FastnnError, OverflowError) as error:
        raise ArgumentError(f"input_scaling's {name} is not numeric: {error}") from error
    if numbers.shape not in ((), (d,)):
        raise ArgumentError(f"input_scaling's {name} is {numbers.shape}, need a number or ({d},)")
    if not np.isfinite(numbers).all():
        raise ArgumentError(f"input_scaling's {name} has NaN or infinity, need finite numbers")
    return numbers
