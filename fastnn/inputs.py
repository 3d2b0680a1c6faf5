"""Rows: a network's input, checked once and made ready a few rows at a time.

Raw data stay as they are (uint8 images stay uint8) until they are used: then they become
(X - offset) * factor in the network's float type.  On a GPU they are copied there raw, once;
where they would not fit they stay in host memory and are copied as they are used.
"""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastnn.backend import Array, Backend, device_of
from fastnn.errors import (
    ArgumentError,
    DataError,
    DeviceError,
    DTypeError,
    FastnnError,
    ShapeError,
)
from fastnn.prefetch import prefetched


class Scaling:
    """X enters a network as (X - offset) * factor; numbers or (d,) arrays."""

    def __init__(self, offset: Any, factor: Any, d: int) -> None:
        """Raises ArgumentError unless both are finite numbers or arrays (d,)."""
        self.offset = _numbers("offset", offset, d)
        self.factor = _numbers("factor", factor, d)

    def on(self, backend: Backend) -> "Scaling":
        """The same, for arrays of this backend."""
        there = copy.copy(self)
        there.offset, there.factor = (
            backend.xp.asarray(numbers) for numbers in (self.offset, self.factor)
        )
        return there

    def __call__(self, X: Array, dtype: Any) -> Array:
        """(X - offset) * factor as dtype, computed in no less than X's own precision."""
        wide = np.result_type(X.dtype, dtype)
        X = X.astype(wide)
        X -= self.offset.astype(wide)
        X *= self.factor.astype(wide)
        return X.astype(dtype, copy=False)


class Rows:
    """The rows of X (n, d), which come out of [...] on the device, scaled, in its float type."""

    def __init__(self, X: Array, d: int, scaling: Scaling | None, backend: Backend) -> None:
        """X comes from `placed`.  Raises ShapeError, DataError; looks at every number once."""
        if X.ndim != 2 or X.shape[1] != d:
            raise ShapeError(f"X is {X.shape}, need (n, {d})" + _reshape_hint(X.shape, d))
        self.is_there = isinstance(X, backend.xp.ndarray)
        if not self.is_there and X.nbytes <= backend.room:
            X, self.is_there = backend.upload(X), True
        self.X, self.backend = X, backend
        self.scaling = None if scaling is None else scaling.on(backend)
        self._check_finite()

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, rows: Any) -> Array:
        """rows is a slice, or an index array where X is."""
        X = self.X[rows] if isinstance(rows, slice) else self.X.take(rows, axis=0)
        return self._scaled(X if self.is_there else self.backend.upload(X))

    def part(self, rows: Any) -> "Rows":
        """Some of the rows, by a NumPy index array, checked already."""
        part = copy.copy(self)
        home = self.backend.xp if self.is_there else np
        part.X = self.X.take(home.asarray(rows), axis=0)
        return part

    def streamed(self, order: Any, length: int) -> Iterator[Array]:
        """All rows in this order (None: their own), so many at a time, from host memory."""
        return map(self._scaled, prefetched(self.X, order, length, self.backend))

    def _scaled(self, X: Array) -> Array:
        backend = self.backend
        return backend.asarray(X) if self.scaling is None else self.scaling(X, backend.dtype)

    def _check_finite(self) -> None:
        if self.X.dtype.kind != "f" and self.scaling is None:
            return
        size = self.backend.block(self.X.shape[1])
        with np.errstate(all="ignore"):
            for start in range(0, len(self), size):
                block = self[start : start + size]
                # One pass: a sum is finite only if its terms are.  It may overflow, so look.
                if not np.isfinite(block.sum()) and not np.isfinite(block).all():
                    self._refuse(start, block)

    def _refuse(self, start: int, block: Array) -> None:
        i, j = (int(k) for k in np.argwhere(~np.isfinite(block))[0])
        value = self.X[start + i, j]
        if np.isfinite(value):
            raise DataError(f"X[{start + i}, {j}] is {value!s}, beyond {self.backend.dtype} once "
                            "scaled; use dtype='float64' or scale the data")  # fmt: skip
        raise DataError(f"X[{start + i}, {j}] is {value!s}, need finite numbers; "
                        "remove or fill such rows first")  # fmt: skip


def placed(values: Any, name: str, backend: Backend) -> Array:
    """values as real numbers where they are: in host memory or on the backend's GPU.

    Raises DTypeError, ShapeError, DataError, and DeviceError for another GPU.
    """
    if _is_plain(values):
        return values
    device = device_of(values)
    if device == "cpu":
        return checked_array(values, name)
    if device != backend.device:
        raise DeviceError(f"{name} is on {device}, the network on {backend.device}: move one of "
                          f"them, by net.to({device!r}) or device={device!r}")  # fmt: skip
    try:
        return real(backend.xp.asarray(values), name)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise DTypeError(f"{name} does not become a CuPy array: {error}") from error


def checked_array(values: Any, name: str = "X") -> Array:
    """values as a NumPy array of real numbers of any shape.

    Raises DTypeError, ShapeError, DataError, DeviceError.
    """
    if _is_plain(values):
        return values
    if hasattr(values, "toarray") and hasattr(values, "nnz"):
        raise DTypeError(f"{name} is a sparse {type(values).__name__}, need a dense array: "
                         f"{name}.toarray()")  # fmt: skip
    if np.ma.is_masked(values):
        raise DataError(f"{name} has masked values, need all: {name}.filled(...), or drop the rows")
    if values is None:
        raise DTypeError(f"{name} is None, need an array of numbers")
    return real(host_array(values, name), name)


def _is_plain(values: Any) -> bool:
    """Whether nothing is to be done: one row should not take long."""
    return type(values) is np.ndarray and values.dtype.kind in "biuf" and values.dtype.isnative


def host_array(values: Any, name: str) -> Array:
    """values as a NumPy array of any type.  Raises DeviceError, ShapeError, DTypeError."""
    device = device_of(values)
    if device != "cpu":
        raise DeviceError(f"{name} is on {device}, need it in host memory: cupy.asnumpy(...)")
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ShapeError(
            f"{name} is not rectangular ({error}), need rows of equal length"
        ) from error
    except (TypeError, RuntimeError) as error:  # of a CuPy array inside, a PyTorch tensor, ...
        raise DTypeError(f"{name} does not become a NumPy array: {error}") from error


def real(array: Array, name: str) -> Array:
    """array, if it is of real numbers, in this machine's order of bytes.  Raises DTypeError."""
    if array.dtype.kind not in "biuf":
        is_words = (
            array.dtype.kind in "OSU" and array.size and isinstance(array.flat[0], str | bytes)
        )
        hint = f"; of a DataFrame: {name}.to_numpy(float)" if array.dtype.kind == "O" else ""
        if name == "Y" and is_words:
            hint = "; words become labels by np.unique(Y, return_inverse=True)[1]"
        raise DTypeError(f"{name} is {array.dtype}, need real numbers{hint}")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


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
