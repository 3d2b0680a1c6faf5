"""Loss: from a network's logits or outputs and its targets to a loss and a gradient.

Softmax with cross-entropy and sigmoid with binary cross-entropy take logits Z and go
back through A - Y: composing softmax, log and softmax's derivative instead gives a
gradient of exactly zero on a confidently wrong float32 sample.  Bishop (2006), 4.3.

    cross_entropy         -sum(Y log softmax(Z)), in nats; softmax output
    binary_cross_entropy  the same of each sigmoid and its complement, summed over outputs
    squared_error         sum((A - Y)^2) / 2; any output
    mean_squared_error    the mean of (A - Y)^2 over the outputs
    huber                 the mean over the outputs of d^2/2 where |d| <= 1, |d| - 1/2 beyond

Two are older rules, whose steps are not along the gradient of what they measure, squared_error:

    perceptron            step output, dZ = A - Y; Rosenblatt (1958), Psychological Review 65
    textbook              sigmoid output, whose own parameters go by dZ = (A - Y) A (1 - A), while
                          A - Y itself goes back; Rashid (2016), Make your own neural network
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastnn.backend import Array, Backend, device_of
from fastnn.checks import choice
from fastnn.errors import ArgumentError, DataError, ShapeError
from fastnn.inputs import placed

FROM_INPUT = ("gelu", "silu")  # their derivative needs the input; the others' the output
STRAIGHT = ("perceptron", "textbook")  # A - Y goes back, without the output's slope
NAMES = ("cross_entropy", "binary_cross_entropy", "squared_error", "mean_squared_error", "huber",
         *STRAIGHT)  # fmt: skip

_KERNEL = {
    "cross_entropy": "softmax_cross_entropy",
    "binary_cross_entropy": "sigmoid_cross_entropy",
    "squared_error": "squared_error",
    "mean_squared_error": "squared_error",
    "huber": "huber",
    "perceptron": "squared_error",
    "textbook": "squared_error",
}
_OF_LOGITS = ("cross_entropy", "binary_cross_entropy")
_OUTPUT = {
    "cross_entropy": "softmax",
    "binary_cross_entropy": "sigmoid",
    "perceptron": "step",
    "textbook": "sigmoid",
}  # of the losses that fit one alone


@dataclass(frozen=True)
class Targets:
    """What a loss compares with: values for its kernel, and labels and weights if any."""

    values: Array  # rows (n, k) in the network's type, or labels (n,) int64
    labels: Array | None  # (n,) int64: the class each row names, for the accuracy
    weights: Array | None = None  # (n,) what each row counts for in training; None: all alike

    def __getitem__(self, rows: Any) -> "Targets":
        return Targets(
            self.values[rows],
            None if self.labels is None else self.labels[rows],
            None if self.weights is None else self.weights[rows],
        )


class Loss:
    """One loss under one output activation, on one device."""

    def __init__(self, name: str | None, output: str, k: int, backend: Backend) -> None:
        """Raises ArgumentError for a name that is unknown or does not fit the output."""
        self.name = name = default_loss(output) if name is None else choice("loss", name, NAMES)
        if output != _OUTPUT.get(name, output):
            raise ArgumentError(f"loss {name!r} needs output {_OUTPUT[name]!r}, not {output!r}; "
                                f"for this output: {default_loss(output)!r}")  # fmt: skip
        self.output, self.k, self.backend = output, k, backend
        self.activate = getattr(backend.kernels, f"bias_{output}")
        self.activation_grad = getattr(backend.kernels, f"{output}_grad")
        self.no_bias = backend.zeros(k)
        self._from_rows = getattr(backend.kernels, _KERNEL[name])
        self._from_labels = backend.kernels.softmax_cross_entropy_labels
        # The kernels sum over the outputs: half the squares, or Huber's terms.
        self.factor = {"mean_squared_error": 2 / k, "huber": 1 / k}.get(name, 1.0)

    @property
    def takes_logits(self) -> bool:
        """Or else the output."""
        return self.name in _OF_LOGITS

    @property
    def is_straight(self) -> bool:
        """Whether A - Y goes back without the output's slope."""
        return self.name in STRAIGHT

    @property
    def is_late(self) -> bool:
        """Whether the last layer's own parameters take that slope all the same."""
        return self.name == "textbook"

    def kernel(self, targets: Array) -> str:
        """The name of the kernel for targets, labels (n,) or rows (n, k)."""
        return f"{_KERNEL[self.name]}{'_labels' * (targets.ndim == 1)}"

    def __call__(
        self, Z: Array, targets: Array, w: Array, scale: float, dZ: Array, losses: Array
    ) -> None:
        """losses (n,) and dZ (n, k) of logits Z (n, k), as fastnn_kernels.face.LossFromRows.

        w includes factor.
        """
        if self.takes_logits:
            kernel = self._from_rows if targets.ndim == 2 else self._from_labels
            kernel(Z, targets, w, scale, dZ, losses)
            return
        A = self.backend.xp.empty_like(Z)
        self.activate(Z, self.no_bias, A)
        self._from_rows(A, targets, w, scale, dZ, losses)
        if not self.is_straight:
            self.activation_grad(Z if self.output in FROM_INPUT else A, dZ, dZ)

    def targets(self, Y: Any, n: int) -> Targets:
        """Y checked against this loss and n rows, then on the device.

        Raises ShapeError, DTypeError, DataError, DeviceError.
        """
        Y = placed(Y, "Y", self.backend)
        if Y.ndim not in (1, 2) or len(Y) != n:
            raise ShapeError(f"Y is {Y.shape} for {n} rows of X, need ({n},) or ({n}, {self.k})")
        _check_finite(Y)
        is_class_indices = Y.ndim == 1 and (
            self.name == "cross_entropy" or (self.k > 1 and self.name != "binary_cross_entropy")
        )
        return self._of_labels(Y) if is_class_indices else self._of_rows(Y, n)

    def _of_labels(self, Y: Array) -> Targets:
        # A copy: kernels take them for places in memory, and Y may be changed after this check.
        labels = self.there(_checked_labels(Y, self.k), np.int64).copy()
        if self.name == "cross_entropy":
            return Targets(labels, labels)
        columns = self.backend.xp.arange(self.k)
        return Targets(self.backend.asarray(labels[:, None] == columns), labels)

    def _of_rows(self, Y: Array, n: int) -> Targets:
        if Y.ndim == 1 and self.k > 1:
            raise ShapeError(f"Y is {Y.shape}, need ({n}, {self.k}) for loss {self.name!r}; "
                             f"labels become rows by datasets.one_hot(Y, {self.k})")  # fmt: skip
        rows = Y.reshape(n, -1)
        if rows.shape != (n, self.k):
            labels = f" or class labels ({n},)" if self.name == "cross_entropy" else ""
            hint = ": Y.ravel()" if labels and Y.shape == (n, 1) else ""
            raise ShapeError(f"Y is {Y.shape}, need ({n}, {self.k}){labels}{hint}")
        if self.name == "cross_entropy":
            check_each(rows.sum(axis=1), lambda s: np.abs(s - 1) <= 1e-3, "a row of Y sums to {},"
                        " need 1 for loss 'cross_entropy'")  # fmt: skip
        if self.name in _OUTPUT:
            check_each(rows, lambda y: (y >= 0) & (y <= 1), "Y has {}, need 0 <= Y <= 1")
        with np.errstate(over="ignore"):
            values = self.there(rows, self.backend.dtype)
        check_each(
            values, np.isfinite, f"Y has a number beyond {self.backend.dtype}, which becomes {{}}"
        )
        named = self._labels_of_rows(rows)
        return Targets(values, None if named is None else self.there(named, np.int64))

    def smoothed(self, targets: Targets, amount: float) -> Targets:
        """targets of which this amount is spread over the classes (over yes and no each for
        binary_cross_entropy); labels become rows.  Szegedy et al. (2016), 7.

        Raises ArgumentError for other losses, unless amount is 0.
        """
        if not amount:
            return targets
        if not self.takes_logits:
            raise ArgumentError(f"label_smoothing={amount:g} needs loss {' or '.join(_OF_LOGITS)}, "
                                f"not {self.name!r}")  # fmt: skip
        Y, k = targets.values, self.k if self.name == "cross_entropy" else 2
        if Y.ndim == 1:
            Y = self.backend.asarray(Y[:, None] == self.backend.xp.arange(self.k))
        return replace(targets, values=self.backend.asarray((1 - amount) * Y + amount / k))

    def there(self, Y: Array, dtype: Any) -> Array:
        """Y, or its rows' weights, on the device, copied there as it is and cast there."""
        there = Y if device_of(Y) == self.backend.device else self.backend.upload(Y)
        return self.backend.asarray(there, dtype)

    def _labels_of_rows(self, rows: Array) -> Array | None:
        if self.k == 1:
            named = self.output in ("sigmoid", "step") and bool(((rows == 0) | (rows == 1)).all())
            return rows[:, 0] if named else None
        one_hot = bool(((rows == 0) | (rows == 1)).all() and (rows.sum(axis=1) == 1).all())
        return rows.argmax(axis=1) if self.name == "cross_entropy" or one_hot else None


