"""Columns: softmax, the losses and the hits of the face, for samples in columns.

T, Z, Y and dT are (k, n); w, losses, labels and hits (n,).  All samples are worked on at once, row
after row.  The last arguments (n,) are room for what a loss keeps of each sample meanwhile; no
array overlaps another, but for those of softmax.
"""

from collections.abc import Callable
from typing import Any

from fastnn_kernels import scalars, simd
from fastnn_kernels.cpu_math import maximum
from fastnn_kernels.jit import jit


@jit
def bias_softmax(Z, b, out):
    """softmax(Z); b is not looked at, and out may be Z."""
    k, n = Z.shape
    for j in range(n):
        largest, total = Z[0, j], Z.dtype.type(0)
        for i in range(1, k):
            largest = maximum(largest, Z[i, j])
        for i in range(k):
            out[i, j] = scalars.exp(Z[i, j] - largest)
            total += out[i, j]
        for i in range(k):
            out[i, j] /= total


@jit
def softmax_grad(T, dA, out):
    k, n = T.shape
    for j in range(n):
        mean = T.dtype.type(0)
        for i in range(k):
            mean += dA[i, j] * T[i, j]
        for i in range(k):
            out[i, j] = T[i, j] * (dA[i, j] - mean)


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
