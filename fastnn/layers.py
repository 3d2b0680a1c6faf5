"""Dense and Stack: the readable definition of a forward and a backward pass.

Every other way to run a network is checked against this one.
"""

from collections.abc import Callable

from fastnn.backend import Array, Backend
from fastnn.layout import Layout
from fastnn.losses import FROM_INPUT, Loss

Backprop = Callable[[Array], Array | None]


class Dense:
    """One layer: A = f(X W + b).  X (n, d), W (d, m), b (m,) or None."""

    def __init__(self, W: Array, b: Array | None, activation: str, backend: Backend) -> None:
        self.W, self.xp = W, backend.xp
        self.b = backend.zeros(W.shape[1]) if b is None else b
        self.activate = getattr(backend.kernels, f"bias_{activation}")

    def __call__(self, X: Array) -> Array:
        """A, in an array of its own."""
        A = self.xp.matmul(X, self.W)
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
        self.xp.matmul(X, self.W, out=Z)
        if self.needs_Z:
            self.add_bias(Z, self.b, Z)
            self.activate(Z, self.no_bias, A)
        else:
            self.activate(Z, self.b, A)

        def backprop(dA: Array) -> Array | None:
            self.activation_grad(Z if self.needs_Z else A, dA, dA)
            dZ = dA
            self.xp.dot(X.T, dZ, out=self.dW)  # matmul keeps one row from BLAS: 55 us for 10
            if self.db is not None:
                dZ.sum(axis=0, out=self.db)
            return None if self.dX is None else self.xp.matmul(dZ, self.W.T, out=self.dX[:n])

        return A, backprop


class Stack:
    """The layers of one network under one loss: from rows and targets to the gradient.

    activations are those of the hidden layers; the loss takes the last one's logits.
    """

    def __init__(
        self, params: dict[str, Array], activations: tuple[str, ...], loss: Loss,
        layout: Layout, rows: int, backend: Backend,
    ) -> None:  # fmt: skip
        self.loss = loss
        self.gradient = backend.zeros(layout.size)
        grads = layout.views(self.gradient)
        self.layers = [
            TrainedDense(
                params[f"W{k}"], params.get(f"b{k}"), activation, backend,
                grads[f"W{k}"], grads.get(f"b{k}"), rows, first=k == 1,
            )
            for k, activation in enumerate([*activations, "identity"], start=1)
        ]  # fmt: skip
        k = self.layers[-1].W.shape[1]
        self.dZ = backend.zeros(rows * k).reshape(rows, k)

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
