"""Columns: activations, losses and hits of the face, for samples in columns.

Z, T, Y, dA and dT are (k, n); w, losses, labels and out (n,).  All samples are worked on at once,
row after row; an activation and the product with its slope are made in place.  The last arguments
(n,) of a loss and of hits are room for what they keep of each sample meanwhile.  No array overlaps
another.
"""

from collections.abc import Callable
from typing import Any

from fastnn_kernels import scalars, simd
from fastnn_kernels.cpu_math import maximum
from fastnn_kernels.jit import jit


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
ACTIVATIONS["softmax"] = _softmax
SLOPES = {name: _slope(getattr(scalars, f"{name}_slope")) for name in _ELEMENTWISE}
SLOPES["softmax"] = _times_softmax_slope


@jit
def softmax_cross_entropy(T, Y, w, scale, dT, losses, largest, total, mass):
    simd.wide()
    simd.apart()
    scale, (k, n) = dT.dtype.type(scale), T.shape
    for j in range(n):
        largest[j] = T[0, j]
    for i in range(1, k):
        for j in range(n):
            largest[j] = maximum(largest[j], T[i, j])
    for j in range(n):
        total[j] = mass[j] = losses[j] = dT.dtype.type(0)
    for i in range(k):
        for j in range(n):
            z = T[i, j] - largest[j]
            dT[i, j] = scalars.exp(z)
            total[j] += dT[i, j]
            mass[j] += Y[i, j]
            losses[j] -= Y[i, j] * z
    for j in range(n):
        losses[j] = w[j] * (mass[j] * scalars.log(total[j]) + losses[j])
        total[j] = mass[j] / total[j]
    for i in range(k):
        for j in range(n):
            dT[i, j] = scale * w[j] * (total[j] * dT[i, j] - Y[i, j])


def _sum_of_losses(loss_of: Callable[..., Any], slope_of: Callable[..., Any]) -> Any:
    @jit
    def sum_of_losses(T, Y, w, scale, dT, losses, largest, total, mass):
        simd.wide()
        simd.apart()
        scale, (k, n) = dT.dtype.type(scale), T.shape
        for j in range(n):
            losses[j] = dT.dtype.type(0)
        for i in range(k):
            for j in range(n):
                losses[j] += w[j] * loss_of(T[i, j], Y[i, j])
                dT[i, j] = scale * w[j] * slope_of(T[i, j], Y[i, j])

    return sum_of_losses


sigmoid_cross_entropy = _sum_of_losses(scalars.logistic_loss, scalars.logistic_slope)
squared_error = _sum_of_losses(scalars.squared_loss, scalars.squared_slope)
huber = _sum_of_losses(scalars.huber_loss, scalars.huber_slope)


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
