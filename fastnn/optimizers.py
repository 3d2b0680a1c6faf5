"""Optimizers: immutable values that say how a flat vector follows its gradient.

`begin` binds one to a vector and gives the function that takes one step; its state is
as old as that call.  All mean what PyTorch's of the same name mean.  A number may be a
schedule (fastnn.schedules): its value at step 0 is checked at once, the others as they come.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import ClassVar

import numpy as np

from fastnn.backend import Array, Backend
from fastnn.checks import flag, number
from fastnn.errors import ArgumentError
from fastnn.schedules import value_at

Step = Callable[[], None]
Number = float | Callable[[int], float]
Range = tuple[str, Callable[[float], bool]]

_NOT_NEGATIVE: Range = (">= 0", lambda x: x >= 0)
_FRACTION: Range = ("in [0, 1)", lambda x: 0 <= x < 1)
_POSITIVE: Range = ("> 0", lambda x: x > 0)


@dataclass(frozen=True)
class Optimizer:
    """What all have: numbers that are checked, and may be schedules.  Raises ArgumentError.

    clip_value bounds each entry of the gradient, clip_norm the root of the sum of their
    squares (Pascanu, Mikolov and Bengio, 2013); one of them, before anything else is done.
    """

    clip_value: Number | None = field(default=None, kw_only=True)
    clip_norm: Number | None = field(default=None, kw_only=True)

    fixed: ClassVar[tuple[str, ...]] = ("beta1", "beta2")  # corrected by their powers
    ranges: ClassVar[dict[str, Range]] = {
        "learning_rate": _NOT_NEGATIVE, "momentum": _FRACTION, "beta1": _FRACTION,
        "beta2": _FRACTION, "alpha": _FRACTION, "epsilon": _POSITIVE,
        "weight_decay": _NOT_NEGATIVE, "clip_value": _POSITIVE, "clip_norm": _POSITIVE,
    }  # fmt: skip

    def __post_init__(self) -> None:
        if self.clip_value is not None and self.clip_norm is not None:
            raise ArgumentError("clip_value and clip_norm are both given, need one of them")
        for name in (each.name for each in fields(self)):
            value = getattr(self, name)
            if value is None and name.startswith("clip_"):
                continue
            if name not in self.ranges:
                object.__setattr__(self, name, flag(name, value))
            elif callable(value) and name not in self.fixed:
                self.at(name, 0)
            else:
                need, allowed = self.ranges[name]
                if name == "learning_rate":  # a schedule may begin or end at 0
                    need, allowed = _POSITIVE
                object.__setattr__(self, name, number(name, value, need, allowed))

    def at(self, name: str, step: int) -> float:
        """The number of this name at a step, counted from 0.  Raises ArgumentError."""
        value = getattr(self, name)
        return value_at(value, step, name, *self.ranges[name]) if callable(value) else float(value)

    def begin(self, p: Array, g: Array, backend: Backend) -> Step:
        """The function that moves p (size,) one step along g (size,), which it may clip."""
        step = self._begin(p, g, backend)
        name = "clip_norm" if self.clip_value is None else "clip_value"
        if getattr(self, name) is None:
            return step
        limit, clip = self._numbers(name), _clip_norm if name == "clip_norm" else _clip_value

        def clipped() -> None:
            clip(g, *limit())
            step()

        return clipped

    def _begin(self, p: Array, g: Array, backend: Backend) -> Step:
        raise NotImplementedError

    def _own(self) -> list[str]:
        """The names of the numbers of the rule itself, in order."""
        return [each.name for each in fields(self) if not each.kw_only]

    def _numbers(self, *names: str) -> Callable[[], list[float]]:
        """A function that gives the numbers of these names at each step in turn."""
        if not any(callable(getattr(self, name)) for name in names):
            constant = [self.at(name, 0) for name in names]
            return lambda: constant
        steps = itertools.count()

        def of_next_step() -> list[float]:
            step = next(steps)
            return [self.at(name, step) for name in names]

        return of_next_step


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent: v = momentum v + g + weight_decay p;  p -= learning_rate v.

    With nesterov the step follows g + weight_decay p + momentum v instead of v
    (Sutskever et al., 2013).  Weight decay acts on biases too.  Raises ArgumentError.
    """

    learning_rate: Number = 0.1
    momentum: Number = 0.0
    nesterov: bool = False
    weight_decay: Number = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and not self.momentum:
            raise ArgumentError("nesterov=True needs momentum > 0, for example momentum=0.9")

    def _begin(self, p: Array, g: Array, backend: Backend) -> Step:
        kernels = backend.kernels
        if not self.momentum:
            numbers = self._numbers("learning_rate", "weight_decay")
            return lambda: kernels.sgd(p, g, *numbers())
        v, numbers = (
            backend.zeros(p.size),
            self._numbers("learning_rate", "momentum", "weight_decay"),
        )
        update = kernels.sgd_nesterov if self.nesterov else kernels.sgd_momentum
        return lambda: update(p, g, v, *numbers())


