"""Steps: one row at a time by the layers, in buffers that stay, for who looks on after each."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from fastnn.backend import Array
from fastnn.errors import DivergenceError
from fastnn.losses import Loss
from fastnn.network import MLP
from fastnn.optimizers import SGD


class Steps:
    """A network's steps of SGD under a loss."""

    def __init__(self, net: MLP, loss: str, learning_rate: float) -> None:
        self.net, self.params, self.learning_rate = net, net.params, learning_rate
        backend = net.backend
        self.stack = net.stack(Loss(loss, net.output, net.sizes[-1], backend), 1)
        self.update = SGD(learning_rate).begin(
            net.params, self.stack.gradient, {}, net.params, backend
        )
        self.w, self.losses = backend.zeros(1) + 1, backend.zeros(1)

    def learn(self, X: Array, Y: Array) -> None:
        """A step for each row.  Raises DivergenceError, and then the network is as before."""
        X, Y = (self.net.backend.asarray(rows) for rows in (X, Y))
        with undone_unless_finite(self.net):
            for i in range(len(X)):
                row = slice(i, i + 1)
                self.stack.backpropagate(X[row], Y[row], self.w, 1.0, self.losses)
                self.update(0)
                self.net.steps += 1


@contextmanager
def undone_unless_finite(net: MLP) -> Iterator[None]:
    """Raises DivergenceError where the parameters have stopped being finite, and puts them back."""
    before, steps = net.params.copy(), net.steps
    with np.errstate(all="ignore"):
        yield
    if not np.isfinite(net.params).all():
        net.params[...], net.steps = before, steps
        advice = "try a smaller learning rate, or smaller numbers"
        if not np.isfinite(before).all():
            advice = "they were not finite even then: make the network anew"
        raise DivergenceError(
            f"the weights stopped being finite, and are as they were before; {advice}"
        )
