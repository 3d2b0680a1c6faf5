"""Fused: trainers that hold a network's weights in their own layout, and train parts of epochs."""

from collections.abc import Iterator
from threading import Thread
from typing import Any

import numpy as np

from fastnn_kernels import barrier, cpu_training, philox
from fastnn_kernels.calls import address
from fastnn_kernels.cpu_plan import Plan
from fastnn_kernels.cpu_room import Array, Room
from fastnn_kernels.cpu_sparse import Sparse, writable


class Trainer:
    """What trainers have in common: weights in and out, and one call in all threads."""

    S: Array
    parts: Array

    def __init__(self, plan: Plan) -> None:
        plan.compile()
        self.plan, self.room = plan, Room(plan.dtype)
        self.job = np.zeros(1, cpu_training.JOB)
        self.job["is_mean"], self.job["is_sparse"] = plan.is_mean, plan.is_sparse
        self.job["takes"], self.job["k"] = plan.takes, plan.sizes[-1]
        for field, function in plan.functions().items():
            self.job[field] = address(*function)

    def load(self, flats: list[dict[str, Array]]) -> None:
        """Take over the parameters {"W1": (d, m), ...}, and what the optimizer keeps of them."""
        for inside, outside in self.pairs(flats):
            inside[...] = outside

    def store(self, flats: list[dict[str, Array]]) -> None:
        """Give back what load took over, after training."""
        for inside, outside in self.pairs(flats):
            outside[...] = inside

    def train(
        self, X: Array | Sparse, order: Array, labels: Array | None, Y: Array | None, w: Array,
        numbers: Array, seed: int, step: int, epoch: int, size: int, losses: Array, hits: Array,
    ) -> None:  # fmt: skip
        """Train on the rows of X in this order, `epoch` rows of it after another, `size` at a time.

        The first batch is the step `step` of the network's life; for what the others are, see
        cpu_training.train.  Where one diverges, NaN may stay in what pads the rows: then this
        trainer is over.
        """
        dtype, none = self.plan.dtype, np.empty(0, self.plan.dtype)
        sparse = X if isinstance(X, Sparse) else Sparse(
            np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, dtype))  # fmt: skip
        dense = np.empty((0, 0), dtype) if isinstance(X, Sparse) else writable(X)
        low, high, *_ = philox.key_and_counter(seed, step, 0)
        self.job["key_low"], self.job["key_high"], self.job["step"] = low, high, step
        self.job["epoch"], self.job["size"] = epoch, size
        counts = np.zeros(barrier.STRIDE * len(self.parts), np.int64)
        no_labels = np.empty(0, np.int64) if labels is None else labels

        done = set[int]()

        def work(thread: int) -> None:
            try:
                self.call(
                    thread, counts, dense, *sparse, order, no_labels,
                    none if Y is None else Y.reshape(-1), w, numbers, losses, hits,
                )  # fmt: skip
                done.add(thread)
            finally:
                if thread not in done:  # it failed: the others need not wait for it
                    counts[:] = np.iinfo(np.int64).max

        others = [Thread(target=work, args=(k,)) for k in range(1, len(self.parts))]
        try:
            for thread in others:
                thread.start()
            work(0)
        finally:
            if 0 not in done:  # not even begun, if the system refused a thread
                counts[:] = np.iinfo(np.int64).max
            for thread in others:
                if thread.ident is not None:
                    thread.join()
        if len(done) < len(self.parts):
            raise RuntimeError("a thread of the trainer failed")  # and has said why

    def call(self, thread: int, *arguments: Any) -> None:
        """The compiled function, in one thread."""
        raise NotImplementedError

    def pairs(self, flats: list[dict[str, Array]]) -> Iterator[tuple[Array, Array]]:
        """(place in S, array outside) of each tensor, or of each part of one."""
        raise NotImplementedError

    def view(self, place: int, shape: tuple[int, int], row: int) -> Array:
        """A matrix in S."""
        n, m = shape
        return self.S[place : place + n * row].reshape(n, row)[:, :m]
