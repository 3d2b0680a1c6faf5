"""The reference: what a job comes to in float64, by the formulas written out in NumPy.

A speed counts only if the contender's loss, after one job, is the reference's.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from bench.cases import Job, Layers

Array = np.ndarray[Any, Any]
Function = Callable[[Array], Array]

# Rounding makes a few times 1e-6 of the fall of the loss, a batch left out of 2,000 5e-4.
TOLERANCE = 1e-4

_ACTIVATIONS: dict[str, Function] = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "relu": lambda z: np.maximum(z, 0),
}
_SLOPES: dict[str, Function] = {"sigmoid": lambda a: a * (1 - a), "relu": lambda a: a > 0}


def error(job: Job, layers: Layers) -> float:
    """How far a loss is from the reference's, as a share of how far the reference's has fallen."""
    first, last = losses(replace(job, is_resident=True))  # one for both
    return abs(loss(job, layers) - last) / (first - last)


@cache
def losses(job: Job) -> tuple[float, float]:
    """Of the start, and of the reference after the job."""
    start = [(W.astype(np.float64), b.astype(np.float64)) for W, b in job.start()]
    return loss(job, start), loss(job, trained(job, start))


def loss(job: Job, layers: Layers) -> float:
    """The mean cross-entropy over the job's rows, in nats."""
    total = 0.0
    for i in range(0, job.rows, 10_000):
        X, y = job.X[i : i + 10_000].astype(np.float64), job.y[i : i + 10_000]
        Z = forward(job, layers, X)[-1]
        Z = Z - Z.max(axis=1, keepdims=True)
        total += float((np.log(np.exp(Z).sum(axis=1)) - Z[np.arange(len(y)), y]).sum())
    return total / job.rows


def forward(job: Job, layers: Layers, X: Array) -> list[Array]:
    """The inputs of each layer, and the logits."""
    activate, values = _ACTIVATIONS[job.activation], [X]
    for W, b in layers[:-1]:
        values.append(activate(values[-1] @ W + b))
    W, b = layers[-1]
    return [*values, values[-1] @ W + b]


def trained(job: Job, layers: Layers) -> Layers:
    """The layers after the job, in their own type."""
    layers, slope, lr = list(layers), _SLOPES[job.activation], job.learning_rate
    dtype = layers[0][0].dtype
    X, y = job.X.astype(dtype), job.y
    for order in job.orders():
        for i in range(0, job.rows, job.batch_size):
            rows = order[i : i + job.batch_size]
            *inputs, Z = forward(job, layers, X[rows])
            P = np.exp(Z - Z.max(axis=1, keepdims=True))
            dZ = P / P.sum(axis=1, keepdims=True)
            dZ[np.arange(len(rows)), y[rows]] -= 1
            dZ /= len(rows)
            for k in reversed(range(len(layers))):
                W, b = layers[k]
                dA = dZ @ W.T
                layers[k] = W - lr * (inputs[k].T @ dZ), b - lr * dZ.sum(axis=0)
                dZ = dA * slope(inputs[k]) if k else dA
    return layers