def default_loss(output: str) -> str:
    """The loss that fits an output."""
    return {
        "softmax": "cross_entropy", "sigmoid": "binary_cross_entropy", "step": "perceptron",
    }.get(output, "mean_squared_error")  # fmt: skip


def _checked_labels(Y: Array, k: int) -> Array:
    check_each(Y, lambda y: y == np.floor(y), "Y has {}, need whole class labels")
    hint = "; two classes are one output of 'sigmoid', or two of 'softmax'" if k == 1 else ""
    check_each(Y, lambda y: (y >= 0) & (y < k), f"Y has label {{}}, need 0 to {k - 1} "
                f"for {k} outputs{hint}")  # fmt: skip
    return Y


def _check_finite(Y: Array) -> None:
    if Y.dtype.kind == "f":
        check_each(Y, np.isfinite, "Y has {}, need finite targets")


def check_each(values: Array, allowed: Any, message: str) -> None:
    """Raises DataError with message, {} its first value, unless all values are allowed."""
    good = allowed(values)
    if not good.all():
        where = tuple(int(i) for i in np.argwhere(~good)[0])
        place = f"row {where[0]}" + (f", column {where[1]}" if len(where) > 1 else "")
        raise DataError(f"{message.format(values[where])} ({(~good).sum()} such, first at {place})")
