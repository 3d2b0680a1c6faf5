"""Neuron: one unit with one input, from x to f(w x + b), and back."""

from typing import Any

import numpy as np

from fastnn.backend import Array
from fastnn.checks import choice, flag
from fastnn.classic.machine import Machine
from fastnn.classic.rows import check_reachable, exactly, pairs, rows
from fastnn.classic.steps import undone_unless_finite
from fastnn.errors import ShapeError
from fastnn.history import History
from fastnn.layers import TrainedDense
from fastnn.network import MLP
from fastnn.optimizers import SGD
from fastnn.plots import learning_curve
from fastnn.plots.figures import check_library
from fastnn.plots.figures import show as show_picture

EVERY = 100  # epochs, of which one is printed


class Neuron(Machine):
    """f(w x + b), f sigmoid, relu or identity; w and b begin in [0, 1), drawn by seed.

    They may be set, as learning_rate may; net is the MLP behind them.  x and y are numbers, or
    arrays (n,) of them that count alike; of a sigmoid y is in 0..1.
    """

    loss = "mean_squared_error"

    def __init__(
        self, activation: str = "sigmoid", learning_rate: float = 0.1, seed: int | None = None
    ) -> None:
        choice("activation", activation, ["sigmoid", "relu", "identity"])
        net = MLP([1, 1], output=activation, init="uniform", dtype="float64", device="cpu",
                  seed=seed)  # fmt: skip
        super().__init__(net, learning_rate)

    @property
    def w(self) -> float:
        """The weight."""
        return float(self.net.weights[0][0, 0])

    @w.setter
    def w(self, value: Any) -> None:
        self._write(self.net.weights[0][0], exactly(value, "w", ()))

    @property
    def b(self) -> float:
        """The bias."""
        return float(self.net.biases[0][0])

    @b.setter
    def b(self, value: Any) -> None:
        self._write(self.net.biases[0], exactly(value, "b", ()))

    def forward(self, x: Any) -> Any:
        """The prediction for x.  Raises ShapeError, DTypeError, DataError."""
        found = self.net.predict(rows(x, "x", 1))[:, 0]
        return float(found[0]) if np.ndim(x) == 0 else found

    def backward(self, x: Any, y: Any, y_pred: Any) -> None:
        """One step down the loss (y - y_pred)^2, where y_pred is what forward(x) has given.

        Raises DivergenceError, and then nothing has changed.
        """
        X, Y = self._checked(x, y)
        A = rows(y_pred, "y_pred", 1)
        if len(A) != len(X):
            raise ShapeError(f"y_pred has {len(A)} numbers, need {len(X)}, as x has")
        net, backend = self.net, self.net.backend
        with backend.active(), undone_unless_finite(net):
            X, Y, A = map(backend.asarray, (X, Y, A))
            gradient = backend.zeros(net.params.size)
            dW, db = net.layout.views(gradient).values()
            layer = TrainedDense(net.weights[0], net.biases[0], net.output, backend, dW, db,
                                 len(X), first=True)  # fmt: skip
            seen, backprop = layer.forward(X)
            seen[...] = A
            backprop(2 * (A - Y) / len(X))
            SGD(self.learning_rate).begin(net.params, gradient, {}, net.params, backend)(0)

    def train(
        self, x: Any, y: Any, epochs: int = 10_000, target_loss: float = 0.0, show: bool = False
    ) -> list[float]:
        """Step down the loss (y - forward(x))^2 until it is target_loss; the losses, which are
        as each epoch met them.

        show: print every hundredth epoch and the last, and draw the curve (matplotlib).
        """
        X, Y = self._checked(x, y)
        if flag("show", show):
            check_library()  # before there is anything to lose
        history = self.net.fit(
            X, Y, loss=self.loss, optimizer=SGD(self.learning_rate), epochs=epochs,
            batch_size=None, shuffle=False, target_loss=target_loss, progress=False,
        )  # fmt: skip
        if show:
            _show(history)
        return history.loss

    def eval(self, x: Any, y: Any) -> Any:
        """How near forward(x) is to y: 100 min(|y|, |p|) / max(|y|, |p|), in percent."""
        X, Y = pairs(x, "x", 1, y, "y", 1)
        Y, P = np.abs(Y), np.abs(self.net.predict(X))
        least, most = np.minimum(Y, P)[:, 0], np.maximum(Y, P)[:, 0]
        percent: Array = 100 * np.divide(least, most, out=np.ones_like(most), where=most > 0)
        return float(percent[0]) if np.ndim(x) == 0 else percent

    def _checked(self, x: Any, y: Any) -> tuple[Array, Array]:
        X, Y = pairs(x, "x", 1, y, "y", 1)
        if self.net.output == "sigmoid":
            check_reachable(Y, "y")
        return X, Y


def _show(history: History) -> None:
    for epoch in sorted({*range(0, len(history), EVERY), len(history) - 1}):
        print(f"epoch {epoch + 1:>6,}: loss {history.loss[epoch]:.3g}")
    show_picture(lambda ax: learning_curve(history, ax, loss="mean_squared_error"))
