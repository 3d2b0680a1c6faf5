"""Optimizers: immutable values that say how a flat vector follows its gradient.

`state` gives the vectors that one keeps between steps, and `begin` binds it to them, a vector
and its gradient, and gives the function that takes step t, counted from 0.  All mean what
PyTorch's of the same name mean.  A number may be a schedule (fastnn.schedules): its value at
step 0 is checked at once, the others as they come.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import ClassVar

import numpy as np

from fastnn.backend import Array, Backend
from fastnn.checks import flag, number
from fastnn.errors import ArgumentError
from fastnn.schedules import sees_the_step_alone, value_at
from fastnn_kernels.face import Kernels

Step = Callable[[int], None]
State = dict[str, Array]
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
    ema keeps an average beside what is trained, ema * average + (1 - ema) * p after each step,
    p itself after the first; it is what is validated and what a fit leaves in the network.
    """

    clip_value: Number | None = field(default=None, kw_only=True)
    clip_norm: Number | None = field(default=None, kw_only=True)
    ema: Number | None = field(default=None, kw_only=True)

    ranges: ClassVar[dict[str, Range]] = {
        "learning_rate": _NOT_NEGATIVE, "momentum": _FRACTION, "beta1": _FRACTION,
        "beta2": _FRACTION, "alpha": _FRACTION, "epsilon": _POSITIVE,
        "weight_decay": _NOT_NEGATIVE, "clip_value": _POSITIVE, "clip_norm": _POSITIVE,
        "ema": _FRACTION,
    }  # fmt: skip

    def __post_init__(self) -> None:
        if self.clip_value is not None and self.clip_norm is not None:
            raise ArgumentError("clip_value and clip_norm are both given, need one of them")
        for name, is_optional in ((each.name, each.kw_only) for each in fields(self)):
            value = getattr(self, name)
            if value is None and is_optional:
                continue
            if name not in self.ranges:
                object.__setattr__(self, name, flag(name, value))
            elif callable(value):
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

    @property
    def rule(self) -> str:
        """The name of the kernel that takes a step."""
        raise NotImplementedError

    @property
    def keeps(self) -> tuple[str, ...]:
        """The names of the vectors that the rule keeps, in the kernel's order."""
        return ()

    def numbers(self) -> Callable[[int], list[float]]:
        """A function that gives the numbers that the kernel takes at step t, in its order."""
        return self._at(*(each.name for each in fields(self) if not each.kw_only))

    @property
    def varies(self) -> bool:
        """Whether the kernel's numbers are others at each step."""
        return any(callable(getattr(self, each.name)) for each in fields(self))

    @property
    def is_foreseen(self) -> bool:
        """Whether the kernel's numbers follow from the step alone; a function may see more."""
        return all(sees_the_step_alone(getattr(self, each.name)) for each in fields(self))

    @property
    def is_plain(self) -> bool:
        """Whether a step is the gradient times the learning rate, and nothing else."""
        return False

    def state(self, size: int, backend: Backend) -> State:
        """What goes from step to step: vectors (size,) by name, zero at first."""
        return {name: backend.zeros(size) for name in self.keeps}

    def begin(self, p: Array, g: Array, state: State, average: Array, backend: Backend) -> Step:
        """The function of t that moves p and its state along g (size,), which it may clip.

        average (size,) is written where there is an ema, and otherwise not looked at.
        """
        parts = (
            self._clipping(g),
            self._rule(p, g, state, backend.kernels),
            self._averaging(average, p, backend.kernels),
        )
        first, *others = [part for part in parts if part is not None]
        if not others:
            return first

        def step(t: int) -> None:
            for part in (first, *others):
                part(t)

        return step

    def _rule(self, p: Array, g: Array, state: State, kernels: Kernels) -> Step:
        update, numbers = getattr(kernels, self.rule), self.numbers()
        kept = [state[name] for name in self.keeps]
        return lambda t: update(p, g, *kept, *numbers(t))

    def _clipping(self, g: Array) -> Step | None:
        if self.clip_value is not None:
            value = self._at("clip_value")
            return lambda t: _clip_value(g, *value(t))
        if self.clip_norm is not None:
            norm = self._at("clip_norm")
            return lambda t: _clip_norm(g, *norm(t))
        return None

    def _averaging(self, average: Array, p: Array, kernels: Kernels) -> Step | None:
        if self.ema is None:
            return None
        decay = self._at("ema")
        return lambda t: kernels.average(average, p, *(decay(t) if t else [0.0]))

    def _at(self, *names: str) -> Callable[[int], list[float]]:
        """A function that gives the numbers of these names at step t."""
        if any(callable(getattr(self, name)) for name in names):
            return lambda t: [self.at(name, t) for name in names]
        constant = [self.at(name, 0) for name in names]
        return lambda _: constant


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

    @property
    def keeps(self) -> tuple[str, ...]:
        return ("velocity",) if self.momentum else ()

    @property
    def is_plain(self) -> bool:
        return not self.momentum and self.weight_decay == 0

    @property
    def rule(self) -> str:
        if not self.momentum:
            return "sgd"
        return "sgd_nesterov" if self.nesterov else "sgd_momentum"

    def numbers(self) -> Callable[[int], list[float]]:
        momentum = ["momentum"] if self.momentum else []
        return self._at("learning_rate", *momentum, "weight_decay")


@dataclass(frozen=True)
class Adam(Optimizer):
    """Steps along the mean of the gradient over the root of its mean square.

    Kingma and Ba (2015), as fastnn_kernels.face.Adam; weight decay is added to the gradient.
    Raises ArgumentError.
    """

    learning_rate: Number = 0.001
    beta1: Number = 0.9
    beta2: Number = 0.999
    epsilon: float = 1e-8
    weight_decay: Number = 0.0
    decoupled: ClassVar[bool] = False
    rule: ClassVar[str] = "adam"
    keeps: ClassVar[tuple[str, ...]] = ("mean", "square")
    varies: ClassVar[bool] = True

    def numbers(self) -> Callable[[int], list[float]]:
        own = super().numbers()

        def at(t: int) -> list[float]:
            rate, beta1, beta2, epsilon, decay = own(t)
            added, keep = (0.0, 1 - rate * decay) if self.decoupled else (decay, 1.0)
            return [rate / (1 - beta1 ** (t + 1)), beta1, beta2, epsilon,
                    (1 - beta2 ** (t + 1)) ** 0.5, added, keep]  # fmt: skip

        return at


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
    rule: ClassVar[str] = "rmsprop"
    keeps: ClassVar[tuple[str, ...]] = ("square",)


@dataclass(frozen=True)
class AdaGrad(Optimizer):
    """square += d^2;  p -= learning_rate d / (sqrt(square) + epsilon).

    d = g + weight_decay p.  Duchi, Hazan and Singer (2011).  Raises ArgumentError.
    """

    learning_rate: Number = 0.01
    epsilon: Number = 1e-10
    weight_decay: Number = 0.0
    rule: ClassVar[str] = "adagrad"
    keeps: ClassVar[tuple[str, ...]] = ("square",)


def _clip_value(g: Array, limit: float) -> None:
    np.clip(g, -limit, limit, out=g)


def _clip_norm(g: Array, limit: float) -> None:
    norm = np.sqrt((g * g).sum(dtype=np.float64))  # stays on the device
    g *= np.minimum(limit / (norm + 1e-6), 1.0).astype(g.dtype)


BY_NAME: dict[str, type[Optimizer]] = {
    "sgd": SGD, "adam": Adam, "adamw": AdamW, "rmsprop": RMSprop, "adagrad": AdaGrad,
}  # fmt: skip
