"""Fused: an epoch in one compiled call, or in a few that take half a second each.

The result is that of the layers up to rounding, whatever the parts and the number of threads.
"""

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import sparsity
from fastnn.backend import Array
from fastnn.errors import ArgumentError
from fastnn.evaluation import mean, read
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
MOST = 2e6  # numbers that several epochs may need room for: five a row, and its targets


def obstacles(run: "Run") -> list[str]:
    """What of a run the trainer cannot do."""
    optimizer, settings, backend = run.optimizer, run.settings, run.net.backend
    found = {
        f"device {backend.device!r}": backend.device != "cpu",
        "NUMBA_DISABLE_JIT": not hasattr(backend.kernels.sgd, "overloads"),
        "l1": settings.l1, "l2": settings.l2,
        **{name: getattr(optimizer, name) is not None
           for name in ("clip_value", "clip_norm", "ema")},
        "callbacks that watch batches": run.watching_batches,
    }  # fmt: skip
    return [name for name, is_there in found.items() if is_there]


class Fused:
    """The epochs of a run by fastnn_kernels.cpu_fused."""

    execution = "fused"

    def __init__(self, run: "Run") -> None:
        net, optimizer = run.net, run.optimizer
        from fastnn_kernels.cpu_plan import Plan  # brings in Numba

        rows, X, targets = max(run.batch_sizes), run.data.rows, run.lessons.targets
        self.density = sparsity.density(X)
        # Nothing that rounds otherwise may follow from how many epochs there are to be: a run
        # that goes on may have more.
        is_constant = not callable(run.settings.batch_size)
        is_plain = optimizer.is_plain and is_constant and rows <= BLOCK
        self.run = run
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
        self.rows = SECONDS * SPEED / self.operations  # of a part
        self.is_careful = False  # then it goes epoch by epoch, to see in which one something fails
        self.trainer: Any = None

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

    def epochs(self, _: Progress) -> int:
        """As many as half a second takes, where that is several and none fails: how many."""
        run, count = self.run, self._count()
        if count < 2:
            return 0
        n, began = len(run.data), time.perf_counter()
        losses, hits = np.empty((2, count, n), run.net.dtype)
        with run.interruption:
            if not self._train_whole(losses, hits):
                self.is_careful, self.trainer = True, None  # what pads its rows may be NaN
                return 0
            seconds = (time.perf_counter() - began) / count
            figures = {"loss": mean(losses).tolist(), "seconds": [seconds] * count}
            if run.data.targets.labels is not None:
                figures["accuracy"] = mean(hits).tolist()
            run.count_epochs(figures, count * -(-n // run.batch_size))
        self.rows = SECONDS * n / seconds
        return count

    def _count(self) -> int:
        """How many epochs go into a call; the first one goes alone, to see how long it takes."""
        run, settings = self.run, self.run.settings
        is_even = settings.target_loss is None and not callable(settings.batch_size)
        if self.trainer is None or self.is_careful or not (is_even and run.optimizer.is_foreseen):
            return 0
        values = run.lessons.targets.values
        most = MOST / (5 + (values.shape[1] if values.ndim == 2 else 0))
        return min(int(min(self.rows, most) / len(run.data)), settings.epochs - run.epoch)

    def _train_whole(self, losses: Array, hits: Array) -> bool:
        """The epochs that losses (epochs, n) are of, unless one fails; whether none does."""
        run, (count, n) = self.run, losses.shape
        try:
            numbers = self._numbers(count * -(-n // run.batch_size))
        except ArgumentError:  # it comes again at its step
            return False
        order = self._order(count)
        before = [vector.copy() for vector in run.vectors]
        self._train(order, n, numbers, losses.reshape(-1), hits.reshape(-1))
        if np.isfinite(run.trained).all() and np.isfinite(mean(losses)).all():
            return True
        for vector, kept in zip(run.vectors, before, strict=True):
            vector[...] = kept
        return False

    def steps(self, bar: Progress) -> None:
        """Every batch of the epoch that is left, once."""
        self._prepare(bar)
        run, n, order = self.run, len(self.run.data), self._order(1)
        while run.rows < n:
            batches = max(1, round(self.rows / run.batch_size / self.plan.grain)) * self.plan.grain
            part = slice(run.rows, min(run.rows + batches * run.batch_size, n))
            rows = part.stop - part.start
            steps = -(-rows // run.batch_size)
            began = time.perf_counter()
            numbers = self._numbers(steps)
            with run.interruption:
                self._train(order[part], rows, numbers, run.losses[part], run.hits[part])
                run.count(steps)
            self.rows = SECONDS * rows / (time.perf_counter() - began)
            bar.advance(rows)
            if bar.is_due():
                bar.report(run.epoch + 1, read(run.seen(), run.net.backend))
            run.keep()

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

    def _order(self, epochs: int) -> Array:
        """Of the rows, epoch after epoch."""
        if not self.run.settings.shuffle:
            return np.tile(np.arange(len(self.run.data)), epochs)
        return np.concatenate([self.run.order(later) for later in range(epochs)])

    def _numbers(self, steps: int) -> Array:
        """The optimizer's at the next steps; one row if constant."""
        first, count = self.run.step, steps if self.run.optimizer.varies else 1
        numbers = np.empty((count, len(self.numbers(first))))
        for k in range(count):
            numbers[k] = self.numbers(first + k)
        return numbers

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
