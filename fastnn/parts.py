"""Parts: epochs in compiled calls, several in one or one in several, each of a given time.

The result is the same whatever the parts.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.backend import Array
from fastnn.errors import ArgumentError
from fastnn.evaluation import mean, means, read
from fastnn.progress import Progress

if TYPE_CHECKING:
    from fastnn.run import Run

MOST = 2e6  # numbers that several epochs may need room for: five a row, and its targets


def obstacles(run: "Run") -> list[str]:
    """What of a run no trainer can do."""
    optimizer, settings = run.optimizer, run.settings
    found = {
        "l1": settings.l1, "l2": settings.l2,
        **{name: getattr(optimizer, name) is not None
           for name in ("clip_value", "clip_norm", "ema")},
        "callbacks that watch batches": run.watching_batches,
        f"precision {settings.precision!r}": settings.precision != "float32",
    }  # fmt: skip
    return [name for name, is_there in found.items() if is_there]


class InParts:
    """The epochs of a run by a trainer of whole batches in a given order."""

    execution = "fused"
    plan: Any  # of the trainer
    numbers: Callable[[int], list[float]]  # of the optimizer at a step, once prepared
    trainer: Any = None

    def __init__(self, run: "Run", seconds: float, rows: float, grain: int = 1) -> None:
        """seconds: of a part; rows: of the first one; grain: batches that no part divides."""
        self.run, self.seconds, self.rows, self.grain = run, seconds, rows, grain
        self.is_careful = False  # then it goes epoch by epoch, to see in which one something fails

    def _prepare(self, bar: Progress) -> None:
        """Compile, and convert X, unless it is done."""
        raise NotImplementedError

    def _train(self, order: Any, epoch: int, numbers: Any, losses: Array, hits: Array) -> None:
        """Train on the rows in this order, in epochs of so many."""
        raise NotImplementedError

    def epochs(self, _: Progress) -> int:
        """As many as a part has time for, where that is several and none fails: how many."""
        run, count = self.run, self._count()
        if count < 2:
            return 0
        n, began = len(run.data), time.perf_counter()
        backend = run.net.backend
        losses, hits = (backend.xp.empty((count, n), run.net.dtype) for _ in range(2))
        with run.interruption:
            if not self._train_whole(losses, hits):
                self.is_careful, self.trainer = True, None  # what pads its rows may be NaN
                return 0
            seconds = (time.perf_counter() - began) / count
            seen = means(losses, hits, run.data)
            figures = {name: backend.asnumpy(x).tolist() for name, x in seen.items()}
            figures["seconds"] = [seconds] * count
            run.count_epochs(figures, count * -(-n // run.batch_size))
        self.rows = self.seconds * n / seconds
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
            batches = max(1, round(self.rows / run.batch_size / self.grain)) * self.grain
            part = slice(run.rows, min(run.rows + batches * run.batch_size, n))
            rows = part.stop - part.start
            steps = -(-rows // run.batch_size)
            began = time.perf_counter()
            numbers = self._numbers(steps)
            with run.interruption:
                self._train(order[part], rows, numbers, run.losses[part], run.hits[part])
                run.count(steps)
            self.rows = self.seconds * rows / (time.perf_counter() - began)
            bar.advance(rows)
            if bar.is_due():
                bar.report(run.epoch + 1, read(run.seen(), run.net.backend))
            run.keep()

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
