"""Fused: an epoch in one compiled call, or in a few that take half a second each.

The result is that of the layers up to rounding, whatever the parts and the number of threads.
"""

from typing import TYPE_CHECKING

import numpy as np

from fastnn import sparsity
from fastnn.backend import Array
from fastnn.parts import InParts
from fastnn.progress import Progress
from fastnn.threads import thread_count

if TYPE_CHECKING:
    from fastnn.run import Run

SECONDS = 0.5  # of a part: Ctrl-C and the progress bar wait as long
SPEED = 1e10  # operations a second of a slow machine; the first part's length follows from it
SPARSE = 0.3  # of X not zero: from here on it costs more to skip zeros than to multiply by them
DUAL = 10  # times less is enough for two threads where they wait once for a sample: see cpu_dual
# Rows that are worked on at a time, so that what they make stays in a core's cache.  The gradient
# of so many may be added to the weights term by term.
BLOCK = 256
ALONE = 5e6  # operations of a block that one thread does as soon as two
STEP, LAYERS = 60e-6, 3e10  # the layers' seconds for a step, and operations a second besides


class Fused(InParts):
    """The epochs of a run by fastnn_kernels.cpu_fused."""

    @staticmethod
    def obstacles(run: "Run") -> list[str]:
        """What stands in the way of it here."""
        has_compiler = hasattr(run.net.backend.kernels.sgd, "overloads")
        return [] if has_compiler else ["NUMBA_DISABLE_JIT"]

    def __init__(self, run: "Run") -> None:
        net, optimizer = run.net, run.optimizer
        from fastnn_kernels.cpu_plan import Plan  # brings in Numba

        rows, X, targets = max(run.batch_sizes), run.data.rows, run.lessons.targets
        self.density = sparsity.density(X)
        # Nothing that rounds otherwise may follow from how many epochs there are to be: a run
        # that goes on may have more.
        is_constant = not callable(run.settings.batch_size)
        is_plain = optimizer.is_plain and is_constant and rows <= BLOCK
        self.operations = 6 * net.layout.count  # of a row
        self.plan = Plan(
            sizes=net.sizes, activations=net.activations, dropout=net.architecture.dropout,
            has_bias=net.architecture.bias, output=net.output, dtype=net.dtype,
            loss=run.loss.kernel(targets.values), takes_logits=run.loss.takes_logits,
            optimizer="" if is_plain else optimizer.rule, keeps=len(optimizer.keeps),
            batch_size=rows, block=min(rows, BLOCK), is_mean=run.settings.reduction == "mean",
            is_sparse=self.density <= SPARSE, has_labels=targets.labels is not None,
            threads=self._threads(min(rows, BLOCK), is_plain),
            are_squares_finite=rows == 1 and is_plain and sparsity.are_squares_finite(X),
            is_straight=run.loss.is_straight, is_late=run.loss.is_late,
        )  # fmt: skip
        super().__init__(run, SECONDS, SECONDS * SPEED / self.operations, self.plan.grain)

    def _threads(self, rows: int, is_plain: bool) -> int:
        """As many as a block has work for."""
        operations = rows * self.operations * (DUAL if rows == 1 and is_plain else 1)
        operations += 0 if is_plain else 2 * self.operations  # of the optimizer
        return min(thread_count(), 1 + int(operations / ALONE))

    @property
    def layered_seconds(self) -> float:
        """What the layers would take for all epochs."""
        n, epochs = len(self.run.data), self.run.settings.epochs
        steps = [-(-n // size) for size in self.run.batch_sizes[:epochs]]
        count = sum(steps) + (epochs - len(steps)) * steps[-1]
        return count * STEP + n * epochs * self.operations / LAYERS

    def _prepare(self, bar: Progress) -> None:
        """Compile, and convert X."""
        if self.trainer is not None:
            return
        if not self.plan.is_compiled:
            bar.tell("compiling")
        from fastnn_kernels.cpu_batches import Batches
        from fastnn_kernels.cpu_samples import Samples

        run, net, optimizer = self.run, self.run.net, self.run.optimizer
        trainer = (Samples if self.plan.is_dual else Batches)(self.plan)
        rows = run.data.rows
        self.X = (
            sparsity.compressed(rows, self.density)
            if self.plan.is_sparse else np.ascontiguousarray(rows[:])
        )  # fmt: skip
        self.flats = [net.layout.views(vector) for vector in run.vectors]
        self.numbers = optimizer.numbers()
        self.trainer = trainer

    def _train(self, order: Array, epoch: int, numbers: Array, losses: Array, hits: Array) -> None:
        """Train on the rows in this order, in epochs of so many."""
        run, targets = self.run, self.run.lessons.targets[order]
        w = targets.weights
        if w is None:
            w = np.full(len(order), run.loss.factor, run.net.dtype)
        has_rows = targets.values.ndim == 2
        self.trainer.load(self.flats)
        self.trainer.train(
            self.X, order, targets.labels, targets.values if has_rows else None, w, numbers,
            run.seed, run.net.steps, epoch, run.batch_size, losses, hits,
        )  # fmt: skip
        self.trainer.store(self.flats)
