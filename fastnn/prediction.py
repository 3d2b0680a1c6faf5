"""Prediction: a network's outputs on a CPU in one compiled call, or one for each thread.

The result is that of the layers up to rounding, whatever the number of threads.  What is not
plain, such as an X that has to be refused, is left to the layers: then the result is None.
"""

from _thread import start_new_thread
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.backend import Array
from fastnn.threads import thread_count

if TYPE_CHECKING:
    from fastnn.network import MLP

FEW = 16  # rows, up to which the weights are not laid out anew
CHUNK = 8  # blocks of rows that are converted at once
ALONE = 4e7  # operations that one thread does as soon as two


def prediction(net: "MLP", head: str) -> "Prediction | None":
    """Of a network with output activation `head`; None where nothing is compiled for it."""
    if net.device != "cpu" or not hasattr(net.backend.kernels.bias_step, "overloads"):
        return None
    plan = planned(net, head)
    return Prediction(net, plan) if plan.is_compiled else None


def planned(net: "MLP", head: str) -> Any:
    """What a network's prediction needs to be compiled: a fastnn_kernels.cpu_predictor.Plan."""
    from fastnn_kernels.cpu_predictor import Plan  # brings in Numba

    return Plan(net.sizes, (*net.activations, head), net.dtype)


class Prediction:
    """A network's outputs, from its parameters as they are at each call."""

    def __init__(self, net: "MLP", plan: Any) -> None:
        from fastnn_kernels.cpu_predictor import Predictor

        self.predictor = Predictor(plan, net.params, net.layout.offsets)
        self.spaces: list[tuple[int, Any]] = []
        self.scaling, self.dtype = net.scaling, net.dtype
        self.d, self.k = net.sizes[0], net.sizes[-1]
        self.operations = 2 * net.layout.count  # of a row
        # One row costs 2 us, and each name that is looked up for it 20 ns.
        self.predict_few = self.predictor.predict_few
        self.P, self.layers = net.params, self.predictor.layers[0]
        self.room = self.predictor.few_room
        self.row_shape, self.out_shape = (1, self.d), (1, self.k)

    def row(self, X: Any) -> Array | None:
        """Outputs (1, k) for a row (1, d) that needs no conversion."""
        if type(X) is np.ndarray and X.shape == self.row_shape and self._is_ready(X):
            out = np.empty(self.out_shape, self.dtype)
            if self.predict_few(X, out, self.P, self.layers, self.room):
                return out
        return None

    def rows(self, X: Array) -> Array | None:
        """Outputs (n, k) for X (n, d) of real numbers."""
        if X.ndim != 2 or X.shape[1] != self.d:
            return None
        out = np.empty((len(X), self.k), self.dtype)
        if len(X) > FEW:
            is_finite = self._predict_many(X, out)
        else:
            is_finite = self.predict_few(self._ready(X), out, self.P, self.layers, self.room)
        return out if is_finite else None

    def _predict_many(self, X: Array, out: Array) -> bool:
        n, block = len(X), self.predictor.block
        threads = 1 if n * self.operations < ALONE else thread_count()
        size = block * max(1, min(CHUNK, n // (4 * threads * block)))
        starts = range(0, n, size)
        threads = min(threads, len(starts))
        space, chunks = self._space(threads), iter(starts)
        are_finite: list[bool] = []
        self.predictor.pack(space)

        def work(part: int) -> None:
            with at_work[part]:
                for start in chunks:  # each by one thread
                    rows = slice(start, start + size)
                    X_ready = self._ready(X[rows])
                    are_finite.append(self.predictor.predict_many(X_ready, out[rows], space, part))

        at_work = [Lock() for _ in range(threads)]
        for part in range(1, threads):
            start_new_thread(work, (part,))
        work(0)
        for lock in at_work:
            lock.acquire()  # one that has not begun is not waited for: it finds nothing to do
            lock.release()
        self.spaces.append((threads, space))
        return len(are_finite) == len(starts) and all(are_finite)

    def _space(self, threads: int) -> Any:
        """One that a call before has left, so that the system need not give its pages anew."""
        while self.spaces:
            with suppress(IndexError):  # another thread was quicker
                parts, space = self.spaces.pop()
                if parts == threads:
                    return space
        return self.predictor.space(threads)

    def _ready(self, X: Array) -> Array:
        """Scaled, in the network's type, and laid out as the compiled functions want it."""
        if self._is_ready(X):
            return X
        with np.errstate(all="ignore"):
            if self.scaling is not None:
                X = self.scaling(X, self.dtype)
            return np.require(X, self.dtype, ["C", "A", "W"])

    def _is_ready(self, X: Array) -> bool:
        return X.dtype is self.dtype and X.flags.carray and self.scaling is None
