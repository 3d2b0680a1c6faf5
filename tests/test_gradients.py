"""Backpropagation against complex-step differentiation, for every activation, output and loss.

f'(x) = Im f(x + ih) / h has no subtraction, hence no rounding: h = 1e-30 leaves only the
error of evaluating f.  Formulas here are complex and plain; a branch looks at the real part.
Squire and Trapp (1998), Using complex variables to estimate derivatives of real functions.
"""

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn_kernels.face import ELEMENTWISE

pytestmark = pytest.mark.usefixtures("device")

Array = np.ndarray[Any, Any]

STEP = 1e-30
N, D, H, K = 7, 5, 6, 3


def positive(z: Any, a: Any, b: Any) -> Any:
    return np.where(z.real > 0, a, b)


def logistic(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


ACTIVATION: dict[str, Any] = {
    "identity": lambda z: z,
    "sigmoid": logistic,
    "tanh": np.tanh,
    "relu": lambda z: positive(z, z, 0),
    "leaky_relu": lambda z: positive(z, z, 0.01 * z),
    "elu": lambda z: positive(z, z, np.exp(z) - 1),
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "gelu": lambda z: z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
    "silu": lambda z: z * logistic(z),
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
}
LOSS: dict[str, Any] = {
    "cross_entropy": lambda a, y: -(y * np.log(a)).sum(axis=1),
    "binary_cross_entropy": lambda a, y: -(y * np.log(a) + (1 - y) * np.log(1 - a)).sum(axis=1),
    "squared_error": lambda a, y: ((a - y) ** 2).sum(axis=1) / 2,
    "mean_squared_error": lambda a, y: ((a - y) ** 2).mean(axis=1),
    "huber": lambda a, y: np.where(
        np.abs((a - y).real) <= 1, (a - y) ** 2 / 2, (a - y) * np.sign((a - y).real) - 0.5
    ).mean(axis=1),
}
FITTING = [
    (output, loss)
    for output in ACTIVATION
    for loss in LOSS
    if {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}.get(loss, output) == output
]


def loss_of(
    net: fastnn.MLP, flat: Array, X: Array, Y: Array, loss: str, reduction: str = "mean"
) -> Any:
    """The network written out, in complex numbers."""
    tensors = net.layout.views(flat)
    A = X
    for k, name in enumerate((*net.activations, net.output), start=1):
        Z = A @ tensors[f"W{k}"]
        A = ACTIVATION[name](Z + tensors[f"b{k}"] if f"b{k}" in tensors else Z)
    rows = LOSS[loss](A, Y)
    return rows.mean() if reduction == "mean" else rows.sum()


def complex_step(net: fastnn.MLP, X: Array, Y: Array, loss: str, reduction: str) -> Array:
    params = net.backend.asnumpy(net.params)
    gradient = np.zeros(params.size)
    for name, start in net.layout.offsets.items():
        for i in range(start, start + int(np.prod(net.layout.shapes[name]))):
            flat = params.astype(complex)
            flat[i] += 1j * STEP
            gradient[i] = loss_of(net, flat, X, Y, loss, reduction).imag / STEP
    return gradient


def targets(loss: str, rng: np.random.Generator, k: int = K) -> Array:
    if loss == "cross_entropy":
        return rng.dirichlet(np.ones(k), N)
    return rng.uniform(0, 1, (N, k)) if loss == "binary_cross_entropy" else rng.normal(0, 2, (N, k))


def check(net: fastnn.MLP, X: Array, Y: Array, loss: str, reduction: str = "mean") -> None:
    got_loss, got = net.gradient(X, Y, loss, reduction)
    want = complex_step(net, X, Y, loss, reduction)

    params = net.backend.asnumpy(net.params)
    assert got_loss == pytest.approx(loss_of(net, params, X, Y, loss, reduction).real, rel=1e-13)
    assert np.abs(want).max() > 1e-3
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-12 * np.abs(want).max())


@pytest.mark.parametrize(("output", "loss"), FITTING)
@pytest.mark.parametrize("activation", [name for name in ELEMENTWISE if name != "step"])
def test_gradient_of_every_activation_output_and_loss(
    activation: str, output: str, loss: str
) -> None:
    rng = np.random.default_rng(5)
    net = fastnn.MLP([D, H, K], activation, output, dtype="float64", seed=1)
    for b in net.biases:
        b[...] = net.backend.asarray(rng.normal(0, 0.5, b.shape))

    check(net, rng.normal(0, 1, (N, D)), targets(loss, rng), loss)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", [[D, K], [D, 1], [1, 4, 1], [D, 4, 7, 5, K]])
def test_gradient_of_every_depth_with_and_without_biases(
    sizes: list[int], bias: bool, reduction: str
) -> None:
    rng = np.random.default_rng(3)
    activation = ["tanh", "gelu", "relu"][: len(sizes) - 2]
    net = fastnn.MLP(sizes, activation, "sigmoid", bias, dtype="float64", seed=2)
    X, Y = rng.normal(0, 1, (N, sizes[0])), targets("binary_cross_entropy", rng, sizes[-1])

    check(net, X, Y, "binary_cross_entropy", reduction)


def test_labels_and_their_rows_have_one_gradient() -> None:
    rng = np.random.default_rng(0)
    net = fastnn.MLP([D, H, K], dtype="float64", seed=0)
    X, y = rng.normal(0, 1, (N, D)), rng.integers(0, K, N)

    of_labels, of_rows = net.gradient(X, y), net.gradient(X, np.eye(K)[y])

    assert of_labels[0] == pytest.approx(of_rows[0], rel=1e-14)
    np.testing.assert_allclose(of_labels[1], of_rows[1], rtol=0, atol=1e-15)


def test_gradient_leaves_the_network_and_the_gaps_alone() -> None:
    net = fastnn.MLP([3, 2, 2], seed=0)
    before = net.params.copy()

    _, gradient = net.gradient(np.ones((4, 3)), [0, 1, 0, 1])

    assert (net.params == before).all()
    in_gaps = np.ones(net.params.size, bool)
    for name, start in net.layout.offsets.items():
        in_gaps[start : start + int(np.prod(net.layout.shapes[name]))] = False
    assert in_gaps.any()
    assert not gradient[in_gaps].any()
