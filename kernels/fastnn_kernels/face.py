"""The face: what every kernel module has, with shapes, formula and aliasing.

A kernel reads its inputs, writes its outputs, allocates nothing, checks nothing
and returns nothing; a NaN that is used comes out.  Rows are samples.  All arrays
of a call are C-contiguous, live on one device and have one float type (float32 or
float64), labels (int64) and bits (uint32) apart.  n >= 0 rows, m >= 1 columns.
out may be Z, dA or A, and dT may be T; no other output may be an input.
"""

from typing import Any, Protocol

Array = Any  # numpy.ndarray or cupy.ndarray; neither library types the other's arrays

ELEMENTWISE = (
    "identity", "step", "sigmoid", "tanh", "relu",
    "leaky_relu", "elu", "softplus", "gelu", "silu",
)  # fmt: skip


class BiasActivation(Protocol):
    """out = f(Z + b).  Z, out (n, m); b (m,)."""

    def __call__(self, Z: Array, b: Array, out: Array) -> None: ...


class ActivationGrad(Protocol):
    """out = dA * f'.  T, dA, out (n, m).

    T is the activation's output A, and for gelu and silu its input Z.
    For softmax it is A, and out = A * (dA - sum(A * dA, row)).
    """

    def __call__(self, T: Array, dA: Array, out: Array) -> None: ...


class LossFromRows(Protocol):
    """loss[i] = w[i] * L(T[i], Y[i]) and dT[i] = scale * w[i] * dL/dT.

    T, Y, dT (n, m); w (n,) what each row counts for; loss (n,); scale a number.
    """

    def __call__(
        self, T: Array, Y: Array, w: Array, scale: float, dT: Array, loss: Array
    ) -> None: ...


class LossFromLabels(Protocol):
    """As LossFromRows, with the columns y (n,) int64 of the ones in Y; 0 <= y < m."""

    def __call__(
        self, T: Array, y: Array, w: Array, scale: float, dT: Array, loss: Array
    ) -> None: ...


class Hits(Protocol):
    """out[i] = 1 where row i of the logits Z names class y[i], else 0.  out (n,) in Z's type.

    The class named is the first largest column; of a single column, whether Z > 0.  What a
    row with NaN names is not defined.
    """

    def __call__(self, Z: Array, y: Array, out: Array) -> None: ...


class Sgd(Protocol):
    """p -= lr * (g + weight_decay * p).  p, g (size,)."""

    def __call__(self, p: Array, g: Array, lr: float, weight_decay: float) -> None: ...


class SgdMomentum(Protocol):
    """v = momentum * v + d with d = g + weight_decay * p, then p -= lr * v.

    Nesterov's form steps along d + momentum * v instead.  p, g, v (size,).
    Sutskever et al. (2013), with PyTorch's placing of the learning rate.
    """

    def __call__(
        self, p: Array, g: Array, v: Array, lr: float, momentum: float, weight_decay: float
    ) -> None: ...


class Adam(Protocol):
    """mean = beta1 mean + (1 - beta1) d and square = beta2 square + (1 - beta2) d^2, with
    d = g + weight_decay p; then p = keep p - lr mean / (sqrt(square) / root + epsilon).

    At step t, counted from 1, lr is the rate over 1 - beta1^t and root is sqrt(1 - beta2^t):
    Kingma and Ba (2015), with PyTorch's place of epsilon.  Decoupled decay, Loshchilov and
    Hutter (2019), is keep = 1 - rate decay.  p, g, mean, square (size,).
    """

    def __call__(
        self, p: Array, g: Array, mean: Array, square: Array, lr: float, beta1: float,
        beta2: float, epsilon: float, root: float, weight_decay: float, keep: float,
    ) -> None: ...  # fmt: skip


class RmsProp(Protocol):
    """square = alpha square + (1 - alpha) d^2, then p -= lr d / (sqrt(square) + epsilon), with
    d = g + weight_decay p.  p, g, square (size,).  Tieleman and Hinton (2012).
    """

    def __call__(
        self, p: Array, g: Array, square: Array, lr: float, alpha: float, epsilon: float,
        weight_decay: float,
    ) -> None: ...  # fmt: skip


