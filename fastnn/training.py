"""fit: shuffle, cut, forward, back, step; and what happens between the epochs.

A network's parameters change only in an optimizer's step, one kernel call: whatever
interrupts a run, Ctrl-C included, leaves them as of the last whole step.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.backend import Array, Backend
from fastnn.checks import choice, count, flag, number
from fastnn.data import Data, divided
from fastnn.errors import ArgumentError, DivergenceError
from fastnn.history import History
from fastnn.layers import Dense
from fastnn.losses import Loss
from fastnn.optimizers import SGD, Optimizer
from fastnn.progress import Progress
from fastnn.streams import Purpose, checked_seed, generator

if TYPE_CHECKING:
    from fastnn.network import MLP


@dataclass
class Settings:
    """The plain arguments of a fit, checked before anything is touched."""

    epochs: int
    batch_size: int | None
    shuffle: bool
    reduction: str
    target_loss: float | None
    patience: int | None
    progress: bool | None
    execution: str

    def __post_init__(self) -> None:
        self.epochs = count("epochs", self.epochs)
        if self.batch_size is not None:
            self.batch_size = count("batch_size", self.batch_size)
        if self.patience is not None:
            self.patience = count("patience", self.patience)
        if self.target_loss is not None:
            self.target_loss = number("target_loss", self.target_loss)
        if self.progress is not None:
            self.progress = flag("progress", self.progress)
        self.shuffle = flag("shuffle", self.shuffle)
        choice("reduction", self.reduction, ["mean", "sum"])
        if choice("execution", self.execution, ["auto", "layers", "fused"]) == "fused":
            raise ArgumentError("execution='fused' is not in this version, "
                                "use 'layers' or 'auto'")  # fmt: skip


def fit(
    net: "MLP", X: Any, Y: Any, settings: Settings, *, loss: str | None,
    optimizer: Optimizer | None, sample_weight: Any, class_weight: Any, validation: Any,
    seed: int | None,
) -> History:  # fmt: skip
    """Train net; see MLP.fit."""
    optimizer = SGD() if optimizer is None else optimizer
    if not isinstance(optimizer, Optimizer):
        raise ArgumentError(f"optimizer is {optimizer!r}, need fastnn.SGD(...) or another")
    seed = net.seed if seed is None else checked_seed(seed)
    objective = Loss(loss, net.output, net.sizes[-1], net.backend)
    if "step" in (*net.activations, net.output):
        raise ArgumentError("activation 'step' has no slope to learn by; it is for inference, "
                            "train with 'sigmoid' instead")  # fmt: skip
    data, held_out = divided(
        net, X, Y, objective, validation, seed,
        sample_weight=sample_weight, class_weight=class_weight,
    )  # fmt: skip
    run = _Run(net, objective, optimizer, data, settings, seed)
    bar = Progress(settings.progress, settings.epochs * len(data), settings.epochs)
    with bar, np.errstate(all="ignore"):  # divergence is reported once, by name
        return run.epochs(held_out, bar)


def evaluate(layers: list[Dense], loss: Loss, data: Data) -> dict[str, float]:
    """{"loss": mean per row, "accuracy": fraction where there are classes}, without weights.

    The layers end in logits.
    """
    backend, n = loss.backend, len(data)
    block = backend.block(max(max(layer.W.shape) for layer in layers))
    losses, hits = backend.zeros(n), backend.zeros(n)
    w = backend.zeros(min(n, block)) + backend.dtype.type(loss.factor)
    with np.errstate(all="ignore"):
        for start in range(0, n, block):
            part = slice(start, min(start + block, n))
            Z = data.rows[part]
            for layer in layers:
                Z = layer(Z)
            targets = data.targets[part]
            if targets.labels is not None:
                backend.kernels.hits(Z, targets.labels, hits[part])
            dZ = backend.xp.empty_like(Z)  # not looked at
            loss(Z, targets.values, w[: len(Z)], 1.0, dZ, losses[part])
    return _read(_means(losses, hits, data), backend)


class _Run:
    """One fit: the buffers it holds and the epochs it makes."""

    def __init__(
        self,
        net: "MLP",
        loss: Loss,
        optimizer: Optimizer,
        data: Data,
        settings: Settings,
        seed: int,
    ) -> None:
        backend, n = net.backend, len(data)
        self.net, self.loss, self.data, self.settings, self.seed = net, loss, data, settings, seed
        self.batch_size = min(settings.batch_size or n, n)
        self.stack = net.stack(loss, self.batch_size)
        self.step = optimizer.begin(net.params, self.stack.gradient, backend)
        self.optimizer, self.first_step = optimizer, net.steps
        self.w = backend.zeros(self.batch_size) + backend.dtype.type(loss.factor)
        self.losses, self.hits = backend.zeros(n), backend.zeros(n)
        self.history = History()

    def epochs(self, held_out: Data | None, bar: Progress) -> History:
        """Run them, look on between them, and restore the best weights under patience."""
        history, settings = self.history, self.settings
        best, best_params = math.inf, None
        layers = self.net.layers("identity")
        for epoch in range(settings.epochs):
            began = time.perf_counter()
            self._epoch(bar)
            if held_out is not None:
                figures = evaluate(layers, self.loss, held_out)
                history.append({f"val_{name}": value for name, value in figures.items()})
            history.append({"seconds": time.perf_counter() - began})
            bar.report(epoch + 1, history.last())

            watched = (history.val_loss or history.loss)[-1]
            if settings.patience and watched < best:
                best, best_params, history.best_epoch = watched, self.net.params.copy(), epoch
            if settings.target_loss is not None and history.loss[-1] <= settings.target_loss:
                history.stopped = "target_loss"
                break
            if settings.patience and epoch - (history.best_epoch or 0) >= settings.patience:
                history.stopped = "patience"
                break
        if best_params is not None:
            self.net.params[...] = best_params
        return history

    def _epoch(self, bar: Progress) -> None:
        net, backend = self.net, self.net.backend
        before = net.params.copy(), net.epochs, net.steps
        order = None
        if self.settings.shuffle:
            order = generator(self.seed, Purpose.ORDER, net.epochs).permutation(len(self.data))
        net.epochs += 1
        try:
            self._steps(order, bar)
        except Exception:  # out of memory, say; Ctrl-C is none, and keeps the last whole step
            self._restore(before)
            raise
        seen = self._seen(len(self.data)) | {"finite": np.isfinite(net.params).all()}
        figures = _read(seen, backend)  # the only wait of an epoch
        if not figures.pop("finite") or not math.isfinite(figures["loss"]):
            self._diverged(before)
        self.history.append(figures)

    def _steps(self, order: Array | None, bar: Progress) -> None:
        """Every batch of an epoch, once."""
        for start, X, targets, labels, w in self._batches(order):
            n = len(X)
            part = slice(start, start + n)
            scale = 1 / n if self.settings.reduction == "mean" else 1.0
            Z = self.stack.backpropagate(X, targets, w[:n], scale, self.losses[part])
            if labels is not None:
                self.net.backend.kernels.hits(Z, labels, self.hits[part])
            self.step()
            self.net.steps += 1
            bar.advance(n)
            if bar.is_due():
                bar.report(len(self.history) + 1,
                           _read(self._seen(start + n), self.net.backend))  # fmt: skip

    def _seen(self, done: int) -> dict[str, Array]:
        """Mean loss, and accuracy where there are classes, of the epoch's first rows."""
        return _means(self.losses[:done], self.hits[:done], self.data)

    def _batches(
        self, order: Array | None
    ) -> Iterator[tuple[int, Array, Array, Array | None, Array]]:
        """(first position, X, targets, labels, w) of each batch, cut from gathered slabs.

        w may have more rows than the batch.
        """
        batch, backend = self.batch_size, self.net.backend
        row_bytes = self.net.sizes[0] * backend.dtype.itemsize
        slab = batch * max(1, backend.slab_bytes // (batch * row_bytes))
        for k, (X, targets) in enumerate(self.data.slabs(order, slab)):
            for i in range(0, len(X), batch):
                rows = slice(i, i + batch)
                labels = None if targets.labels is None else targets.labels[rows]
                w = self.w if targets.weights is None else targets.weights[rows]
                yield k * slab + i, X[rows], targets.values[rows], labels, w

    def _restore(self, before: tuple[Array, int, int]) -> None:
        params, self.net.epochs, self.net.steps = before
        self.net.params[...] = params

    def _diverged(self, before: tuple[Array, int, int]) -> None:
        finite = self.net.backend.asnumpy(np.isfinite(self.losses))
        what, row = "the loss", int(np.argmin(finite))
        if finite.all():  # then it was the last step that spoilt a parameter, or one before
            what, row = "a parameter", len(finite) - 1
        step, done = row // self.batch_size, row - row % self.batch_size
        known = [float(_mean(self.losses[:done]))] if done else self.history.loss[-1:]
        last = f"{known[0]:.4g}" if known else "none"
        self._restore(before)
        rate = self.optimizer.at("learning_rate", self.net.steps - self.first_step + step)
        raise DivergenceError(
            f"{what} stopped being finite in epoch {len(self.history) + 1}, step {step + 1}, at "
            f"learning rate {rate:g} (last finite loss: {last}); the network is as "
            "it was at the start of that epoch.  Try a smaller learning rate, or input_scaling"
        )


def _means(losses: Array, hits: Array, data: Data) -> dict[str, Array]:
    loss = {"loss": _mean(losses)}
    return loss if data.targets.labels is None else loss | {"accuracy": _mean(hits)}


def _mean(x: Array) -> Array:
    return x.sum(dtype=np.float64) / len(x)


def _read(seen: dict[str, Array], backend: Backend) -> dict[str, float]:
    return dict(zip(seen, backend.floats(seen.values()), strict=True))
