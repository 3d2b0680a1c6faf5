"""The face on a CPU: Numba kernels over rows, compiled at their first use.

Each is a plain double loop over scalar functions, which LLVM turns into vectors.
One thread and one order of summation: the same bytes every time on one machine.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba.extending import register_jitable

from fastnn_kernels import philox, scalars, updates
from fastnn_kernels.cpu_math import maximum
from fastnn_kernels.face import ActivationGrad, BiasActivation, LossFromRows
from fastnn_kernels.jit import INNER, jit

Scalar = Callable[..., Any]

_OVERLOADED = scalars.exp, scalars.expm1, scalars.log, scalars.log1p  # in cpu_math
for _function in [*vars(scalars).values(), *vars(updates).values()]:
    if callable(_function) and _function not in _OVERLOADED:
        # Philox is long enough for LLVM to call it, and a loop with a call does not vectorize.
        register_jitable(forceinline=True, **INNER)(_function)


# LLVM vectorizes a loop only where it sees that its arrays are apart or one and the same.
# So a kernel that may work in place first copies its input to its output, if that is
# another array, and then works on the output alone.  No views of rows: one costs 15 ns.


@register_jitable(**INNER)
def _copy(source, out):
    if out is not source:
        for i in range(out.shape[0]):
            for j in range(out.shape[1]):
                out[i, j] = source[i, j]


def _bias_activation(f: Scalar) -> BiasActivation:
    @jit
    def bias_activation(Z, b, out):
        _copy(Z, out)
        for i in range(out.shape[0]):
            for j in range(out.shape[1]):
                out[i, j] = f(out[i, j] + b[j])

    return bias_activation


def _activation_grad(slope: Scalar) -> ActivationGrad:
    @jit
    def activation_grad(T, dA, out):
        _copy(dA, out)
        for i in range(out.shape[0]):
            for j in range(out.shape[1]):
                out[i, j] *= slope(T[i, j])

    return activation_grad


bias_identity = _bias_activation(scalars.identity)
bias_step = _bias_activation(scalars.step)
bias_sigmoid = _bias_activation(scalars.sigmoid)
bias_tanh = _bias_activation(scalars.tanh)
bias_relu = _bias_activation(scalars.relu)
bias_leaky_relu = _bias_activation(scalars.leaky_relu)
bias_elu = _bias_activation(scalars.elu)
bias_softplus = _bias_activation(scalars.softplus)
bias_gelu = _bias_activation(scalars.gelu)
bias_silu = _bias_activation(scalars.silu)

identity_grad = _activation_grad(scalars.identity_slope)
step_grad = _activation_grad(scalars.step_slope)
sigmoid_grad = _activation_grad(scalars.sigmoid_slope)
tanh_grad = _activation_grad(scalars.tanh_slope)
relu_grad = _activation_grad(scalars.relu_slope)
leaky_relu_grad = _activation_grad(scalars.leaky_relu_slope)
elu_grad = _activation_grad(scalars.elu_slope)
softplus_grad = _activation_grad(scalars.softplus_slope)
gelu_grad = _activation_grad(scalars.gelu_slope)
silu_grad = _activation_grad(scalars.silu_slope)


# A sum whose order is free vectorizes, and rounds less along a wide row; NaN stays NaN.
IN_ANY_ORDER = {**INNER, "fastmath": {"contract", "reassoc"}}


@register_jitable(**IN_ANY_ORDER)
def _sum_of_row(A, i):
    total = A[i, 0]
    for j in range(1, A.shape[1]):
        total += A[i, j]
    return total


@register_jitable(**IN_ANY_ORDER)
def _dot_of_rows(A, B, i):
    total = A[i, 0] * B[i, 0]
    for j in range(1, A.shape[1]):
        total += A[i, j] * B[i, j]
    return total


@register_jitable(**INNER)
def _max_of_row(A, i):
    largest = A[i, 0]
    for j in range(1, A.shape[1]):
        largest = maximum(largest, A[i, j])
    return largest


@register_jitable(**INNER)
def _less_largest(A, i):
    """A[i] -= its largest number."""
    largest = _max_of_row(A, i)
    for j in range(A.shape[1]):
        A[i, j] -= largest


@register_jitable(**INNER)
def _exp(A):
    """In place; all rows together, as most are shorter than a few vectors."""
    x = A.reshape(A.size)
    for e in range(x.size):
        x[e] = scalars.exp(x[e])


@jit
def bias_softmax(Z, b, out):
    bias_identity(Z, b, out)
    for i in range(out.shape[0]):
        _less_largest(out, i)
    _exp(out)
    for i in range(out.shape[0]):
        total = _sum_of_row(out, i)
        for j in range(out.shape[1]):
            out[i, j] /= total


@jit
def softmax_grad(T, dA, out):
    _copy(dA, out)
    for i in range(out.shape[0]):
        mean = _dot_of_rows(out, T, i)
        for j in range(out.shape[1]):
            out[i, j] = T[i, j] * (out[i, j] - mean)


@jit
def softmax_cross_entropy(T, Y, w, scale, dT, loss):
    _copy(T, dT)
    for i in range(dT.shape[0]):
        _less_largest(dT, i)
        loss[i] = dT.dtype.type(0)
        for j in range(dT.shape[1]):
            loss[i] += Y[i, j] * dT[i, j]
    _exp(dT)
    for i in range(dT.shape[0]):
        total, mass = _sum_of_row(dT, i), _sum_of_row(Y, i)
        loss[i] = w[i] * (mass * scalars.log(total) - loss[i])
        weight = dT.dtype.type(scale) * w[i]
        for j in range(dT.shape[1]):
            dT[i, j] = weight * (mass * (dT[i, j] / total) - Y[i, j])


@jit
def softmax_cross_entropy_labels(T, y, w, scale, dT, loss):
    _copy(T, dT)
    for i in range(dT.shape[0]):
        _less_largest(dT, i)
        loss[i] = dT[i, y[i]]
    _exp(dT)
    for i in range(dT.shape[0]):
        total = _sum_of_row(dT, i)
        loss[i] = w[i] * (scalars.log(total) - loss[i])
        weight = dT.dtype.type(scale) * w[i]
        for j in range(dT.shape[1]):
            dT[i, j] = weight * (dT[i, j] / total)
        dT[i, y[i]] -= weight


def _sum_of_losses(loss_of: Scalar, slope_of: Scalar) -> LossFromRows:
    @register_jitable(**IN_ANY_ORDER)
    def loss_of_row(T, Y, i):
        total = loss_of(T[i, 0], Y[i, 0])
        for j in range(1, T.shape[1]):
            total += loss_of(T[i, j], Y[i, j])
        return total

    loss_of_row.__qualname__ += f".{loss_of.__name__}"  # see jit

    @jit
    def sum_of_losses(T, Y, w, scale, dT, loss):
        _copy(T, dT)
        for i in range(dT.shape[0]):
            loss[i] = w[i] * loss_of_row(dT, Y, i)
            weight = dT.dtype.type(scale) * w[i]
            for j in range(dT.shape[1]):
                dT[i, j] = weight * slope_of(dT[i, j], Y[i, j])

    return sum_of_losses


sigmoid_cross_entropy = _sum_of_losses(scalars.logistic_loss, scalars.logistic_slope)
squared_error = _sum_of_losses(scalars.squared_loss, scalars.squared_slope)
huber = _sum_of_losses(scalars.huber_loss, scalars.huber_slope)


@jit
def hits(Z, y, out):
    one, zero = out.dtype.type(1), out.dtype.type(0)
    for i in range(Z.shape[0]):
        if Z.shape[1] == 1:
            out[i] = one if y[i] == (1 if Z[i, 0] > zero else 0) else zero
            continue
        z, better = Z[i, y[i]], 0  # the first of equals is named
        for j in range(y[i]):
            better += Z[i, j] >= z
        for j in range(y[i] + 1, Z.shape[1]):
            better += Z[i, j] > z
        out[i] = zero if better else one


@jit
def sgd(p, g, lr, weight_decay):
    lr, weight_decay = p.dtype.type(lr), p.dtype.type(weight_decay)
    for i in range(p.size):
        updates.sgd(i, p, g, lr, weight_decay)


@jit
def sgd_momentum(p, g, v, lr, momentum, weight_decay):
    lr, momentum = p.dtype.type(lr), p.dtype.type(momentum)
    weight_decay = p.dtype.type(weight_decay)
    for i in range(p.size):
        updates.sgd_momentum(i, p, g, v, lr, momentum, weight_decay)


@jit
def sgd_nesterov(p, g, v, lr, momentum, weight_decay):
    lr, momentum = p.dtype.type(lr), p.dtype.type(momentum)
    weight_decay = p.dtype.type(weight_decay)
    for i in range(p.size):
        updates.sgd_nesterov(i, p, g, v, lr, momentum, weight_decay)


@jit
def adam(p, g, mean, square, lr, beta1, beta2, epsilon, root, weight_decay, keep):
    number = p.dtype.type
    lr, beta1, beta2, epsilon = number(lr), number(beta1), number(beta2), number(epsilon)
    root, weight_decay, keep = number(root), number(weight_decay), number(keep)
    for i in range(p.size):
        updates.adam(
            i, p, g, mean, square, lr, beta1, beta2, epsilon, root, weight_decay, keep
        )  # fmt: skip


@jit
def rmsprop(p, g, square, lr, alpha, epsilon, weight_decay):
    number = p.dtype.type
    lr, alpha, epsilon = number(lr), number(alpha), number(epsilon)
    weight_decay = number(weight_decay)
    for i in range(p.size):
        updates.rmsprop(i, p, g, square, lr, alpha, epsilon, weight_decay)


@jit
def adagrad(p, g, square, lr, epsilon, weight_decay):
    number = p.dtype.type
    lr, epsilon, weight_decay = number(lr), number(epsilon), number(weight_decay)
    for i in range(p.size):
        updates.adagrad(i, p, g, square, lr, epsilon, weight_decay)


@jit
def penalty(g, p, l1, l2):
    l1, l2 = p.dtype.type(l1), p.dtype.type(l2)
    for i in range(p.size):
        updates.penalty(i, g, p, l1, l2)


@jit
def average(a, p, decay):
    decay = p.dtype.type(decay)
    for i in range(p.size):
        updates.average(i, a, p, decay)


def philox_bits(seed: int, step: int, layer: int, out) -> None:
    _philox_bits(*philox.key_and_counter(seed, step, layer), out)


@jit
def _philox_bits(key_low, key_high, step_low, step_high, layer, out):
    end = out.size - out.size % 4
    for e in range(0, end, 4):
        c0 = np.uint32(e // 4)
        out[e], out[e + 1], out[e + 2], out[e + 3] = scalars.philox4x32(
            c0, layer, step_low, step_high, key_low, key_high
        )
    c0 = np.uint32(end // 4)
    words = scalars.philox4x32(c0, layer, step_low, step_high, key_low, key_high)
    for e in range(end, out.size):
        out[e] = words[e - end]


def dropout(A, seed: int, step: int, layer: int, rate: float, out) -> None:
    words = philox.key_and_counter(seed, step, layer)
    _dropout(A, *words, philox.threshold(rate), 1 / (1 - rate), out)


@jit
def _dropout(A, key_low, key_high, step_low, step_high, layer, threshold, factor, out):
    _copy(A, out)
    x, factor = out.reshape(out.size), out.dtype.type(factor)
    end = x.size - x.size % 4
    for e in range(0, end, 4):
        c0 = np.uint32(e // 4)
        w0, w1, w2, w3 = scalars.philox4x32(c0, layer, step_low, step_high, key_low, key_high)
        x[e] = scalars.dropped(x[e], w0, threshold, factor)
        x[e + 1] = scalars.dropped(x[e + 1], w1, threshold, factor)
        x[e + 2] = scalars.dropped(x[e + 2], w2, threshold, factor)
        x[e + 3] = scalars.dropped(x[e + 3], w3, threshold, factor)
    c0 = np.uint32(end // 4)
    words = scalars.philox4x32(c0, layer, step_low, step_high, key_low, key_high)
    for e in range(end, x.size):
        x[e] = scalars.dropped(x[e], words[e - end], threshold, factor)
