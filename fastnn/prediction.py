"""Prediction: a network's outputs on a CPU, in one compiled call or one for some rows each.

The result is that of the layers up to rounding, whatever the number of threads; NaN among the
weights comes out where it is used, which it is not beside zeros of X.  What is not plain, such as
an X that has to be refused, is left to the layers: then the result is None.  Weights are read at
each call, so that what is written into them counts at once.
"""

from _thread import start_new_thread
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import compiling
from fastnn.backend import Array
from fastnn.fused import LAYERS
from fastnn.threads import thread_count

if TYPE_CHECKING:
    from fastnn.network import MLP

FEW = 16  # rows, up to which the weights are not laid out anew
CACHE = 2**20  # bytes of weights that a core's cache holds
LEFT = range(3, FEW + 1)  # rows that BLAS does faster where weights are more, if no X is zero
TOO_MANY = 2**22  # bytes of weights, in whole vectors, that one thread reads too slowly
VECTOR = 64  # bytes
CHUNK = 2**18  # numbers of X that are converted at once
ALONE = 1e8  # operations that one thread does as soon as two
UNIT, ROW = 330, 4000  # operations in whose time a unit is activated, and a row begun and ended
CALL = 20e-6  # the layers' seconds for a call, beside those for operations


def is_worth_compiling(net: "MLP", head: str, rows: int) -> bool:
    """Whether to compile for so many rows more, as fastnn.compiling has it."""
    if rows in _left(net):
        return False
    seconds = CALL + 2 * net.layout.count * rows / LAYERS
    return compiling.is_worth((net.architecture, net.dtype.char, head), seconds)


def prediction(net: "MLP", head: str, may_compile: bool = False) -> "Prediction | None":
    """Of a network with output activation `head`; None where the layers are better."""
    if not _is_for(net):
        return None
    plan = planned(net, head)
    return Prediction(net, plan) if may_compile or plan.is_compiled else None


def is_uncompiled(net: "MLP", head: str) -> bool:
    """Whether there is one that would have to be compiled."""
    return _is_for(net) and not planned(net, head).is_compiled


def obstacles(net: "MLP") -> list[str]:
    """What stands in the way of it on a CPU."""
    has_compiler = hasattr(net.backend.kernels.bias_step, "overloads")
    vectors = (d * -(-m * net.dtype.itemsize // VECTOR) for d, m in pairwise(net.sizes))
    size = VECTOR * sum(vectors)
    return ["uncompiled kernels"] * (not has_compiler) + [
        f"{size:,} bytes of weights, more than {TOO_MANY:,}"] * (size > TOO_MANY)  # fmt: skip


def _left(net: "MLP") -> range:
    """Numbers of rows at once that the layers predict faster."""
    return LEFT if net.layout.size * net.dtype.itemsize > CACHE else range(0)


def _is_for(net: "MLP") -> bool:
    return net.device == "cpu" and not obstacles(net)


def planned(net: "MLP", head: str) -> Any:
    """What a network's prediction needs to be compiled: a fastnn_kernels.cpu_predictor.Plan."""
    from fastnn_kernels.cpu_predictor import Plan  # brings in Numba

    return Plan(net.sizes, (*net.activations, head), net.dtype)


def operations(net: "MLP") -> int:
    """Of a row, with what takes as long."""
    return 2 * net.layout.count + UNIT * sum(net.sizes[1:]) + ROW


class Prediction:
    """A network's outputs, from its parameters as they are at each call."""

    def __init__(self, net: "MLP", plan: Any, left: range | None = None) -> None:
        """left: numbers of rows at once that are left to the layers; None are those that pay."""
        from fastnn_kernels.cpu_predictor import Predictor

        self.predictor = Predictor(plan, net.params, net.layout.offsets)
        self.spaces: list[tuple[int, Any]] = []
        self.scaling, self.dtype = net.scaling, net.dtype
        self.d, self.k = net.sizes[0], net.sizes[-1]
        self.operations = operations(net)
        self.left = _left(net) if left is None else left
        # One row costs 2 us, and each name that is looked up for it 20 ns.
        self.predict_few, self.few_space = self.predictor.predict_few, self.predictor.few_space
        self.P, self.layers = net.params, self.predictor.layers[0]
        self.row_shape, self.sample_shape, self.out_shape = (1, self.d), (self.d,), (1, self.k)
        self.ready_type = net.dtype if net.scaling is None else None  # of what needs no conversion

    def row(self, X: Any) -> Array | None:
        """Outputs for a row (1, d) or (d,) that needs no conversion."""
        if type(X) is not np.ndarray:
            return None
        if X.shape == self.row_shape and X.dtype is self.ready_type and X.flags.carray:
            out = np.empty(self.out_shape, self.dtype)
            is_finite = self.predict_few(X, out, self.P, self.layers, *self.few_space())
            return out if is_finite else None
        if X.shape == self.sample_shape:
            A = self.row(X.reshape(self.row_shape))
            return None if A is None else A[0]
        return None

    def rows(self, X: Array) -> Array | None:
        """Outputs (n, k) for X (n, d) of real numbers."""
        if X.ndim != 2 or X.shape[1] != self.d or len(X) in self.left:
            return None
        out = np.empty((len(X), self.k), self.dtype)
        if len(X) > FEW:
            is_finite = self._predict_many(X, out)
        else:
            X, room = self._ready(X), self.few_space()
            is_finite = self.predict_few(X, out, self.P, self.layers, *room)
        return out if is_finite else None

    def _predict_many(self, X: Array, out: Array) -> bool:
        n, block = len(X), self.predictor.block
        threads = 1 if n * self.operations < ALONE else thread_count()
        share = n if threads == 1 else n // (4 * threads)
        size = block * max(1, min(CHUNK // self.d, share) // block)
        starts = range(0, n, size)
        threads = min(threads, len(starts))
        space = self._space(threads)
        self.predictor.pack(space)

        def predict(start: int, part: int) -> bool:
            rows = slice(start, start + size)
            is_finite: bool = self.predictor.predict_many(
                self._ready(X[rows]), out[rows], space, part
            )
            return is_finite

        if threads == 1:
            are_finite = [predict(start, 0) for start in starts]
        else:
            are_finite = _in_threads(threads, predict, iter(starts))
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
        if X.dtype is self.ready_type and X.flags.carray:
            return X
        with np.errstate(all="ignore"):
            if self.scaling is not None:
                X = self.scaling(X, self.dtype)
            return np.require(X, self.dtype, ["C", "A", "W"])


def _in_threads(
    threads: int, predict: Callable[[int, int], bool], chunks: Iterator[int]
) -> list[bool]:
    """What predict says of each chunk, which the first thread that is free takes."""
    found: list[bool] = []

    def work(part: int) -> None:
        with at_work[part]:
            for start in chunks:  # each by one thread
                found.append(predict(start, part))

    at_work = [Lock() for _ in range(threads)]
    with suppress(RuntimeError):  # the system refuses a thread: the others do its work
        for part in range(1, threads):
            start_new_thread(work, (part,))
    work(0)
    for lock in at_work:
        lock.acquire()  # one that has not begun is not waited for: it finds nothing to do
        lock.release()
    return found
