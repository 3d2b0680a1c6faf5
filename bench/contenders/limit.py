"""The limit: what a training that calls BLAS for its dense products cannot fall below.

Others can, and then have more than 100 % of it: by another BLAS, by zeros in X, and for a batch of
one, whose products are of vectors, by an update that never writes A^T dZ down.
"""

import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from bench.cases import Array, Job
from bench.contenders import Contender

CACHED, LARGE = 1 << 20, 1 << 28  # bytes: in a core's L2; beyond all caches


class Products(Contender):
    """The matrix products of a job and nothing else, into buffers that are there.

    np.dot for all, also for a batch of one: the outer product A^T dZ takes it half the time of
    np.multiply.outer, and a fifth of np.matmul's.
    """

    name = "BLAS alone"
    xp: ClassVar[ModuleType] = np

    def __init__(self, job: Job) -> None:
        self.epochs, self.products = job.epochs, list(_epoch(job, self.xp))

    def begin(self) -> None:
        """Any numbers do."""

    def train(self) -> None:
        for _ in range(self.epochs):
            for A, B, out in self.products:
                self.xp.dot(A, B, out)

    def layers(self) -> None:
        return None


def traffic_seconds(job: Job) -> float:
    """Of reading and writing all weights once in each step, as fast as so many can be copied."""
    weights = sum(W.nbytes + b.nbytes for W, b in job.start())
    return 2 * weights * job.steps / copy_bandwidth(weights)


def copy_bandwidth(size: int) -> float:
    """Bytes a second, read and written, of np.copyto from one half of `size` bytes to the other."""
    source, target = np.ones((2, size // 8), np.float32)
    times = max(1, LARGE // size)

    def copies() -> None:
        for _ in range(times):
            np.copyto(target, source)

    return 2 * source.nbytes * times / _seconds(copies)


def _epoch(job: Job, xp: Any) -> Iterator[tuple[Array, Array, Array]]:
    """A, B and where A B goes, of all products: A W, A^T dZ and, but for the first layer, dZ W^T.

    A first layer's A is a slice of X: nothing is gathered.
    """
    rng = np.random.default_rng(0)
    all_X, weights = xp.asarray(job.X), [xp.asarray(W) for W, _ in job.start()]
    gradients = [xp.empty_like(W) for W in weights]
    inputs, outputs = {}, {}
    for n in {job.batch_size, job.rows % job.batch_size}:
        inputs[n] = [xp.asarray(rng.random((n, m), np.float32)) for m in job.sizes]
        outputs[n] = [xp.empty_like(A) for A in inputs[n]]
    for i in range(0, job.rows, job.batch_size):
        X = all_X[i : i + job.batch_size]
        A, out = [X, *inputs[len(X)][1:]], outputs[len(X)]
        for k, (W, dW) in enumerate(zip(weights, gradients, strict=True)):
            dZ = inputs[len(X)][k + 1]
            yield A[k], W, out[k + 1]
            yield A[k].T, dZ, dW
            if k:
                yield dZ, W.T, out[k]


def _seconds(work: Callable[[], None], times: int = 5) -> float:
    """The least of a few times, after a first that is not counted."""
    work()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)
