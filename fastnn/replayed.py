"""Replayed: the steps of a GPU, captured once and replayed, in parts of fifty milliseconds.

The result is that of the layers up to rounding, whatever the parts.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import sparsity
from fastnn.backend import Array, Backend
from fastnn.parts import InParts
from fastnn.progress import Progress

if TYPE_CHECKING:
    from fastnn.run import Run

SECONDS = 0.05  # of a part: Ctrl-C and the progress bar wait as long
STEP = 10e-6  # seconds of a step, before one is known
MOST = 0.0  # operations of a step, beyond which the layers are faster; 0 until it is measured
MOST_WORK = 2**31  # numbers, whose places are 32-bit integers


def operations(run: "Run") -> float:
    """Of a step: two for each parameter and row there, and four back."""
    return float(6 * run.net.layout.count * max(run.batch_sizes))


class Replayed(InParts):
    """The epochs of a run by fastnn_kernels.cuda_trainer."""

    @staticmethod
    def obstacles(run: "Run") -> list[str]:
        """What stands in the way of it here."""
        from fastnn_kernels.cuda_plan import MOST_LAYERS

        net = run.net
        if run.loss.is_straight:
            return [f"loss {run.loss.name!r}"]
        if not run.data.rows.is_there:
            return ["an X that stays in host memory"]
        if len(net.sizes) - 1 > MOST_LAYERS:
            return [f"{len(net.sizes) - 1} layers, more than {MOST_LAYERS}"]
        plan = _plan(run)
        if plan.needs > plan.most_bytes:
            return [f"so many units: {plan.needs:,} bytes of shared memory of {plan.most_bytes:,}"]
        if plan.places()[-1] >= MOST_WORK:
            return [f"batches of {plan.batch_size:,}"]
        return []

    def __init__(self, run: "Run") -> None:
        from fastnn_kernels.cuda_chunks import FEW, WIDEST, Chunks

        net, plan = run.net, _plan(run)
        is_plain = run.optimizer.is_plain and not any(net.architecture.dropout)
        is_few = not callable(run.settings.batch_size) and plan.batch_size <= FEW
        if is_plain and is_few and len(net.sizes) > 2 and max(net.sizes[1:]) <= WIDEST:
            chunks = Chunks(**vars(plan))
            if chunks.needs <= plan.most_bytes and sparsity.are_squares_finite(run.data.rows):
                plan = chunks
        self.plan = plan
        # Parts that begin in the midst of a chunk would round otherwise.
        super().__init__(run, SECONDS, SECONDS / STEP * run.batch_size, plan.batches)

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


def most_bytes(backend: Backend) -> int:
    """Of shared memory that a block may ask for on the current GPU."""
    from fastnn_kernels.cuda_plan import STATIC

    attributes = backend.xp.cuda.Device().attributes
    return int(attributes["MaxSharedMemoryPerBlockOptin"]) - STATIC


def _plan(run: "Run") -> Any:
    """A fastnn_kernels.cuda_plan.Plan for any batches."""
    from fastnn_kernels.cuda_plan import Plan

    net, optimizer = run.net, run.optimizer
    return Plan(
        sizes=net.sizes, activations=net.activations, dropout=net.architecture.dropout,
        has_bias=net.architecture.bias, output=net.output,
        loss=run.loss.kernel(run.lessons.targets.values), optimizer=optimizer.rule,
        keeps=len(optimizer.keeps), dtype=net.dtype, batch_size=max(run.batch_sizes),
        is_mean=run.settings.reduction == "mean",
        most_bytes=most_bytes(net.backend),
    )  # fmt: skip
