"""Columns: activations, losses and hits of the face, for samples in columns.

Z, T, Y, dA and dZ are (k, n); w, losses, labels and out (n,).  All samples are worked on at once,
row after row; an activation and the product with its slope are made in place.  The last arguments
(n,) of a loss and of hits are room for what they keep of each sample meanwhile.  No array overlaps
another.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from fastnn_kernels import scalars, simd
from fastnn_kernels.cpu_math import maximum
from fastnn_kernels.cpu_plan import FROM_INPUT
from fastnn_kernels.jit import inner, jit


def _activation(f: Callable[..., Any]) -> Any:
    @jit
    def activation(Z):
        simd.wide()
        k, n = Z.shape
        for i in range(k):
            for j in range(n):
                Z[i, j] = f(Z[i, j])

    return activation


def _slope(slope: Callable[..., Any]) -> Any:
    @jit
    def times_slope(T, dA):
        simd.wide()
        simd.apart()
        k, n = T.shape
        for i in range(k):
            for j in range(n):
                dA[i, j] *= slope(T[i, j])

    return times_slope


@jit
def _softmax(Z):
    k, n = Z.shape
    for j in range(n):
        largest, total = Z[0, j], Z.dtype.type(0)
        for i in range(1, k):
            largest = maximum(largest, Z[i, j])
        for i in range(k):
            Z[i, j] = scalars.exp(Z[i, j] - largest)
            total += Z[i, j]
        for i in range(k):
            Z[i, j] /= total


@jit
def _times_softmax_slope(T, dA):
    k, n = T.shape
    for j in range(n):
        mean = T.dtype.type(0)
        for i in range(k):
            mean += dA[i, j] * T[i, j]
        for i in range(k):
            dA[i, j] = T[i, j] * (dA[i, j] - mean)


_ELEMENTWISE = (
    "identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "gelu", "silu",
)  # fmt: skip
ACTIVATIONS = {name: _activation(getattr(scalars, name)) for name in _ELEMENTWISE}
SLOPES = {name: _slope(getattr(scalars, f"{name}_slope")) for name in _ELEMENTWISE}


@jit
def softmax_cross_entropy(Z, Y, w, scale, dZ, losses, largest, total, mass):
    simd.wide()
    simd.apart()
    scale, (k, n) = dZ.dtype.type(scale), Z.shape
    for j in range(n):
        largest[j] = Z[0, j]
    for i in range(1, k):
        for j in range(n):
            largest[j] = maximum(largest[j], Z[i, j])
    for j in range(n):
        total[j] = mass[j] = losses[j] = dZ.dtype.type(0)
    for i in range(k):
        for j in range(n):
            z = Z[i, j] - largest[j]
            dZ[i, j] = scalars.exp(z)
            total[j] += dZ[i, j]
            mass[j] += Y[i, j]
            losses[j] -= Y[i, j] * z
    for j in range(n):
        losses[j] = w[j] * (mass[j] * scalars.log(total[j]) + losses[j])
        total[j] = mass[j] / total[j]
    for i in range(k):
        for j in range(n):
            dZ[i, j] = scale * w[j] * (total[j] * dZ[i, j] - Y[i, j])


def _of_each(rule: Callable[..., Any]) -> Any:
    """A loss that is a sum over the outputs; rule(z, y) is one's loss and slope."""

    @jit
    def sum_of_losses(Z, Y, w, scale, dZ, losses, largest, total, mass):
        simd.wide()
        simd.apart()
        scale, (k, n) = dZ.dtype.type(scale), Z.shape
        for j in range(n):
            losses[j] = dZ.dtype.type(0)
        for i in range(k):
            for j in range(n):
                loss, slope = rule(Z[i, j], Y[i, j])
                losses[j] += w[j] * loss
                dZ[i, j] = scale * w[j] * slope

    return sum_of_losses


def _of_logit(loss: Any, slope: Any) -> Any:
    @inner
    def of_logit(z, y):
        return loss(z, y), slope(z, y)

    return of_logit


def _by_output(f: Any, f_slope: Any, loss: Any, slope: Any) -> Any:
    @inner
    def by_output(z, y):
        a = f(z)
        return loss(a, y), slope(a, y) * f_slope(a)

    return by_output


def _by_input(f: Any, f_slope: Any, loss: Any, slope: Any) -> Any:
    @inner
    def by_input(z, y):
        a = f(z)
        return loss(a, y), slope(a, y) * f_slope(z)

    return by_input


def _by_softmax(loss: Any) -> Any:
    @jit
    def by_softmax(Z, Y, w, scale, dZ, losses, largest, total, mass):
        _softmax(Z)
        loss(Z, Y, w, scale, dZ, losses, largest, total, mass)
        _times_softmax_slope(Z, dZ)

    return by_softmax


sigmoid_cross_entropy = _of_each(_of_logit(scalars.logistic_loss, scalars.logistic_slope))


@cache
def through(output: str, loss: str) -> Any:
    """A loss of the output ("squared_error" or "huber"), as one of the logits, which it spoils."""
    if output == "softmax":
        return _by_softmax(through("identity", loss))
    kind = loss.split("_")[0]
    rules = (output, f"{output}_slope", f"{kind}_loss", f"{kind}_slope")
    make = _by_input if output in FROM_INPUT else _by_output
    return _of_each(make(*(getattr(scalars, name) for name in rules)))


@jit
def hits(Z, labels, out, largest):
    """labels are numbers of Z's type."""
    simd.wide()
    simd.apart()
    one, zero, (k, n) = out.dtype.type(1), out.dtype.type(0), Z.shape
    for j in range(n):
        out[j] = one if k == 1 and Z[0, j] > zero else zero
        largest[j] = Z[0, j]
    for i in range(1, k):
        name = out.dtype.type(i)
        for j in range(n):
            is_larger = Z[i, j] > largest[j]
            out[j] = name if is_larger else out[j]
            largest[j] = Z[i, j] if is_larger else largest[j]
    for j in range(n):
        out[j] = one if out[j] == labels[j] else zero
