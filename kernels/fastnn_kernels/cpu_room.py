"""Room: places in one aligned vector, handed out before there is a vector."""

from typing import Any

import numpy as np

from fastnn_kernels import simd

Array = np.ndarray[Any, Any]

_ALIGNMENT = 128  # bytes: a pair of cache lines


class Room:
    """Places for matrices of a float type, whose rows are whole vectors."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype, self.lanes, self.end = dtype, simd.BYTES // dtype.itemsize, 0

    def take(self, count: Any) -> int:
        """The place of so many numbers, on a boundary of its own."""
        step = max(self.lanes, _ALIGNMENT // self.dtype.itemsize)
        place, self.end = self.end, self.end + -(-int(count) // step) * step
        return place

    def row(self, vectors: int) -> int:
        """Numbers from row to row: not such that a column's numbers share a set of the cache."""
        count = vectors * self.lanes
        return count + self.lanes * (count % 128 == 0)

    def vector(self) -> Array:
        """All that was handed out, zero."""
        slack = _ALIGNMENT // self.dtype.itemsize
        block = np.zeros(self.end + 2 * slack, self.dtype)
        start = -block.ctypes.data % _ALIGNMENT // self.dtype.itemsize
        return block[start : start + self.end + slack]
