"""Sparse rows: only the numbers of X that are not zero, row by row (CSR).

Leaving out a product with zero changes no sum.  NaN is not zero, and stays.
"""

import ctypes
from typing import Any, NamedTuple

import numpy as np

from fastnn_kernels.jit import jit

Array = np.ndarray[Any, Any]


class Sparse(NamedTuple):
    """Row i has values[q] in columns[q] for q in starts[i]..starts[i + 1]."""

    starts: Array  # (n + 1,) int64
    columns: Array  # int32
    values: Array


def compressed(X: Array) -> Sparse:
    """X (n, d)."""
    X, starts = writable(X), np.zeros(len(X) + 1, np.int64)
    count(X, starts)
    columns, values = np.empty(starts[-1], np.int32), np.empty(starts[-1], X.dtype)
    fill(X, starts, columns, values)
    return Sparse(starts, columns, values)


def joined(parts: list[Sparse]) -> Sparse:
    """The rows of all parts."""
    if len(parts) == 1:
        return parts[0]
    counts = np.concatenate([np.diff(part.starts) for part in parts])
    starts = np.concatenate([[0], np.cumsum(counts)])
    columns = np.concatenate([part.columns for part in parts])
    return Sparse(starts, columns, np.concatenate([part.values for part in parts]))


def writable(X: Array) -> Array:
    """X (n, d) under the type that is compiled for, which may be written; it is only read."""
    if X.flags.writeable or not X.size:
        return X
    memory = (ctypes.c_char * X.nbytes).from_address(X.ctypes.data)
    return np.ndarray(X.shape, X.dtype, memoryview(memory))


@jit
def count(X, starts):
    """starts (n + 1,) of X's rows; the first is there."""
    for i in range(X.shape[0]):
        found = 0
        for j in range(X.shape[1]):
            found += X[i, j] != 0
        starts[i + 1] = starts[i] + found


@jit
def fill(X, starts, columns, values):
    """What is not zero in X, row by row."""
    for i in range(X.shape[0]):
        q = starts[i]
        for j in range(X.shape[1]):
            if X[i, j] != 0 and q < starts[i + 1]:  # X may have changed since it was counted
                columns[q], values[q] = j, X[i, j]
                q += 1
