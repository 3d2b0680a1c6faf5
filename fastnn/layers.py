"""Dense and Stack: the readable definition of a forward and a backward pass.

Every other way to run a network is checked against this one.
"""

from collections.abc import Callable
from typing import Any

from fastnn.backend import Array, Backend
from fastnn.layout import Layout
from fastnn.losses import FROM_INPUT, Loss

Backprop = Callable[[Array], Array | None]
Draw = Callable[[], tuple[int, int]]


class Dense:
    """One layer: A = f(X W + b).  X (n, d), W (d, m), b (m,) or None."""

    def __init__(self, W: Array, b: Array | None, activation: str, backend: Backend) -> None:
        self.W, self.xp, self.products = W, backend.xp, backend.products
        self.b = backend.zeros(W.shape[1]) if b is None else b
        self.activate = getattr(backend.kernels, f"bias_{activation}")

    def __call__(self, X: Array) -> Array:
        """A, in an array of its own."""
        A = self.products.matmul(X, self.W)
        self.activate(A, self.b, A)
        return A


class TrainedDense(Dense):
    """A Dense layer with buffers for up to `rows` rows, which remembers the way back.

    dW and db are views of the flat gradient and are overwritten by each backprop.
    """

    def __init__(
        self, W: Array, b: Array | None, activation: str, backend: Backend,
        dW: Array, db: Array | None, rows: int, first: bool,
    ) -> None:  # fmt: skip
        super().__init__(W, b, activation, backend)
        d, m = W.shape
        self.dW, self.db = dW, db
        self.activation_grad = getattr(backend.kernels, f"{activation}_grad")
        self.needs_Z = activation in FROM_INPUT
        self.add_bias, self.no_bias = backend.kernels.bias_identity, backend.zeros(m)
        self.Z = backend.zeros(rows * m).reshape(rows, m)
        self.A = backend.zeros(rows * m).reshape(rows, m) if self.needs_Z else self.Z
        self.dX = None if first else backend.zeros(rows * d).reshape(rows, d)

    def forward(self, X: Array) -> tuple[Array, Backprop]:
        """A (n, m), and the function that takes dA, spoils it, and returns dX (n, d).

        The first layer's returns None.  Both live until the next forward.
        """
        n = len(X)
        Z, A = self.Z[:n], self.A[:n]
        self.products.matmul(X, self.W, out=Z)
        if self.needs_Z:
            self.add_bias(Z, self.b, Z)
            self.activate(Z, self.no_bias, A)
        else:
            self.activate(Z, self.b, A)

        def backprop(dA: Array) -> Array | None:
            self.activation_grad(Z if self.needs_Z else A, dA, dA)
            dZ = dA
            self._set_gradient(X, dZ)
            return self._sent_back(dZ)

        return A, backprop

    def _set_gradient(self, X: Array, dZ: Array) -> None:
        self.products.dot(X.T, dZ, out=self.dW)  # matmul keeps one row from BLAS: 55 us for 10
        if self.db is not None:
            dZ.sum(axis=0, out=self.db)

    def _sent_back(self, dZ: Array) -> Array | None:
        """dX, for the layer before."""
        if self.dX is None:
            return None
        return self.products.matmul(dZ, self.W.T, out=self.dX[: len(dZ)])


class LateDense(TrainedDense):
    """A last layer that sends the loss's derivative back as it is, and only then takes the
    output's slope, for its own parameters: see "textbook" in fastnn.losses."""

    def __init__(self, loss: Loss, *of_dense: Any) -> None:
        super().__init__(*of_dense)
        self.loss = loss

    def forward(self, X: Array) -> tuple[Array, Backprop]:
        """The logits Z (n, m), and the function that takes what the loss has made of them."""
        Z, _ = super().forward(X)

        def backprop(dZ: Array) -> Array | None:
            dX = self._sent_back(dZ)
            A = self.xp.empty_like(Z)
            self.loss.activate(Z, self.no_bias, A)
            self.loss.activation_grad(A, dZ, dZ)
            self._set_gradient(X, dZ)
            return dX

        return Z, backprop


class Dropout:
    """Each element of A kept with probability 1 - rate, and divided by it; the others zero.

    draw gives the (seed, step) of the mask: with layer they say all of it (see
    fastnn_kernels.face.Dropout), so the way back draws it again.
    """

    def __init__(
        self, rate: float, layer: int, m: int, draw: Draw, backend: Backend, rows: int
    ) -> None:
        self.rate, self.layer, self.draw = rate, layer, draw
        self.drop = backend.kernels.dropout
        self.D = backend.zeros(rows * m).reshape(rows, m)

    def forward(self, A: Array) -> tuple[Array, Backprop]:
        """What is left of A (n, m), and the function that turns its derivative into dA."""
        mask = (*self.draw(), self.layer, self.rate)
        D = self.D[: len(A)]
        self.drop(A, *mask, D)

        def backprop(dD: Array) -> Array:
            self.drop(dD, *mask, dD)
            return dD

        return D, backprop


class Stack:
    """The layers of one network under one loss: from rows and targets to the gradient.

    activations are those of the hidden layers; the loss takes the last one's logits.
    dropout: the rate after each hidden layer, for training.
    """

    def __init__(
        self, params: dict[str, Array], activations: tuple[str, ...], loss: Loss,
        layout: Layout, rows: int, backend: Backend, dropout: tuple[float, ...], draw: Draw,
    ) -> None:  # fmt: skip
        self.loss, self.kernels = loss, backend.kernels
        self.gradient = backend.zeros(layout.size)
        grads = layout.views(self.gradient)
        self.dense: list[TrainedDense] = []
        self.layers: list[TrainedDense | Dropout] = []
        rates = (*dropout, 0.0)
        for k, activation in enumerate([*activations, "identity"], start=1):
            of_dense = (params[f"W{k}"], params.get(f"b{k}"), activation, backend,
                        grads[f"W{k}"], grads.get(f"b{k}"), rows, k == 1)  # fmt: skip
            is_late = loss.is_late and k > len(activations)
            dense = LateDense(loss, *of_dense) if is_late else TrainedDense(*of_dense)
            self.dense.append(dense)
            self.layers.append(dense)
            m = dense.W.shape[1]
            if rates[k - 1]:
                self.layers.append(Dropout(rates[k - 1], k, m, draw, backend, rows))
        self.dZ = backend.zeros(rows * m).reshape(rows, m)  # of the logits

    def backpropagate(
        self, X: Array, targets: Array, w: Array, scale: float, losses: Array
    ) -> Array:
        """Set self.gradient to scale times that of the summed loss, and losses (n,) per row.

        Returns the logits (n, k).
        """
        way_back = []
        for layer in self.layers:
            X, backprop = layer.forward(X)
            way_back.append(backprop)
        dA: Array | None = self.dZ[: len(X)]
        self.loss(X, targets, w, scale, dA, losses)
        for backprop in reversed(way_back):
            assert dA is not None  # only the first layer's way back ends
            dA = backprop(dA)
        return X

    def penalize(self, l1: float, l2: float) -> None:
        """Add the gradient of l1 sum |W| + l2/2 sum W^2, over all weights and no bias."""
        for layer in self.dense:
            self.kernels.penalty(layer.dW.reshape(-1), layer.W.reshape(-1), l1, l2)
