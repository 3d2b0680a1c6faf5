"""The loop of the textbooks, written out: one batch after another, by NumPy.

np.dot, not @: of a column by a row (a batch of one) @ makes a loop without BLAS, 5 times slower.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from bench.cases import Job, Layers
from bench.contenders import Contender


class Textbook(Contender):
    """Any module with NumPy's functions will do for xp."""

    name = "NumPy loop"
    xp: ClassVar[ModuleType] = np

    def __init__(self, job: Job) -> None:
        xp, self.job = self.xp, job
        self.copy()
        self.orders = [xp.asarray(order) for order in job.orders()]
        self.start = job.start()
        self.begin()

    def begin(self) -> None:
        self.params = [(self.xp.array(W), self.xp.array(b)) for W, b in self.start]

    def copy(self) -> None:
        """The rows, to where the network is."""
        self.X = self.xp.asarray(self.job.X)
        self.Y = self.xp.eye(self.job.sizes[-1], dtype=np.float32)[self.xp.asarray(self.job.y)]

    def train(self) -> None:
        job = self.job
        if not job.is_resident:
            self.copy()
        for order in self.orders:
            for i in range(0, job.rows, job.batch_size):
                rows = order[i : i + job.batch_size] if job.shuffles else slice(None)
                self.step(self.X[rows], self.Y[rows])

    def step(self, X: Any, Y: Any) -> None:
        xp, activate, slope = self.xp, *ACTIVATIONS[self.job.activation]
        inputs = [X]
        for W, b in self.params[:-1]:
            inputs.append(activate(xp, xp.dot(inputs[-1], W) + b))
        W, b = self.params[-1]
        Z = xp.dot(inputs[-1], W) + b
        E = xp.exp(Z - Z.max(axis=1, keepdims=True))
        dZ = E / E.sum(axis=1, keepdims=True) - Y
        dZ *= self.job.learning_rate / len(X)  # here it costs least: all that follows is linear
        for k in reversed(range(len(inputs))):
            A, (W, b) = inputs[k], self.params[k]
            before = xp.dot(dZ, W.T) * slope(A) if k else None  # while W is as it was
            W -= xp.dot(A.T, dZ)
            b -= dZ.sum(axis=0)
            dZ = before

    def layers(self) -> Layers:
        return [(np.array(W), np.array(b)) for W, b in self.params]


ACTIVATIONS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any], Any]]] = {
    "sigmoid": (lambda xp, Z: 1 / (1 + xp.exp(-Z)), lambda A: A * (1 - A)),
    "relu": (lambda xp, Z: xp.maximum(Z, 0), lambda A: A > 0),
}
