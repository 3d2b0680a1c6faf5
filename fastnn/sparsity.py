"""Sparsity: how many numbers of X are not zero, and X without those that are."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastnn.backend import Array
from fastnn.inputs import Rows

_SOME = 2**16  # numbers: of rows like MNIST's, the density to 3 %


def density(rows: Rows) -> float:
    """The share of numbers that are not zero, in some rows drawn at random."""
    n, d = len(rows), rows.X.shape[1]
    count = max(1, _SOME // d)
    if n <= count:
        some = rows[:]
    else:
        some = rows[np.sort(np.random.default_rng(n).choice(n, count, replace=False))]
    return float(np.count_nonzero(some) / some.size)


def are_squares_finite(rows: Rows) -> bool:
    """Whether products of two rows cannot overflow, nor their sums with other numbers."""
    is_here = rows.backend.device == "cpu"
    blocks = _blocks(rows) if is_here else _blocks(rows, rows.backend.block(rows.X.shape[1]))
    flat = (block.reshape(-1) for block in blocks)
    # More than the largest.  Not by BLAS, whose threads would hold a core for 25 ms afterwards.
    with np.errstate(over="ignore"):
        squares = sum(float(np.einsum("i,i", x, x)) for x in flat)
    limit = float(np.finfo(rows.backend.dtype).max)
    return bool(squares * rows.X.shape[1] < limit**0.9)


def compressed(rows: Rows, density: float) -> Any:
    """The rows, of about this density, as a fastnn_kernels.cpu_sparse.Sparse."""
    from fastnn_kernels import cpu_sparse  # brings in Numba

    blocks = map(np.ascontiguousarray, _blocks(rows))
    return cpu_sparse.compressed(blocks, len(rows), int(density * rows.X.size))


def _blocks(rows: Rows, length: int = 0) -> Iterator[Array]:
    """All rows, scaled, so many at a time; or as many as stay in a core's cache."""
    length = length or max(1, 2**16 // rows.X.shape[1])
    for start in range(0, len(rows), length):
        yield rows[start : start + length]
