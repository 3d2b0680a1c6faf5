"""NeuralNetwork: train and query, by the book's rule.  Rashid (2016), Make your own neural network.

What it learns is one step for each row, in their order.  Rows given one by one wait until there
are some hundred, or until somebody asks or looks: then they are learned in one call, which takes
a tenth of the time.  Only who keeps .net, and does not ask for it again, sees it lag behind.
"""

import threading
from typing import Any

import numpy as np

from fastnn.backend import Array
from fastnn.checks import count
from fastnn.classic.machine import Machine
from fastnn.classic.rows import check_reachable, exactly, pairs, rows
from fastnn.errors import DivergenceError
from fastnn.network import MLP
from fastnn.optimizers import SGD

WAITING = 1000  # rows at the most, fewer if they have more than ROOM numbers
ROOM = 2**20
FEW = 16  # rows, up to which steps one by one take less than a fit's beginning and end


class NeuralNetwork(Machine):
    """Inputs to hidden to outputs, sigmoid twice, without biases.

    With o the outputs for inputs x, h the hidden ones, e = t - o and eh = who^T e, a step is

        who += lr (e o (1 - o)) h^T        wih += lr (eh h (1 - h)) x^T

    which is not quite the gradient: e goes back without the outputs' slope.  Both begin normal
    with standard deviation n_in**-0.5, drawn by seed, and may be set, as learning_rate may; net
    is the MLP behind them.
    """

    loss = "textbook"

    def __init__(
        self, input_nodes: int, hidden_nodes: int, output_nodes: int, learning_rate: float,
        seed: int | None = None,
    ) -> None:  # fmt: skip
        names = ("input_nodes", "hidden_nodes", "output_nodes")
        sizes = [*map(count, names, (input_nodes, hidden_nodes, output_nodes))]
        self.inodes, self.hnodes, self.onodes = sizes
        self._waiting: list[tuple[Array, Array]] = []
        self._lock = threading.Lock()
        self._room = max(1, min(WAITING, ROOM // (self.inodes + self.onodes)))
        net = MLP(sizes, "sigmoid", "sigmoid", bias=False, init="normal", dtype="float64",
                  device="cpu", seed=seed)  # fmt: skip
        super().__init__(net, learning_rate)

    @property
    def wih(self) -> Array:
        """(hidden, inputs), a copy."""
        return self.net.get_params_dict()["W1"].T.copy()

    @wih.setter
    def wih(self, values: Any) -> None:
        self._write(self.net.weights[0], exactly(values, "wih", (self.hnodes, self.inodes)).T)

    @property
    def who(self) -> Array:
        """(outputs, hidden), a copy."""
        return self.net.get_params_dict()["W2"].T.copy()

    @who.setter
    def who(self, values: Any) -> None:
        self._write(self.net.weights[1], exactly(values, "who", (self.onodes, self.hnodes)).T)

    def train(self, inputs: Any, targets: Any) -> None:
        """Learn inputs (input_nodes,) and targets (output_nodes,) in 0..1, or rows of both.

        Raises ShapeError, DTypeError, DataError, and then nothing is learned.  Rows too large for
        the learning rate raise DivergenceError when they are learned, and those that waited with
        them are forgotten.
        """
        X, T = pairs(inputs, "inputs", self.inodes, targets, "targets", self.onodes)
        check_reachable(T, "targets")
        if len(X) > 1:
            self._settle()
            self._learn(X, T)
            return
        self._waiting.append((X.copy(), T.copy()))
        if len(self._waiting) >= self._room:
            self._settle()

    def query(self, inputs: Any) -> Array:
        """Outputs (output_nodes, 1) for inputs (input_nodes,), or (output_nodes, n) for n rows."""
        return self.net.predict(rows(inputs, "inputs", self.inodes)).T

    def _settle(self) -> None:
        """Learn what waits; Ctrl-C leaves the rows that are not learned yet."""
        if not self._waiting:
            return
        with self._lock:
            before, some = self._net.steps, self._waiting[:]
            try:
                if some:
                    self._learn(*(np.concatenate(part) for part in zip(*some, strict=True)))
            except DivergenceError:
                self._waiting.clear()
                raise
            finally:
                del self._waiting[: self._net.steps - before]

    def _learn(self, X: Array, Y: Array) -> None:
        if len(X) <= FEW:
            super()._learn(X, Y)
            return
        self._net.fit(
            X, Y, loss=self.loss, optimizer=SGD(self.learning_rate), batch_size=1, shuffle=False,
            progress=False,
        )  # fmt: skip

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_waiting": [], "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"_waiting": [], "_lock": threading.Lock()})
