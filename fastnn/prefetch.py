"""Rows of host memory for a GPU that cannot hold them all: each copied while it works on others.

Two slabs take turns, each a pinned buffer here and a buffer there, which a copy engine joins
without the processor.  A buffer is written again only after its last reader is done.
"""

from collections.abc import Iterator

import numpy as np

from fastnn.backend import Array, Backend

HostArray = np.ndarray[tuple[int, ...], np.dtype[np.generic]]


def prefetched(X: HostArray, order: Array | None, length: int, backend: Backend) -> Iterator[Array]:
    """X (n, d) on the device in this order (None: its own), `length` rows at a time.

    What comes out is overwritten two slabs later.
    """
    n, cuda = len(X) if order is None else len(order), backend.xp.cuda
    length = min(length, n)
    turns = [_Turn(length, X, backend) for _ in range(min(2, -(-n // length)))]
    copies = cuda.Stream(non_blocking=True)

    def begin(first: int) -> None:
        part = slice(first, min(first + length, n))
        if first < n:
            turns[first // length % len(turns)].copy(
                X, part if order is None else order[part], copies
            )

    try:
        begin(0)
        for first in range(0, n, length):
            begin(first + length)
            turn = turns[first // length % len(turns)]
            cuda.get_current_stream().wait_event(turn.copied)
            yield turn.there[: min(length, n - first)]
            turn.used.record()
    finally:
        copies.synchronize()  # a copy under way may not outlive its buffers


class _Turn:
    """A pinned buffer, one on the device, and when each was last done with."""

    def __init__(self, length: int, X: HostArray, backend: Backend) -> None:
        cuda, shape = backend.xp.cuda, (length, X.shape[1])
        memory = cuda.alloc_pinned_memory(length * X[:1].nbytes)
        self.here = np.frombuffer(memory, X.dtype, length * X.shape[1]).reshape(shape)
        self.there = backend.xp.empty(shape, X.dtype)
        self.copied = cuda.Event(disable_timing=True)
        self.used = cuda.Event(disable_timing=True)
        self.used.record()  # by whatever had this memory before

    def copy(self, X: HostArray, rows: Array | slice, stream: Array) -> None:
        """Begin to copy these rows."""
        self.copied.synchronize()  # the copy before has left the pinned buffer
        n = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        if isinstance(rows, slice):
            self.here[:n] = X[rows]
        else:
            X.take(rows, axis=0, out=self.here[:n], mode="clip")  # other modes make a copy first
        stream.wait_event(self.used)
        self.there[:n].set(self.here[:n], stream)
        self.copied.record(stream)
