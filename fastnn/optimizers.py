"""Optimizers: immutable values that say how a flat vector follows its gradient.

`begin` binds one to a vector and gives the function that takes one step; its state is
as old as that call.  Momentum, Nesterov and weight decay mean what they mean in PyTorch.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fastnn.backend import Array, Backend
from fastnn.checks import flag, number
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
        rate = number("learning_rate", self.learning_rate, "> 0", lambda x: x > 0)
        momentum = number("momentum", self.momentum, "in [0, 1)", lambda x: 0 <= x < 1)
        decay = number("weight_decay", self.weight_decay, ">= 0", lambda x: x >= 0)
        nesterov = flag("nesterov", self.nesterov)
        if nesterov and not momentum:
            raise ArgumentError("nesterov=True needs momentum > 0, for example momentum=0.9")
        plain = {"learning_rate": rate, "momentum": momentum, "nesterov": nesterov,
                 "weight_decay": decay}  # fmt: skip
        for name, value in plain.items():
            object.__setattr__(self, name, value)  # Python's own numbers, in a frozen value

    def begin(self, p: Array, g: Array, backend: Backend) -> Step:
        """The function that moves p (size,) one step along g (size,), both in place."""
        rate, momentum, decay = self.learning_rate, self.momentum, self.weight_decay
        if not momentum:
            return lambda: backend.kernels.sgd(p, g, rate, decay)
        v = backend.zeros(p.size)
        update = backend.kernels.sgd_nesterov if self.nesterov else backend.kernels.sgd_momentum
        return lambda: update(p, g, v, rate, momentum, decay)
