"""Sparse rows: only the numbers of X that are not zero, row by row (CSR).

Leaving out a product of zero with a finite number changes no sum.  NaN is not zero, and stays.
"""

import ctypes
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from fastnn_kernels import simd, simd_sparse
from fastnn_kernels.calls import vector
from fastnn_kernels.jit import inner, jit

Array = np.ndarray[Any, Any]


class Sparse(NamedTuple):
    """Row i has values[q] in columns[q] for q in starts[i]..starts[i + 1]."""

    starts: Array  # (n + 1,) int64
    columns: Array  # int32
    values: Array


def compressed(blocks: Iterable[Array], n: int, expected: int) -> Sparse:
    """The n rows of all blocks (., d); about so many of their numbers are not zero."""
    starts, done = np.zeros(n + 1, np.int64), 0
    columns = values = np.empty(0)
    for block in blocks:
        needed = starts[done] + block.size
        if needed > len(values):
            room = max(needed, expected + expected // 8 + 2 * block.size, 2 * len(values))
            columns = _longer(columns, room, np.int32)
            values = _longer(values, room, block.dtype)
        compress(writable(block), starts[done:], columns, values)
        done += len(block)
    return Sparse(starts, columns, values)


def _longer(array: Array, length: int, dtype: Any) -> Array:
    longer = np.empty(length, dtype)
    longer[: len(array)] = array
    return longer


def writable(X: Array) -> Array:
    """X (n, d) under the type that is compiled for, which may be written; it is only read."""
    if X.flags.writeable or not X.size:
        return X
    memory = (ctypes.c_char * X.nbytes).from_address(X.ctypes.data)
    return np.ndarray(X.shape, X.dtype, memoryview(memory))


@jit
def compress(X, starts, columns, values):
    """Sparse rows of X from starts[0] on; sets the starts of the rows after the first."""
    n, d = X.shape
    lanes, end = simd.lanes(values), starts[0]
    for i in range(n):
        row, j = vector(X, i * d, d), 0
        while j + lanes <= d and simd.COMPRESSES:
            end = simd_sparse.nonzero_and_values(row, j, columns, values, j, end)
            j += lanes
        while j < d:
            columns[end], values[end] = j, row[j]
            end += row[j] != 0
            j += 1
        starts[i + 1] = end


@inner
def nonzero(A, n, columns, end):
    """columns[end:] = where A is not zero; returns the end of them."""
    j, lanes = 0, simd.lanes(A)
    while j + lanes <= n and simd.COMPRESSES:
        end = simd_sparse.nonzero(A, j, columns, j, end)
        j += lanes
    while j < n:
        columns[end] = j
        end += A[j] != 0
        j += 1
    return end
