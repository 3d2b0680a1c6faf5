"""Scores: the formulas of the named metrics, in float64, as scikit-learn defines them.

Y is labels (n,) where each row names one class, else rows (n, k); A (n, k) are the outputs
of activation `output`, without NaN; n >= 1.  Of equal outputs the first is the larger.  The
class is net.classify's up to what A rounds away (sigmoids saturate, their logits do not), and
but for outputs gelu and silu, which fall before they rise.
Raises ArgumentError for a Y that a score does not fit.
"""

import math

import numpy as np

from fastnn.backend import Array
from fastnn.errors import ArgumentError

_OF_ZERO = {"sigmoid": 0.5, "softplus": math.log(2)}  # the output of logit 0; the others' is 0


def accuracy(Y: Array, A: Array, output: str) -> float:
    """The fraction of rows whose class, or whose every output, is right."""
    T, P = _classes("accuracy", Y, A, output)
    return float((T == P).all(axis=1).mean())


def f1(Y: Array, A: Array, output: str) -> float:
    """The mean of 2 TP / (2 TP + FP + FN) over the classes that occur in Y or are predicted.

    Where each output is a class of its own it is over all of them, and 0 for one without any.
    """
    T, P = _classes("f1", Y, A, output)
    sizes = T.sum(axis=0) + P.sum(axis=0)
    each = 2 * (T & P).sum(axis=0) / np.maximum(sizes, 1)
    return float(each[sizes > 0].mean() if _names_classes(Y, A, output) else each.mean())


def top(N: int, Y: Array, A: Array, output: str) -> float:
    """The fraction of rows whose class is among the N largest outputs."""
    if not _names_classes(Y, A, output):
        raise ArgumentError(f"metric 'top_{N}' needs a class for each row, labels (n,), which Y "
                            "does not have; of rows take 'f1' or 'accuracy', or 'mse'")  # fmt: skip
    labels = Y[:, None]
    own = np.take_along_axis(A, labels, axis=1)
    ahead = (own < A) | ((own == A) & (np.arange(A.shape[1]) < labels))
    return float((ahead.sum(axis=1) < N).mean())


def r2(Y: Array, A: Array, output: str) -> float:
    """The mean over the outputs of 1 - sum((Y - A)^2) / sum((Y - mean(Y))^2).

    Of a constant target it is 1 if A is exact, else 0; of a single row NaN.
    """
    if len(A) == 1:
        return math.nan
    T = _rows(Y, A, output)
    D = T - T[0]  # exactly 0 for a constant target, whose mean may be rounded
    residual, spread = ((T - A) ** 2).sum(axis=0), ((D - D.mean(axis=0)) ** 2).sum(axis=0)
    missed = (residual > 0).astype(np.float64)
    return float((1 - np.divide(residual, spread, out=missed, where=spread > 0)).mean())


def mse(Y: Array, A: Array, output: str) -> float:
    """The mean over rows and outputs of (Y - A)^2, of one-hot rows for labels."""
    return float(((_rows(Y, A, output) - A) ** 2).mean())


def mae(Y: Array, A: Array, output: str) -> float:
    """The mean over rows and outputs of |Y - A|, of one-hot rows for labels."""
    return float(np.abs(_rows(Y, A, output) - A).mean())


def _names_classes(Y: Array, A: Array, output: str) -> bool:
    """Whether Y is indices of outputs; labels of one output that is not softmax are a column."""
    return Y.ndim == 1 and (A.shape[1] > 1 or output == "softmax")


def _one_hot(labels: Array, k: int) -> Array:
    return labels[:, None] == np.arange(k)


def _rows(Y: Array, A: Array, output: str) -> Array:
    rows = _one_hot(Y, A.shape[1]) if _names_classes(Y, A, output) else Y.reshape(A.shape)
    return rows.astype(np.float64)


def _classes(name: str, Y: Array, A: Array, output: str) -> tuple[Array, Array]:
    """(n, k) booleans twice: the classes of each row, and those predicted."""
    k = A.shape[1]
    if _names_classes(Y, A, output):
        return _one_hot(Y, k), _one_hot(A.argmax(axis=1), k)
    T = Y.reshape(A.shape)
    if (other := T[(T != 0) & (T != 1)]).size:
        raise ArgumentError(f"metric {name!r} needs classes, labels (n,) or rows of 0 and 1, and Y "
                            f"has {other[0]}; use 'r2', 'mse' or 'mae'")  # fmt: skip
    if k > 1 and output != "sigmoid":
        raise ArgumentError(f"metric {name!r} needs output 'sigmoid' for rows of several classes "
                            f"or none, not {output!r}; use 'r2', 'mse' or 'mae'")  # fmt: skip
    return T == 1, _OF_ZERO.get(output, 0.0) < A
