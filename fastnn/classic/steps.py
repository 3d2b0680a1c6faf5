"""Steps: one row at a time by the layers, in buffers that stay, for who looks on after each."""

import numpy as np

from fastnn.backend import Array
from fastnn.errors import DivergenceError
from fastnn.losses import Loss
from fastnn.network import MLP
from fastnn.optimizers import SGD


class Steps:
    """A network's steps of SGD under a loss."""

    def __init__(self, net: MLP, loss: str, learning_rate: float) -> None:
        self.net, self.learning_rate = net, learning_rate
        self.stack = net.stack(Loss(loss, net.output, net.sizes[-1], net.backend), 1)
        self.update = SGD(learning_rate).begin(
            net.params, self.stack.gradient, {}, net.params, net.backend
        )
        self.w, self.losses = np.ones(1), np.empty(1)

    def learn(self, X: Array, Y: Array) -> None:
        """A step for each row.  Raises DivergenceError, and then the network is as before."""
        net, before = self.net, self.net.params.copy()
        with np.errstate(all="ignore"):
            for i in range(len(X)):
                row = slice(i, i + 1)
                self.stack.backpropagate(X[row], Y[row], self.w, 1.0, self.losses)
                self.update(0)
                net.steps += 1
        if not np.isfinite(net.params).all():
            net.params[...] = before
            net.steps -= len(X)
            raise DivergenceError("the weights stopped being finite, and are as they were before; "
                                  "try a smaller learning rate, or smaller numbers")  # fmt: skip
