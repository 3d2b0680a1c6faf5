"""The face as array expressions: the definition of right, for NumPy and CuPy alike.

Every formula is evaluated in float64 and rounded once, into the output.  Only ufuncs
and array methods are used, so that CuPy arrays stay on their device.  The plain
functions (sigmoid(z), sigmoid_slope(a), ...) take and return float64 arrays.
"""

from collections.abc import Callable

import numpy as np

from fastnn_kernels.face import ActivationGrad, Array, BiasActivation, LossFromRows

Formula = Callable[..., Array]

_quiet = np.errstate(all="ignore")  # inf and NaN are values here; both sides of a where run


def identity(z: Array) -> Array:
    return z


def step(z: Array) -> Array:
    return np.where(np.isnan(z), z, z > 0)


def sigmoid(z: Array) -> Array:
    e = np.exp(-np.abs(z))  # in (0, 1]: neither branch can overflow, and the tail is kept
    return np.where(z < 0, e, 1) / (1 + e)


def tanh(z: Array) -> Array:
    return np.tanh(z)


def relu(z: Array) -> Array:
    return np.maximum(z, 0)


def leaky_relu(z: Array) -> Array:
    return np.where(z < 0, 0.01 * z, z)


def elu(z: Array) -> Array:
    return np.where(z < 0, np.expm1(z), z)


def softplus(z: Array) -> Array:
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def gelu(z: Array) -> Array:
    return _gated(z, sigmoid(_gelu_argument(z)))


def silu(z: Array) -> Array:
    return _gated(z, sigmoid(z))


def _gated(z: Array, s: Array) -> Array:
    return np.where(s == 0, 0, z * s)  # 0, not NaN, at minus infinity


def _gelu_argument(z: Array) -> Array:
    return np.sqrt(8 / np.pi) * (z + 0.044715 * z**3)


def softmax(z: Array) -> Array:
    """Over the last axis."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(z: Array) -> Array:
    """Over the last axis."""
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def identity_slope(a: Array) -> Array:
    return np.ones_like(a)


def step_slope(a: Array) -> Array:
    return np.zeros_like(a)


def sigmoid_slope(a: Array) -> Array:
    return a * (1 - a)


def tanh_slope(a: Array) -> Array:
    return 1 - a * a


def relu_slope(a: Array) -> Array:
    return np.where(np.isnan(a), a, a > 0)


def leaky_relu_slope(a: Array) -> Array:
    return np.where(np.isnan(a), a, np.where(a > 0, 1, 0.01))


def elu_slope(a: Array) -> Array:
    return np.where(a > 0, 1, a + 1)


def softplus_slope(a: Array) -> Array:
    return -np.expm1(-a)


def gelu_slope(z: Array) -> Array:
    s = sigmoid(_gelu_argument(z))
    return s + _gated(z * np.sqrt(8 / np.pi) * (1 + 3 * 0.044715 * z**2), s * (1 - s))


def silu_slope(z: Array) -> Array:
    s = sigmoid(z)
    return s + _gated(z, s * (1 - s))


def softmax_slope_times(a: Array, dA: Array) -> Array:
    """Softmax's derivative applied to dA, over the last axis: a (dA - sum(a dA))."""
    return a * (dA - (a * dA).sum(axis=-1, keepdims=True))


def _wide(x: Array) -> Array:
    return x.astype(np.float64)


def _bias_activation(f: Formula) -> BiasActivation:
    @_quiet
    def bias_activation(Z: Array, b: Array, out: Array) -> None:
        out[...] = f(_wide(Z) + b)

    return bias_activation


def _activation_grad(slope: Formula) -> ActivationGrad:
    @_quiet
    def activation_grad(T: Array, dA: Array, out: Array) -> None:
        out[...] = dA * slope(_wide(T))

    return activation_grad


bias_identity = _bias_activation(identity)
bias_step = _bias_activation(step)
bias_sigmoid = _bias_activation(sigmoid)
bias_tanh = _bias_activation(tanh)
bias_relu = _bias_activation(relu)
bias_leaky_relu = _bias_activation(leaky_relu)
bias_elu = _bias_activation(elu)
bias_softplus = _bias_activation(softplus)
bias_gelu = _bias_activation(gelu)
bias_silu = _bias_activation(silu)
bias_softmax = _bias_activation(softmax)

identity_grad = _activation_grad(identity_slope)
step_grad = _activation_grad(step_slope)
sigmoid_grad = _activation_grad(sigmoid_slope)
tanh_grad = _activation_grad(tanh_slope)
relu_grad = _activation_grad(relu_slope)
leaky_relu_grad = _activation_grad(leaky_relu_slope)
elu_grad = _activation_grad(elu_slope)
softplus_grad = _activation_grad(softplus_slope)
gelu_grad = _activation_grad(gelu_slope)
silu_grad = _activation_grad(silu_slope)