class AdaGrad(Protocol):
    """square += d^2, then p -= lr d / (sqrt(square) + epsilon), with d = g + weight_decay p.

    p, g, square (size,).  Duchi, Hazan and Singer (2011).
    """

    def __call__(
        self, p: Array, g: Array, square: Array, lr: float, epsilon: float, weight_decay: float
    ) -> None: ...


class Penalty(Protocol):
    """g += l2 * p + l1 * sign(p), where sign(0) = 0: the gradient of l2 p^2 / 2 + l1 |p|.

    g, p (size,).
    """

    def __call__(self, g: Array, p: Array, l1: float, l2: float) -> None: ...


class Average(Protocol):
    """a = decay * a + (1 - decay) * p.  a, p (size,).

    The mean of a training's parameters, the recent ones foremost.  Polyak and Juditsky (1992)
    average all of them alike.
    """

    def __call__(self, a: Array, p: Array, decay: float) -> None: ...


class PhiloxBits(Protocol):
    """out[e] = 32 random bits of element e, a pure function of (seed, step, layer, e).

    Word e % 4 of Philox-4x32-10 with the key (seed low, seed high) and the counter
    (e // 4, layer, step low, step high).  out (size,) uint32, size < 2**34.
    Salmon et al. (2011), Parallel random numbers: as easy as 1, 2, 3.
    """

    def __call__(self, seed: int, step: int, layer: int, out: Array) -> None: ...


class Dropout(Protocol):
    """out = A / (1 - rate) where an element is kept, else 0, NaN there included.

    Element e = i m + j is kept where its bits, those of philox_bits(seed, step, layer, ...),
    are at least floor(2**32 rate).  The same call on the gradient in out gives that in A.
    A, out (n, m), out may be A; 0 < rate < 1; n m < 2**34; seed, step < 2**64.
    Srivastava et al. (2014), scaled in training instead of afterwards.
    """

    def __call__(
        self, A: Array, seed: int, step: int, layer: int, rate: float, out: Array
    ) -> None: ...


class Kernels(Protocol):
    """A kernel module.  f is: identity z; step 1 where z > 0; sigmoid 1/(1 + exp(-z));
    tanh; relu max(z, 0); leaky_relu with 0.01 z below zero; elu exp(z) - 1 below zero;
    softplus log(1 + exp(z)); silu z sigmoid(z); gelu in its tanh form,
    z sigmoid(sqrt(8/pi) (z + 0.044715 z^3)), Hendrycks and Gimpel (2016)."""

    bias_identity: BiasActivation
    bias_step: BiasActivation
    bias_sigmoid: BiasActivation
    bias_tanh: BiasActivation
    bias_relu: BiasActivation
    bias_leaky_relu: BiasActivation
    bias_elu: BiasActivation
    bias_softplus: BiasActivation
    bias_gelu: BiasActivation
    bias_silu: BiasActivation
    bias_softmax: BiasActivation  # exp(z) / sum(exp(z), row)

    identity_grad: ActivationGrad
    step_grad: ActivationGrad
    sigmoid_grad: ActivationGrad
    tanh_grad: ActivationGrad
    relu_grad: ActivationGrad
    leaky_relu_grad: ActivationGrad
    elu_grad: ActivationGrad
    softplus_grad: ActivationGrad
    gelu_grad: ActivationGrad
    silu_grad: ActivationGrad
    softmax_grad: ActivationGrad

    softmax_cross_entropy: LossFromRows  # -sum(Y log softmax(T)), in nats
    softmax_cross_entropy_labels: LossFromLabels
    sigmoid_cross_entropy: LossFromRows  # sum over columns, of logits T
    squared_error: LossFromRows  # sum((T - Y)^2) / 2
    huber: LossFromRows  # sum of d^2/2 where |d| <= 1, |d| - 1/2 beyond
    hits: Hits

    sgd: Sgd
    sgd_momentum: SgdMomentum
    sgd_nesterov: SgdMomentum
    adam: Adam
    rmsprop: RmsProp
    adagrad: AdaGrad
    penalty: Penalty
    average: Average

    philox_bits: PhiloxBits
    dropout: Dropout
