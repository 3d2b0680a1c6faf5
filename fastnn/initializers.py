"""How weights begin.

xavier  Glorot and Bengio (2010): variance 2 / (n_in + n_out), for sigmoid, tanh, softmax
he      He et al. (2015): variance 2 / n_in, for ReLU and its kin
lecun   LeCun et al. (1998): variance 1 / n_in

Each is uniform, or ends in _uniform or _normal.  "normal" has standard deviation
n_in**-0.5, "uniform" draws weights and biases from [0, 1), "zeros" is zeros.  A callable
gets (n_in, n_out, rng) and returns the weights.  Biases otherwise begin at zero.
"""

import reprlib
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.errors import ArgumentError, DataError, ShapeError
from fastnn.inputs import checked_array

Initializer = Callable[[int, int, np.random.Generator], Any]

_VARIANCE: dict[str, Callable[[int, int], float]] = {
    "xavier": lambda n_in, n_out: 2 / (n_in + n_out),
    "he": lambda n_in, _: 2 / n_in,
    "lecun": lambda n_in, _: 1 / n_in,
}


def initializer(name: str | Initializer) -> Initializer:
    """The function for a name, or the callable itself.  Raises ArgumentError."""
    if callable(name):
        return name
    given, name = reprlib.repr(name), name if isinstance(name, str) else ""
    if name == "normal":
        return lambda n_in, n_out, rng: rng.normal(0, n_in**-0.5, (n_in, n_out))
    if name == "uniform":
        return lambda n_in, n_out, rng: rng.random((n_in, n_out))
    if name == "zeros":
        return lambda n_in, n_out, _: np.zeros((n_in, n_out))
    rule, _, shape = name.partition("_")
    if rule not in _VARIANCE or shape not in ("", "uniform", "normal"):
        raise ArgumentError(
            f"init is {given}, need xavier, he or lecun, plain or with _uniform or _normal, "
            "or normal, uniform, zeros, or a callable (n_in, n_out, rng)"
        )
    return _normal(rule) if shape == "normal" else _uniform(rule)


def draw(
    init: Initializer, n_in: int, n_out: int, rng: np.random.Generator, dtype: np.dtype[Any]
) -> Any:
    """Weights (n_in, n_out) as dtype, checked, because init may be a user's.

    Raises ShapeError, DTypeError, DataError.
    """
    with np.errstate(over="ignore"):
        W = checked_array(init(n_in, n_out, rng), "what init returned").astype(dtype)
    if W.shape != (n_in, n_out):
        raise ShapeError(f"init returned {W.shape}, need ({n_in}, {n_out})")
    if not np.isfinite(W).all():
        raise DataError(f"init returned NaN, infinity or a number beyond {dtype}, need finite "
                        "weights")  # fmt: skip
    return W


def _uniform(rule: str) -> Initializer:
    def uniform(n_in: int, n_out: int, rng: np.random.Generator) -> Any:
        limit = (3 * _VARIANCE[rule](n_in, n_out)) ** 0.5  # a uniform's variance is limit**2 / 3
        return rng.uniform(-limit, limit, (n_in, n_out))

    return uniform


def _normal(rule: str) -> Initializer:
    def normal(n_in: int, n_out: int, rng: np.random.Generator) -> Any:
        return rng.normal(0, _VARIANCE[rule](n_in, n_out) ** 0.5, (n_in, n_out))

    return normal
