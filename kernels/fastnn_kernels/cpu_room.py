"""Room: places in one vector S, found before S is made."""

from typing import Any

import numpy as np

from fastnn_kernels import simd

Array = np.ndarray[Any, Any]

_ALIGNMENT = 128  # bytes


class Room:
    """Places from 0 to `end`, each on a boundary of cache lines."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype, self.end = dtype, 0
        self.lanes = simd.BYTES // dtype.itemsize
        self._step = max(self.lanes, _ALIGNMENT // dtype.itemsize)

    def take(self, count: Any) -> int:
        """The place of so many numbers."""
        place, self.end = self.end, self.end + -(-int(count) // self._step) * self._step
        return place

    def width(self, count: int) -> int:
        """Of a row of so many numbers, a whole number of vectors.

        The same column of successive rows is then not always in one cache set.
        """
        width = -(-count // self.lanes) * self.lanes
        return width + self.lanes * (width % 128 == 0)

    def vector(self, size: int) -> Array:
        """S, of so many numbers and what a vector may read beyond them, not set."""
        slack = _ALIGNMENT // self.dtype.itemsize
        block = np.empty(size + self._step + slack, self.dtype)
        start = -block.ctypes.data % _ALIGNMENT // self.dtype.itemsize
        return block[start : start + size + self._step]