@dataclass(frozen=True)
class Adam(Optimizer):
    """Steps along the mean of the gradient over the root of its mean square.

    Kingma and Ba (2015), as fastnn_kernels.face.Adam; weight decay is added to the gradient.
    Raises ArgumentError.
    """

    learning_rate: Number = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: Number = 0.0
    decoupled: ClassVar[bool] = False

    def _begin(self, p: Array, g: Array, backend: Backend) -> Step:
        mean, square, update = backend.zeros(p.size), backend.zeros(p.size), backend.kernels.adam
        numbers, steps = self._numbers(*self._own()), itertools.count(1)

        def step() -> None:
            rate, beta1, beta2, epsilon, decay = numbers()
            t = next(steps)
            added, keep = (0.0, 1 - rate * decay) if self.decoupled else (decay, 1.0)
            update(p, g, mean, square, rate / (1 - beta1**t), beta1, beta2, epsilon,
                   (1 - beta2**t) ** 0.5, added, keep)  # fmt: skip

        return step


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with a decay of its own: p shrinks by learning_rate * weight_decay at each step.

    Loshchilov and Hutter (2019).  Raises ArgumentError.
    """

    weight_decay: Number = 0.01
    decoupled: ClassVar[bool] = True


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """square = alpha square + (1 - alpha) d^2;  p -= learning_rate d / (sqrt(square) + epsilon).

    d = g + weight_decay p.  Tieleman and Hinton (2012).  Raises ArgumentError.
    """

    learning_rate: Number = 0.01
    alpha: Number = 0.99
    epsilon: Number = 1e-8
    weight_decay: Number = 0.0

    def _begin(self, p: Array, g: Array, backend: Backend) -> Step:
        square, numbers = backend.zeros(p.size), self._numbers(*self._own())
        return lambda: backend.kernels.rmsprop(p, g, square, *numbers())


@dataclass(frozen=True)
class AdaGrad(Optimizer):
    """square += d^2;  p -= learning_rate d / (sqrt(square) + epsilon).

    d = g + weight_decay p.  Duchi, Hazan and Singer (2011).  Raises ArgumentError.
    """

    learning_rate: Number = 0.01
    epsilon: Number = 1e-10
    weight_decay: Number = 0.0

    def _begin(self, p: Array, g: Array, backend: Backend) -> Step:
        square, numbers = backend.zeros(p.size), self._numbers(*self._own())
        return lambda: backend.kernels.adagrad(p, g, square, *numbers())


def _clip_value(g: Array, limit: float) -> None:
    np.clip(g, -limit, limit, out=g)


def _clip_norm(g: Array, limit: float) -> None:
    norm = np.sqrt((g * g).sum(dtype=np.float64))  # stays on the device
    g *= np.minimum(limit / (norm + 1e-6), 1.0).astype(g.dtype)


BY_NAME: dict[str, type[Optimizer]] = {
    "sgd": SGD, "adam": Adam, "adamw": AdamW, "rmsprop": RMSprop, "adagrad": AdaGrad,
}  # fmt: skip
