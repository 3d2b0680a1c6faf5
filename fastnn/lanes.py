"""Lanes: many epochs of a very small network on the whole batch in one compiled call.

The result is that of the layers up to rounding, however many epochs a call makes.  The order of
the rows would change nothing but rounding, so none is drawn.
"""

import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import fused
from fastnn.progress import Progress

if TYPE_CHECKING:
    from fastnn.run import Run

WIDEST = 15  # layer: wider ones fill vectors by themselves
MOST = 100_000  # epochs of a call, as each takes room in memory


def fits(run: "Run") -> bool:
    """Whether the network is small enough, each batch the whole, and the loss has a gradient."""
    net = run.net
    is_whole = not callable(run.settings.batch_size) and run.batch_sizes == [len(run.data)]
    is_whole = is_whole and not run.loss.is_straight
    return is_whole and max(net.sizes) <= WIDEST and not any(net.architecture.dropout)


class Lanes:
    """The epochs of a run by fastnn_kernels.cpu_lanes."""

    execution = "fused"

    def __init__(self, run: "Run") -> None:
        from fastnn_kernels.cpu_small import Plan  # brings in Numba

        net, optimizer, targets = run.net, run.optimizer, run.lessons.targets
        self.run = run
        self.plan = Plan(
            sizes=net.sizes, activations=net.activations, has_bias=net.architecture.bias,
            output=net.output, loss=run.loss.kernel(targets.values).removesuffix("_labels"),
            takes_logits=run.loss.takes_logits, optimizer=optimizer.rule,
            keeps=len(optimizer.keeps), has_labels=targets.labels is not None, dtype=net.dtype,
        )  # fmt: skip
        self.operations = 6 * net.layout.count * len(run.data)  # of an epoch
        self.speed = fused.SPEED / self.operations  # epochs a second; the first call sees
        self.trainer: Any = None

    @property
    def layered_seconds(self) -> float:
        """What the layers would take for all epochs."""
        return self.run.settings.epochs * (fused.STEP + self.operations / fused.LAYERS)

    def epochs(self, bar: Progress) -> int:
        """As many as half a second takes, fewer if one diverges: how many."""
        self._prepare(bar)
        run, began = self.run, time.perf_counter()
        most = min(max(1, round(fused.SECONDS * self.speed)), MOST, run.settings.epochs - run.epoch)
        target = run.settings.target_loss
        numbers = self._numbers(most)
        if run.optimizer.varies:
            most = len(numbers)
        with run.interruption:
            self.trainer.load(self.flats)
            losses, accuracies, diverged = self.trainer.train(
                numbers, math.nan if target is None else target, most
            )
            self.trainer.store(self.flats, as_of="before" if diverged else "p")
            count, passed = len(losses), time.perf_counter() - began
            figures = {"loss": losses.tolist(), "seconds": [passed / max(count, 1)] * count}
            if self.plan.has_labels:
                figures["accuracy"] = accuracies.tolist()
            run.count_epochs(figures, count)
        self.speed = max(count, 1) / passed
        return count

    def steps(self, bar: Progress) -> None:
        """The only step of an epoch, unless it is made."""
        if self.run.rows:
            return
        self._prepare(bar)
        run, numbers = self.run, self._numbers(1)
        with run.interruption:
            self.trainer.load(self.flats)
            self.trainer.train(numbers, math.nan, 1)
            self.trainer.store(self.flats)
            run.losses[...], run.hits[...] = self.trainer.seen()
            run.count(1)
        bar.advance(len(run.data))

    def _numbers(self, epochs: int) -> Any:
        """The optimizer's at the next steps, as far as its schedules go; one row if constant."""
        first = self.run.step
        rows = [self.numbers(first)]
        if self.run.optimizer.varies:
            with suppress(Exception):  # of a function as a schedule; it comes again as the first
                for k in range(1, epochs):
                    rows.append(self.numbers(first + k))
        return np.array(rows)

    def _prepare(self, bar: Progress) -> None:
        """Compile, and lay out X."""
        if self.trainer is not None:
            return
        from fastnn_kernels.cpu_small import Trainer

        if not self.plan.is_compiled:
            bar.tell("compiling")
        run, net, optimizer = self.run, self.run.net, self.run.optimizer
        targets, n = run.lessons.targets, len(run.data)
        Y, w = targets.values, targets.weights
        if Y.ndim == 1:
            Y = np.equal.outer(Y, np.arange(net.sizes[-1]))
        if w is None:
            w = np.full(n, run.loss.factor)
        scale = 1 / n if run.settings.reduction == "mean" else 1.0
        self.trainer = Trainer(self.plan, run.data.rows[:], Y, targets.labels, w, scale)
        self.flats = [net.layout.views(vector) for vector in run.vectors]
        self.numbers = optimizer.numbers()