@_quiet
def softmax_grad(T: Array, dA: Array, out: Array) -> None:
    out[...] = softmax_slope_times(_wide(T), _wide(dA))


def _sum_of_losses(loss_of: Formula, slope_of: Formula) -> LossFromRows:
    @_quiet
    def sum_of_losses(T: Array, Y: Array, w: Array, scale: float, dT: Array, loss: Array) -> None:
        T = _wide(T)
        loss[...] = w * loss_of(T, Y).sum(axis=1)
        dT[...] = scale * w[:, None] * slope_of(T, Y)

    return sum_of_losses


softmax_cross_entropy = _sum_of_losses(
    lambda z, y: -y * log_softmax(z),
    lambda z, y: softmax(z) * y.sum(axis=1, keepdims=True) - y,
)
sigmoid_cross_entropy = _sum_of_losses(
    lambda z, y: np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z))),
    lambda z, y: sigmoid(z) - y,
)
squared_error = _sum_of_losses(lambda a, y: (a - y) ** 2 / 2, lambda a, y: a - y)
huber = _sum_of_losses(
    lambda a, y: np.where(np.abs(a - y) <= 1, (a - y) ** 2 / 2, np.abs(a - y) - 0.5),
    lambda a, y: np.clip(a - y, -1, 1),
)


def softmax_cross_entropy_labels(
    T: Array, y: Array, w: Array, scale: float, dT: Array, loss: Array
) -> None:
    Y = _wide(y[:, None] == np.arange(T.shape[1], like=y))
    softmax_cross_entropy(T, Y, w, scale, dT, loss)


def hits(Z: Array, y: Array, out: Array) -> None:
    named = Z.argmax(axis=1) if Z.shape[1] > 1 else Z[:, 0] > 0
    out[...] = named == y


def sgd(p: Array, g: Array, lr: float, weight_decay: float) -> None:
    p -= lr * (g + weight_decay * p)


def sgd_momentum(
    p: Array, g: Array, v: Array, lr: float, momentum: float, weight_decay: float
) -> None:
    v[...] = momentum * v + (g + weight_decay * p)
    p -= lr * v


def sgd_nesterov(
    p: Array, g: Array, v: Array, lr: float, momentum: float, weight_decay: float
) -> None:
    d = g + weight_decay * p
    v[...] = momentum * v + d
    p -= lr * (d + momentum * v)


def adam(
    p: Array, g: Array, mean: Array, square: Array, lr: float, beta1: float, beta2: float,
    epsilon: float, root: float, weight_decay: float, keep: float,
) -> None:  # fmt: skip
    d = g + weight_decay * p
    mean[...] = beta1 * mean + (1 - beta1) * d
    square[...] = beta2 * square + (1 - beta2) * d**2
    p[...] = keep * p - lr * mean / (np.sqrt(square) / root + epsilon)


def rmsprop(
    p: Array, g: Array, square: Array, lr: float, alpha: float, epsilon: float, weight_decay: float
) -> None:
    d = g + weight_decay * p
    square[...] = alpha * square + (1 - alpha) * d**2
    p -= lr * d / (np.sqrt(square) + epsilon)


def adagrad(
    p: Array, g: Array, square: Array, lr: float, epsilon: float, weight_decay: float
) -> None:
    d = g + weight_decay * p
    square += d**2
    p -= lr * d / (np.sqrt(square) + epsilon)


def penalty(g: Array, p: Array, l1: float, l2: float) -> None:
    g += l2 * p + l1 * np.sign(p)


def average(a: Array, p: Array, decay: float) -> None:
    a[...] = decay * a + (1 - decay) * p


def philox4x32(counter: tuple[Array, ...], key: tuple[int, int]) -> tuple[Array, ...]:
    """The four words of Philox-4x32-10, uint64 arrays below 2**32 as the counter's are."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for i in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0 = (p1 >> 32) ^ c1 ^ (k0 + i * 0x9E3779B9) % 2**32
        c2 = (p0 >> 32) ^ c3 ^ (k1 + i * 0xBB67AE85) % 2**32
        c1, c3 = p1 & 0xFFFFFFFF, p0 & 0xFFFFFFFF
    return c0, c1, c2, c3


def philox_bits(seed: int, step: int, layer: int, out: Array) -> None:
    block = np.arange(-(-out.size // 4), dtype=np.uint64, like=out)
    counter = block, block * 0 + layer, block * 0 + step % 2**32, block * 0 + (step >> 32)
    words = philox4x32(counter, (seed % 2**32, seed >> 32))
    for k in range(4):
        out[k::4] = words[k][: out[k::4].size]


@_quiet
def dropout(A: Array, seed: int, step: int, layer: int, rate: float, out: Array) -> None:
    bits = np.empty(out.size, np.uint32, like=out)
    philox_bits(seed, step, layer, bits)
    kept = bits.reshape(out.shape) >= np.uint32(int(rate * 2**32))
    out[...] = np.where(kept, _wide(A) / (1 - rate), 0)
