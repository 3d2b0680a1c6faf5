"""evaluate: what a network is worth on some rows, without training on them."""

from typing import TYPE_CHECKING

import numpy as np

from fastnn.backend import Array, Backend
from fastnn.data import Data
from fastnn.losses import Loss
from fastnn.metrics import Metric
from fastnn.weights import has_classes

if TYPE_CHECKING:
    from fastnn.network import MLP


def evaluate(
    net: "MLP", loss: Loss, data: Data, metrics: dict[str, Metric], logits: Array | None = None
) -> dict[str, float]:
    """{"loss": mean per row, "accuracy": fraction where there are classes}, and each metric.

    Without weights, penalties and dropout.  logits (n, k) of the rows, if somebody has them.
    """
    backend, n = net.backend, len(data)
    layers, block = net.layers("identity"), backend.block(max(net.sizes))
    losses, hits = backend.zeros(n), backend.zeros(n)
    outputs = np.empty((n if metrics else 0, net.sizes[-1]), net.dtype)
    w = backend.zeros(min(n, block)) + backend.dtype.type(loss.factor)
    with np.errstate(all="ignore"):
        for start in range(0, n, block):
            part = slice(start, min(start + block, n))
            Z = data.rows[part] if logits is None else logits[part]
            for layer in layers if logits is None else ():
                Z = layer(Z)
            targets = data.targets[part]
            if targets.labels is not None:
                backend.kernels.hits(Z, targets.labels, hits[part])
            dZ = backend.xp.empty_like(Z)  # not looked at
            loss(Z, targets.values, w[: len(Z)], 1.0, dZ, losses[part])
            if metrics:
                loss.activate(Z, loss.no_bias, Z)
                outputs[part] = backend.asnumpy(Z)
    figures = read(means(losses, hits, data), backend)
    if metrics:
        targets = data.targets
        Y = backend.asnumpy(targets.labels if has_classes(targets) else targets.values)
        figures |= {name: metric(Y, outputs) for name, metric in metrics.items()}
    return figures


def means(losses: Array, hits: Array, data: Data) -> dict[str, Array]:
    """Mean loss, and accuracy where there are classes, still on the device."""
    loss = {"loss": mean(losses)}
    return loss if data.targets.labels is None else loss | {"accuracy": mean(hits)}


def mean(x: Array) -> Array:
    """Of x (n,), or of each row of x (m, n), summed in float64."""
    return x.sum(axis=-1, dtype=np.float64) / x.shape[-1]


def read(figures: dict[str, Array], backend: Backend) -> dict[str, float]:
    """0-d arrays as numbers; waits for the device, once for all."""
    return dict(zip(figures, backend.floats(figures.values()), strict=True))
