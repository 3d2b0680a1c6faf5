"""Perceptron: a threshold neuron, which learns what a straight line separates."""

import warnings
from typing import Any

import numpy as np

from fastnn.backend import Array
from fastnn.checks import count
from fastnn.classic.machine import Machine
from fastnn.classic.rows import exactly, pairs, rows
from fastnn.errors import ConvergenceWarning, DataError
from fastnn.network import MLP
from fastnn.optimizers import SGD

FIRST = 100  # epochs of a fit's first call; each one after has ten times as many


class Perceptron(Machine):
    """1 where x . weights > threshold, else 0.  Rosenblatt (1958).

    weights (n_inputs,) and threshold begin in [0, 1), drawn by seed, and may be set, as
    learning_rate may; net is the MLP behind it.
    """

    loss = "perceptron"

    def __init__(
        self, n_inputs: int = 2, learning_rate: float = 0.01, seed: int | None = None
    ) -> None:
        self.n_inputs = count("n_inputs", n_inputs)
        net = MLP([self.n_inputs, 1], output="step", init="uniform", dtype="float64", device="cpu",
                  seed=seed)  # fmt: skip
        super().__init__(net, learning_rate)
        self.threshold = float(net.biases[0][0])

    @property
    def weights(self) -> Array:
        """(n_inputs,), what each input counts for; a copy."""
        return self.net.get_params_dict()["W1"][:, 0]

    @weights.setter
    def weights(self, values: Any) -> None:
        self._write(self.net.weights[0][:, 0], exactly(values, "weights", (self.n_inputs,)))

    @property
    def threshold(self) -> float:
        """What x . weights must exceed."""
        return 0.0 - float(self.net.biases[0][0])

    @threshold.setter
    def threshold(self, value: Any) -> None:
        self._write(self.net.biases[0], -exactly(value, "threshold", ()))

    def predict(self, x: Any) -> Any:
        """0 or 1 for x (n_inputs,), or (n,) of them for rows.  Raises ShapeError, DataError."""
        found = self.net.predict(rows(x, "x", self.n_inputs))[:, 0].astype(np.int64)
        return int(found[0]) if np.shape(x) in ((), (self.n_inputs,)) else found

    def learn(self, x: Any, target: Any) -> None:
        """Move the weights by -error x lr and the threshold by +error lr, where error is
        prediction - target, for one input or for rows, one after another."""
        self._learn(*self._checked(x, target))

    def fit(self, X: Any, y: Any, max_epochs: int = 10_000) -> int:
        """Learn the rows X (n, n_inputs), y (n,) in turn until all are right; the epochs used.

        Warns with ConvergenceWarning where some are still wrong after max_epochs.
        """
        X, Y = self._checked(X, y)
        used, epochs, most = 0, FIRST, count("max_epochs", max_epochs)
        while used < most:
            losses = self.net.fit(
                X, Y, loss=self.loss, optimizer=SGD(self.learning_rate),
                epochs=min(epochs, most - used), batch_size=1, shuffle=False, progress=False,
            ).loss  # fmt: skip
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

    def _checked(self, x: Any, target: Any) -> tuple[Array, Array]:
        X, Y = pairs(x, "x", self.n_inputs, target, "the target", 1)
        good = (Y == 0) | (Y == 1)
        if not good.all():
            raise DataError(f"the target has {Y[~good][0]:g}, need 0 or 1")
        return X, Y
