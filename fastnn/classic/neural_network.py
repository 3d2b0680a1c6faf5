"""NeuralNetwork: train and query, by the book's rule.  Rashid (2016), Make your own neural network.

What it learns is one step for each row, in their order.  Rows given one by one wait until there
are some hundred, or until somebody looks at the weights: then they are learned in one call.  Nobody
can see the difference but by the clock, or in an array that wih or who returned before.
"""

import math
from typing import Any

import numpy as np

from fastnn.backend import Array
from fastnn.checks import count
from fastnn.classic.rows import check_targets, pairs, rows
from fastnn.errors import DataError
from fastnn.network import MLP
from fastnn.optimizers import SGD

WAITING = 2**20  # numbers that may wait: 8 MB


class NeuralNetwork:
    """Inputs to hidden to outputs, sigmoid twice, without biases.

    With o the outputs for inputs x, h the hidden ones, e = t - o and eh = who^T e, a step is

        who += lr (e o (1 - o)) h^T        wih += lr (eh h (1 - h)) x^T

    which is not quite the gradient: e goes back without the outputs' slope.  Both begin normal
    with standard deviation n_in**-0.5, drawn by seed.
    """

    def __init__(
        self, input_nodes: int, hidden_nodes: int, output_nodes: int, learning_rate: float,
        seed: int | None = None,
    ) -> None:  # fmt: skip
        names = ("input_nodes", "hidden_nodes", "output_nodes")
        sizes = [*map(count, names, (input_nodes, hidden_nodes, output_nodes))]
        self.inodes, self.hnodes, self.onodes = sizes
        self.optimizer = SGD(learning_rate)
        self._net = MLP(sizes, "sigmoid", "sigmoid", bias=False, init="normal", dtype="float64",
                        device="cpu", seed=seed)  # fmt: skip
        room = max(1, WAITING // (self.inodes + self.onodes))
        self._X, self._T = np.empty((room, self.inodes)), np.empty((room, self.onodes))
        self._waiting = 0  # rows of these

    @property
    def net(self) -> MLP:
        """The network, which has learned all rows."""
        self._learn_waiting()
        return self._net

    @property
    def wih(self) -> Array:
        """(hidden, inputs), a view."""
        return self.net.weights[0].T

    @wih.setter
    def wih(self, values: Any) -> None:
        self.net.set_params_dict({"W1": rows(values, "wih", self.inodes).T, "W2": self.who.T})

    @property
    def who(self) -> Array:
        """(outputs, hidden), a view."""
        return self.net.weights[1].T

    @who.setter
    def who(self, values: Any) -> None:
        self.net.set_params_dict({"W1": self.wih.T, "W2": rows(values, "who", self.hnodes).T})

    def train(self, inputs: Any, targets: Any) -> None:
        """Learn inputs (input_nodes,) and targets (output_nodes,) in 0..1, or rows of both.

        Raises ShapeError, DTypeError, DataError; then nothing is learned.
        """
        X, T = pairs(inputs, self.inodes, targets, self.onodes)
        if not math.isfinite(X.sum()):
            raise DataError("the inputs have NaN or infinity, need finite numbers")
        if not (T.min() >= 0 and T.max() <= 1):
            check_targets(T, (T >= 0) & (T <= 1), "0 to 1, which a sigmoid can give")
        if len(X) > 1:
            self._learn_waiting()
            self._learn(X, T)
            return
        self._X[self._waiting], self._T[self._waiting] = X[0], T[0]
        self._waiting += 1
        if self._waiting == len(self._X):
            self._learn_waiting()

    def query(self, inputs: Any) -> Array:
        """Outputs (output_nodes, 1) for inputs (input_nodes,), or (output_nodes, n) for n rows."""
        return self.net.predict(rows(inputs, "inputs", self.inodes)).T

    def _learn_waiting(self) -> None:
        if self._waiting:
            part, self._waiting = slice(self._waiting), 0
            self._learn(self._X[part], self._T[part])

    def _learn(self, X: Array, T: Array) -> None:
        self._net.fit(
            X, T, loss="textbook", optimizer=self.optimizer, batch_size=1, shuffle=False,
            progress=False,
        )  # fmt: skip
