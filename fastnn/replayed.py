"""Replayed: the steps of a GPU, captured once and replayed, in parts of fifty milliseconds.

The result is that of the layers up to rounding, whatever the parts.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import sparsity
from fastnn.backend import Array
from fastnn.parts import InParts
from fastnn.progress import Progress

if TYPE_CHECKING:
    from fastnn.run import Run

SECONDS = 0.05  # of a part: Ctrl-C and the progress bar wait as long
STEP = 10e-6  # seconds of a step, before one is known
STATIC = 4096  # bytes of shared memory that kernels have without asking
MOST_WORK = 2**31  # numbers, whose places are 32-bit integers


class Replayed(InParts):
    """The epochs of a run by fastnn_kernels.cuda_trainer."""

    @staticmethod
    def obstacles(run: "Run") -> list[str]:
        """What stands in the way of it here."""
        from fastnn_kernels.cuda_plan import MOST_LAYERS

        net, found = run.net, []
        if run.loss.is_straight:
            found.append(f"loss {run.loss.name!r}")
        if not run.data.rows.is_there:
            found.append("an X that stays in host memory")
        if len(net.sizes) - 1 > MOST_LAYERS:
            found.append(f"{len(net.sizes) - 1} layers, more than {MOST_LAYERS}")
            return found
        plan = _plan(run)
        needed, there = max(launch.shared for launch in plan.launches), plan.most_bytes
        if needed > there:
            found.append(f"so many units: {needed:,} bytes of shared memory of {there:,}")
        if plan.job()[1] >= MOST_WORK:
            found.append(f"batches of {plan.batch_size:,}")
        return found

    def __init__(self, run: "Run") -> None:
        super().__init__(run, SECONDS, SECONDS / STEP * run.batch_size)
        self.plan = _plan(run)

    def _prepare(self, bar: Progress) -> None:
        if self.trainer is not None:
            return
        from fastnn_kernels.cuda_trainer import Trainer, takes

        bar.tell("compiling")
        run, net = self.run, self.run.net
        rows, targets, scaling = run.data.rows, run.lessons.targets, run.data.rows.scaling
        X, offset, factor = rows.X, np.zeros(()), np.ones(())
        if not takes(X.dtype):
            X = rows[:]
        elif scaling is not None:
            offset, factor = map(net.backend.asnumpy, (scaling.offset, scaling.factor))
        self.numbers = run.optimizer.numbers()
        self.trainer = Trainer(
            self.plan, net.backend.xp, run.vectors, net.layout.offsets, X, offset, factor,
            targets.labels, targets.values if targets.values.ndim == 2 else None,
            targets.weights, run.loss.factor, run.seed,
        )  # fmt: skip

    def _train(self, order: Any, epoch: int, numbers: Any, losses: Array, hits: Array) -> None:
        run = self.run
        losses[...], hits[...] = self.trainer.train(
            order, epoch, run.batch_size, numbers, run.net.steps
        )
        run.net.backend.synchronize()  # the time of a part is measured


def _plan(run: "Run") -> Any:
    from fastnn_kernels.cuda_plan import FEW, WIDEST, ChunkPlan, Plan

    net, optimizer, rows = run.net, run.optimizer, max(run.batch_sizes)
    is_plain = optimizer.is_plain and not any(net.architecture.dropout)
    is_even = not callable(run.settings.batch_size) and rows <= FEW
    attributes = net.backend.xp.cuda.Device().attributes
    steps = Plan(
        sizes=net.sizes, activations=net.activations, dropout=net.architecture.dropout,
        has_bias=net.architecture.bias, output=net.output,
        loss=run.loss.kernel(run.lessons.targets.values), optimizer=optimizer.rule,
        keeps=len(optimizer.keeps), dtype=net.dtype, batch_size=rows,
        is_mean=run.settings.reduction == "mean",
        most_bytes=attributes["MaxSharedMemoryPerBlockOptin"] - STATIC,
    )  # fmt: skip
    if not (is_plain and is_even and len(net.sizes) > 2 and max(net.sizes[1:]) <= WIDEST):
        return steps
    chunks = ChunkPlan(**vars(steps))
    fits = max(launch.shared for launch in chunks.launches) <= chunks.most_bytes
    return chunks if fits and sparsity.are_squares_finite(run.data.rows) else steps
