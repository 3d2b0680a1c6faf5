"""Optimizers: immutable values that say how a flat vector follows its gradient.

`begin` binds one to a vector and gives the function that takes one step; its state is
as old as that call.  Momentum, Nesterov and weight decay mean what they mean in PyTorch.
"""

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass

from fastnn.backend import Array, Backend
from fastnn.errors import ArgumentError

Step = Callable[[], None]


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent: v = momentum v + g + weight_decay p;  p -= learning_rate v.

    With nesterov the step follows g + weight_decay p + momentum v instead of v
    (Sutskever et al., 2013).  Weight decay acts on biases too.  Raises ArgumentError.
    """

    learning_rate: float = 0.1
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check("learning_rate", self.learning_rate, "> 0", lambda x: x > 0)
        _check("momentum", self.momentum, "0 <= momentum < 1", lambda x: 0 <= x < 1)
        _check("weight_decay", self.weight_decay, ">= 0", lambda x: x >= 0)
        if self.nesterov and not self.momentum:
            raise ArgumentError("nesterov=True needs momentum > 0, for example momentum=0.9")

    def begin(self, p: Array, g: Array, backend: Backend) -> Step:
        """The function that moves p (size,) one step along g (size,), both in place."""
        rate, decay = float(self.learning_rate), float(self.weight_decay)
        if not self.momentum:
            return lambda: backend.kernels.sgd(p, g, rate, decay)
        v, momentum = backend.zeros(p.size), float(self.momentum)
        update = backend.kernels.sgd_nesterov if self.nesterov else backend.kernels.sgd_momentum
        return lambda: update(p, g, v, rate, momentum, decay)


def _check(name: str, value: object, need: str, allowed: Callable[[float], bool]) -> None:
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(float(value)) or not allowed(float(value)):  # type: ignore[arg-type]
        raise ArgumentError(f"{name} is {value!r}, need a finite number {need}")
