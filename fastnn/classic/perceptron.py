"""Perceptron: a threshold neuron, which learns what a straight line separates."""

import warnings
from typing import Any

import numpy as np

from fastnn.backend import Array
from fastnn.checks import count
from fastnn.classic.rows import check_targets, pairs, rows
from fastnn.errors import ConvergenceWarning
from fastnn.network import MLP
from fastnn.optimizers import SGD

FIRST = 100  # epochs of a fit's first call; each one after has ten times as many


class Perceptron:
    """1 where x . weights > threshold, else 0.  Rosenblatt (1958).

    weights (n_inputs,) and threshold begin in [0, 1), drawn by seed, and may be set.
    """

    def __init__(
        self, n_inputs: int = 2, learning_rate: float = 0.01, seed: int | None = None
    ) -> None:
        self.n_inputs, self.optimizer = count("n_inputs", n_inputs), SGD(learning_rate)
        self.net = MLP([self.n_inputs, 1], output="step", init="uniform", dtype="float64",
                       device="cpu", seed=seed)  # fmt: skip
        self.threshold = float(self.net.biases[0][0])

    @property
    def weights(self) -> Array:
        """(n_inputs,), what each input counts for; a view."""
        return self.net.weights[0][:, 0]

    @weights.setter
    def weights(self, values: Any) -> None:
        (row,) = rows(values, "weights", self.n_inputs)
        self.net.set_params_dict({"W1": row[:, None], "b1": self.net.biases[0]})

    @property
    def threshold(self) -> float:
        """What x . weights must exceed."""
        return -float(self.net.biases[0][0])

    @threshold.setter
    def threshold(self, value: Any) -> None:
        ((number,),) = rows(value, "threshold", 1)
        self.net.set_params_dict({"W1": self.net.weights[0], "b1": [-number]})

    def predict(self, x: Any) -> Any:
        """0 or 1 for x (n_inputs,), or (n,) of them for rows.  Raises ShapeError, DataError."""
        found = self.net.predict(rows(x, "x", self.n_inputs))[:, 0].astype(np.int64)
        return int(found[0]) if np.shape(x) in ((), (self.n_inputs,)) else found

    def learn(self, x: Any, target: Any) -> None:
        """Move the weights by -error x lr and the threshold by +error lr, where error is
        prediction - target, for one input or for rows, one after another."""
        self._epochs(*self._checked(x, target), 1)

    def fit(self, X: Any, y: Any, max_epochs: int = 10_000) -> int:
        """Learn the rows X (n, n_inputs), y (n,) in turn until all are right; the epochs used.

        Warns with ConvergenceWarning where some are still wrong after max_epochs.
        """
        X, Y = self._checked(X, y)
        used, epochs, most = 0, FIRST, count("max_epochs", max_epochs)
        while used < most:
            losses = self._epochs(X, Y, min(epochs, most - used))
            clean = np.flatnonzero(np.equal(losses, 0))  # after one without an error none has any
            if clean.size:
                return max(1, used + int(clean[0]))
            used, epochs = used + len(losses), 10 * epochs
        wrong = int((self.net.predict(X) != Y).sum())
        if wrong:
            warnings.warn(
                f"{wrong} of {len(X)} rows are still wrong after {most:,} epochs: a perceptron "
                "learns only what a straight line separates, which XOR, for one, is not; a "
                "network with a hidden layer can, see fastnn.MLP", ConvergenceWarning, stacklevel=2,
            )  # fmt: skip
        return most

    def _epochs(self, X: Array, Y: Array, epochs: int) -> list[float]:
        return self.net.fit(
            X, Y, loss="perceptron", optimizer=self.optimizer, epochs=epochs, batch_size=1,
            shuffle=False, progress=False,
        ).loss  # fmt: skip

    def _checked(self, x: Any, target: Any) -> tuple[Array, Array]:
        X, Y = pairs(x, self.n_inputs, target, 1)
        check_targets(Y, (Y == 0) | (Y == 1), "0 or 1")
        return X, Y
