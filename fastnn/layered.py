"""Layered: an epoch op by op, by Dense layers and a loss.

It works for everything, and is what every other way to run an epoch is checked against.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from fastnn.backend import Array
from fastnn.evaluation import read
from fastnn.progress import Progress

if TYPE_CHECKING:
    from fastnn.run import Run


class Layered:
    """Cut, forward, back, step: the epochs of a run."""

    execution = "layers"

    def __init__(self, run: "Run") -> None:
        net, loss, most, seed = run.net, run.loss, max(run.batch_sizes), run.seed
        self.run, self.kernels = run, net.backend.kernels
        self.stack = net.stack(
            loss, most, run.trained, lambda: (seed, net.steps), run.settings.precision
        )
        self.update = run.optimizer.begin(
            run.trained, self.stack.gradient, run.state, net.params, net.backend
        )
        self.w = net.backend.zeros(most) + net.dtype.type(loss.factor)

    def epochs(self, _: Progress) -> int:
        """None at once."""
        return 0

    def steps(self, bar: Progress) -> None:
        """Every batch of the epoch that is left, once."""
        run, settings = self.run, self.run.settings
        for start, X, targets, labels, w in self._batches():
            n = len(X)
            part = slice(start, start + n)
            scale = 1 / n if settings.reduction == "mean" else 1.0
            for callback in run.watching_batches:
                callback.on_train_batch_begin(run.batch, {})
            Z = self.stack.backpropagate(X, targets, w[:n], scale, run.losses[part])
            if labels is not None:
                self.kernels.hits(Z, labels, run.hits[part])
            if settings.l1 or settings.l2:
                self.stack.penalize(settings.l1, settings.l2)
            with run.interruption:
                self.update(run.step)
                run.count(1)
            bar.advance(n)
            if bar.is_due():
                bar.report(run.epoch + 1, read(run.seen(), run.net.backend))
            for callback in run.watching_batches:
                callback.on_train_batch_end(run.batch - 1, read(run.seen(), run.net.backend))
            run.keep()

    def _batches(self) -> Iterator[tuple[int, Array, Array, Array | None, Array]]:
        """(first position, X, targets, labels, w) of each batch left, cut from gathered slabs.

        w may have more rows than the batch.
        """
        run, backend = self.run, self.run.net.backend
        batch, done, order = run.batch_size, run.rows, run.order()
        if done:
            order = (np.arange(len(run.data)) if order is None else order)[done:]
        row_bytes = run.net.sizes[0] * backend.dtype.itemsize
        slab = batch * max(1, backend.slab_bytes // (batch * row_bytes))
        for k, (X, targets) in enumerate(run.lessons.slabs(order, slab)):
            for i in range(0, len(X), batch):
                rows = slice(i, i + batch)
                labels = None if targets.labels is None else targets.labels[rows]
                w = self.w if targets.weights is None else targets.weights[rows]
                yield done + k * slab + i, X[rows], targets.values[rows], labels, w
