"""The scalar functions, written once in plain Python and compiled for each device.

x, z, a are one float32 or float64 number; every constant takes its type from the
argument, because a bare 1.0 would widen float32 code to float64.  `exp`, `expm1`, `log`
and `log1p` are names for a device to implement.  A branch is written so that NaN
falls through it, and so that a compiler can turn it into a select.
"""

import numpy as np


def exp(x):
    return np.exp(x)


def expm1(x):
    """exp(x) - 1 for x <= 0."""
    return np.expm1(x)


def log(x):
    """For x >= 1."""
    return np.log(x)


def log1p(x):
    """log(1 + x) for 0 <= x <= 1."""
    return np.log1p(x)


def identity(z):
    return z


def step(z):
    one, zero = type(z)(1), type(z)(0)
    return one if z > zero else (zero if z <= zero else z)


def sigmoid(z):
    one = type(z)(1)
    return one / (one + exp(-z))


def tanh(z):
    two = type(z)(2)
    e = expm1(-two * abs(z))  # of a negative number: cannot overflow
    t = e / (e + two)
    return -t if z > type(z)(0) else t


def relu(z):
    zero = type(z)(0)
    return zero if z < zero else z


def leaky_relu(z):
    return z * type(z)(0.01) if z < type(z)(0) else z


def elu(z):
    zero = type(z)(0)
    e = expm1(zero if z > zero else z)
    return e if z < zero else z


def softplus(z):
    zero = type(z)(0)
    return (zero if z < zero else z) + log1p(exp(-abs(z)))


def gelu(z):
    s = sigmoid(_gelu_argument(z))
    return z * s if s != type(z)(0) else s  # not -inf * 0


def silu(z):
    s = sigmoid(z)
    return z * s if s != type(z)(0) else s


def _gelu_argument(z):
    return type(z)(1.5957691216057308) * (z + type(z)(0.044715) * z * z * z)  # sqrt(8/pi)


def identity_slope(a):
    return type(a)(1)


def step_slope(a):
    return type(a)(0)


def sigmoid_slope(a):
    return a * (type(a)(1) - a)


def tanh_slope(a):
    return type(a)(1) - a * a


def relu_slope(a):
    one, zero = type(a)(1), type(a)(0)
    return one if a > zero else (zero if a <= zero else a)


def leaky_relu_slope(a):
    one, zero = type(a)(1), type(a)(0)
    return one if a > zero else (type(a)(0.01) if a <= zero else a)


def elu_slope(a):
    one = type(a)(1)
    return one if a > type(a)(0) else a + one


def softplus_slope(a):
    return -expm1(-a)


def gelu_slope(z):
    one, zero = type(z)(1), type(z)(0)
    s = sigmoid(_gelu_argument(z))
    w = s * (one - s)
    du = type(z)(1.5957691216057308) * (one + type(z)(0.134145) * z * z)
    return s + z * w * du if w != zero else s


def silu_slope(z):
    s = sigmoid(z)
    w = s * (type(z)(1) - s)
    return s + z * w if w != type(z)(0) else s


def logistic_loss(z, y):
    """Cross-entropy of sigmoid(z) against y in 0..1: softplus(z) - y z without cancellation."""
    zero = type(z)(0)
    return (zero if z < zero else z) - z * y + log1p(exp(-abs(z)))


def logistic_slope(z, y):
    return sigmoid(z) - y


def squared_loss(a, y):
    return type(a)(0.5) * (a - y) * (a - y)


def squared_slope(a, y):
    return a - y


def huber_loss(a, y):
    one, half = type(a)(1), type(a)(0.5)
    d = a - y
    return half * d * d if abs(d) <= one else abs(d) - half


def huber_slope(a, y):
    one = type(a)(1)
    d = a - y
    return one if d > one else (-one if d < -one else d)


def dropped(x, bits, threshold, factor):
    """x factor where 32 random bits say so, else 0, of x's type as factor is."""
    return x * factor if bits >= threshold else type(x)(0)


def philox4x32(c0, c1, c2, c3, k0, k1):
    """The four words of Philox-4x32-10; all arguments uint32.  Salmon et al. (2011).

    A word is the low half of a uint64 between the rounds, whatever the high half is: a vector
    of such is multiplied without being unpacked and packed in every round.
    """
    shift, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    c0, c1, c2, c3 = np.uint64(c0), np.uint64(c1), np.uint64(c2), np.uint64(c3)
    k0, k1 = np.uint64(k0), np.uint64(k1)
    for _ in range(10):
        p0 = np.uint64(0xD2511F53) * (c0 & low)
        p1 = np.uint64(0xCD9E8D57) * (c2 & low)
        c0, c1 = (p1 >> shift) ^ c1 ^ k0, p1
        c2, c3 = (p0 >> shift) ^ c3 ^ k1, p0
        k0 += np.uint64(0x9E3779B9)
        k1 += np.uint64(0xBB67AE85)
    return np.uint32(c0 & low), np.uint32(c1 & low), np.uint32(c2 & low), np.uint32(c3 & low)
