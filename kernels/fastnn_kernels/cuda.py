"""The face on a GPU: a thread an element, or a thread a row where a row is summed.

Each sum has one order and nothing is added atomically: the same bytes every time on one
kind of GPU.  A thread writes only what no other reads, so an output may be an input.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn_kernels import philox
from fastnn_kernels import scalars as plain_scalars
from fastnn_kernels import updates as plain_updates
from fastnn_kernels.cuda_jit import Kernel, cuda, device, device_module
from fastnn_kernels.face import ActivationGrad, Array, BiasActivation, LossFromRows

scalars: Any = device_module(
    plain_scalars, exp=math.exp, expm1=math.expm1, log=math.log, log1p=math.log1p
)
updates: Any = device_module(plain_updates, sqrt=math.sqrt)

Scalar = Callable[..., Any]


def _bias_activation(f: Scalar) -> BiasActivation:
    @Kernel
    def kernel(count, Z, b, out, m):
        i = cuda.grid(1)
        if i < count:
            out[i] = f(Z[i] + b[i % m])

    def bias_activation(Z: Array, b: Array, out: Array) -> None:
        kernel(Z.size, Z, b, out, Z.shape[1])

    return bias_activation


def _activation_grad(slope: Scalar) -> ActivationGrad:
    @Kernel
    def kernel(count, T, dA, out):
        i = cuda.grid(1)
        if i < count:
            out[i] = dA[i] * slope(T[i])

    def activation_grad(T: Array, dA: Array, out: Array) -> None:
        kernel(T.size, T, dA, out)

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


@device
def _max_of_row(A, start, m):
    largest = A[start]
    for j in range(start + 1, start + m):
        largest = A[j] if A[j] > largest else largest
    return largest


@device
def _exp_of_row(T, out, start, m, largest):
    """out = exp(T - largest) in this row; returns its sum."""
    total = scalars.exp(T[start] - largest)
    out[start] = total
    for j in range(start + 1, start + m):
        out[j] = scalars.exp(T[j] - largest)
        total += out[j]
    return total


@Kernel
def _bias_softmax(count, Z, b, out, m):
    i = cuda.grid(1)
    if i < count:
        start = i * m
        for j in range(m):
            out[start + j] = Z[start + j] + b[j]
        total = _exp_of_row(out, out, start, m, _max_of_row(out, start, m))
        for j in range(start, start + m):
            out[j] /= total


def bias_softmax(Z: Array, b: Array, out: Array) -> None:
    _bias_softmax(Z.shape[0], Z, b, out, Z.shape[1])


@Kernel
def _softmax_grad(count, T, dA, out, m):
    i = cuda.grid(1)
    if i < count:
        start = i * m
        mean = T[start] * dA[start]
        for j in range(start + 1, start + m):
            mean += T[j] * dA[j]
        for j in range(start, start + m):
            out[j] = T[j] * (dA[j] - mean)


def softmax_grad(T: Array, dA: Array, out: Array) -> None:
    _softmax_grad(T.shape[0], T, dA, out, T.shape[1])


@Kernel
def _softmax_cross_entropy(count, T, Y, w, scale, dT, loss, m):
    i = cuda.grid(1)
    if i < count:
        start = i * m
        largest = _max_of_row(T, start, m)
        mass = Y[start]
        match = Y[start] * (T[start] - largest)
        for j in range(start + 1, start + m):
            mass += Y[j]
            match += Y[j] * (T[j] - largest)
        total = _exp_of_row(T, dT, start, m, largest)
        loss[i] = w[i] * (mass * scalars.log(total) - match)
        weight = scale * w[i]
        for j in range(start, start + m):
            dT[j] = weight * (mass * (dT[j] / total) - Y[j])


def softmax_cross_entropy(
    T: Array, Y: Array, w: Array, scale: float, dT: Array, loss: Array
) -> None:
    scale = dT.dtype.type(scale)
    _softmax_cross_entropy(T.shape[0], T, Y, w, scale, dT, loss, T.shape[1])


@Kernel
def _softmax_cross_entropy_labels(count, T, y, w, scale, dT, loss, m):
    i = cuda.grid(1)
    if i < count:
        start = i * m
        largest = _max_of_row(T, start, m)
        true = start + y[i]
        match = T[true] - largest
        total = _exp_of_row(T, dT, start, m, largest)
        loss[i] = w[i] * (scalars.log(total) - match)
        weight = scale * w[i]
        for j in range(start, start + m):
            dT[j] = weight * (dT[j] / total)
        dT[true] -= weight


def softmax_cross_entropy_labels(
    T: Array, y: Array, w: Array, scale: float, dT: Array, loss: Array
) -> None:
    scale = dT.dtype.type(scale)
    _softmax_cross_entropy_labels(T.shape[0], T, y, w, scale, dT, loss, T.shape[1])


def _sum_of_losses(loss_of: Scalar, slope_of: Scalar) -> LossFromRows:
    @Kernel
    def kernel(count, T, Y, w, scale, dT, loss, m):
        i = cuda.grid(1)
        if i < count:
            start = i * m
            total = loss_of(T[start], Y[start])
            for j in range(start + 1, start + m):
                total += loss_of(T[j], Y[j])
            loss[i] = w[i] * total
            weight = scale * w[i]
            for j in range(start, start + m):
                dT[j] = weight * slope_of(T[j], Y[j])

    def sum_of_losses(T: Array, Y: Array, w: Array, scale: float, dT: Array, loss: Array) -> None:
        kernel(T.shape[0], T, Y, w, dT.dtype.type(scale), dT, loss, T.shape[1])

    return sum_of_losses


sigmoid_cross_entropy = _sum_of_losses(scalars.logistic_loss, scalars.logistic_slope)
squared_error = _sum_of_losses(scalars.squared_loss, scalars.squared_slope)
huber = _sum_of_losses(scalars.huber_loss, scalars.huber_slope)


@Kernel
def _hits(count, Z, y, out, m):
    i = cuda.grid(1)
    if i < count:
        start = i * m
        named = 0
        if m == 1:
            named = 1 if Z[start] > type(Z[start])(0) else 0
        for j in range(1, m):
            named = j if Z[start + j] > Z[start + named] else named
        out[i] = type(Z[start])(1 if named == y[i] else 0)


def hits(Z: Array, y: Array, out: Array) -> None:
    _hits(Z.shape[0], Z, y, out, Z.shape[1])


@Kernel
def _sgd(count, p, g, lr, weight_decay):
    i = cuda.grid(1)
    if i < count:
        updates.sgd(i, p, g, lr, weight_decay)


def sgd(p: Array, g: Array, lr: float, weight_decay: float) -> None:
    _sgd(p.size, p, g, *map(p.dtype.type, (lr, weight_decay)))


def _momentum(update: Scalar) -> Any:
    @Kernel
    def kernel(count, p, g, v, lr, momentum, weight_decay):
        i = cuda.grid(1)
        if i < count:
            update(i, p, g, v, lr, momentum, weight_decay)

    def sgd(p: Array, g: Array, v: Array, lr: float, momentum: float, weight_decay: float) -> None:
        kernel(p.size, p, g, v, *map(p.dtype.type, (lr, momentum, weight_decay)))

    return sgd


sgd_momentum = _momentum(updates.sgd_momentum)
sgd_nesterov = _momentum(updates.sgd_nesterov)


@Kernel
def _adam(
    count, p, g, mean, square, lr, beta1, beta2, epsilon, root, weight_decay, keep
):  # fmt: skip
    i = cuda.grid(1)
    if i < count:
        updates.adam(
            i, p, g, mean, square, lr, beta1, beta2, epsilon, root, weight_decay, keep
        )  # fmt: skip


def adam(
    p: Array, g: Array, mean: Array, square: Array, lr: float, beta1: float, beta2: float,
    epsilon: float, root: float, weight_decay: float, keep: float,
) -> None:  # fmt: skip
    numbers = lr, beta1, beta2, epsilon, root, weight_decay, keep
    _adam(p.size, p, g, mean, square, *map(p.dtype.type, numbers))


@Kernel
def _rmsprop(count, p, g, square, lr, alpha, epsilon, weight_decay):
    i = cuda.grid(1)
    if i < count:
        updates.rmsprop(i, p, g, square, lr, alpha, epsilon, weight_decay)


def rmsprop(
    p: Array, g: Array, square: Array, lr: float, alpha: float, epsilon: float, weight_decay: float
) -> None:
    _rmsprop(p.size, p, g, square, *map(p.dtype.type, (lr, alpha, epsilon, weight_decay)))


@Kernel
def _adagrad(count, p, g, square, lr, epsilon, weight_decay):
    i = cuda.grid(1)
    if i < count:
        updates.adagrad(i, p, g, square, lr, epsilon, weight_decay)


def adagrad(
    p: Array, g: Array, square: Array, lr: float, epsilon: float, weight_decay: float
) -> None:
    _adagrad(p.size, p, g, square, *map(p.dtype.type, (lr, epsilon, weight_decay)))


@Kernel
def _penalty(count, g, p, l1, l2):
    i = cuda.grid(1)
    if i < count:
        updates.penalty(i, g, p, l1, l2)


def penalty(g: Array, p: Array, l1: float, l2: float) -> None:
    _penalty(p.size, g, p, *map(p.dtype.type, (l1, l2)))


@Kernel
def _average(count, a, p, decay):
    i = cuda.grid(1)
    if i < count:
        updates.average(i, a, p, decay)


def average(a: Array, p: Array, decay: float) -> None:
    _average(p.size, a, p, p.dtype.type(decay))


# The four words have four names: an index into them becomes a switch whose every branch does
# some of Philox's rounds again.


@device
def _put(word, out, e, size):
    if e < size:
        out[e] = word


@Kernel
def _philox_bits(count, key_low, key_high, step_low, step_high, layer, out, size):
    i = cuda.grid(1)
    if i < count:
        c0 = np.uint32(i)
        w0, w1, w2, w3 = scalars.philox4x32(c0, layer, step_low, step_high, key_low, key_high)
        _put(w0, out, 4 * i, size)
        _put(w1, out, 4 * i + 1, size)
        _put(w2, out, 4 * i + 2, size)
        _put(w3, out, 4 * i + 3, size)


def philox_bits(seed: int, step: int, layer: int, out: Array) -> None:
    words = philox.key_and_counter(seed, step, layer)
    _philox_bits(-(-out.size // 4), *words, out, out.size)


@device
def _drop(A, word, threshold, factor, out, e, size):
    if e < size:
        out[e] = scalars.dropped(A[e], word, threshold, factor)


@Kernel
def _dropout(
    count, A, key_low, key_high, step_low, step_high, layer, threshold, factor, out, size
):  # fmt: skip
    i = cuda.grid(1)
    if i < count:
        c0 = np.uint32(i)
        w0, w1, w2, w3 = scalars.philox4x32(c0, layer, step_low, step_high, key_low, key_high)
        _drop(A, w0, threshold, factor, out, 4 * i, size)
        _drop(A, w1, threshold, factor, out, 4 * i + 1, size)
        _drop(A, w2, threshold, factor, out, 4 * i + 2, size)
        _drop(A, w3, threshold, factor, out, 4 * i + 3, size)


def dropout(A: Array, seed: int, step: int, layer: int, rate: float, out: Array) -> None:
    words = philox.key_and_counter(seed, step, layer)
    threshold, factor = philox.threshold(rate), out.dtype.type(1 / (1 - rate))
    _dropout(-(-out.size // 4), A, *words, threshold, factor, out, out.size)
