"""Schedules: numbers as functions of the step, counted from 0 within one fit.

A schedule here is an immutable value: schedules with the same arguments are equal, and
what repr gives rebuilds it.  Beyond its last step it stays at its last value.  Wherever a
schedule is expected a number stands for `constant`, and any function of the step will do.
Arguments are checked at construction, and raise ArgumentError.
"""
# ruff: noqa: N801 - lower case, as they are called and as repr writes them

import math
import numbers
import reprlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, TypeGuard

from fastnn.checks import count, number
from fastnn.errors import ArgumentError

Schedule = Callable[[int], float]


def value_at(
    value: float | Schedule,
    step: int,
    name: str,
    need: str = "",
    allowed: Callable[[float], bool] = lambda _: True,
    unit: str = "step",
) -> float:
    """What a number or schedule is at a step: finite and allowed, or ArgumentError says what came.

    The message of a schedule names the step too, as one of its unit; need says in words what is
    allowed.
    """
    if not is_schedule(value):
        return number(name, value, need, allowed)
    try:
        came = value(step)
    except OverflowError:  # of float ** int, which does not give inf
        came = math.inf
    return number(f"{name} at {unit} {step}", came, need, allowed)


def is_schedule(value: Any) -> TypeGuard[Schedule]:
    """Whether it is a function of the step; a type is cosine where cosine(...) was meant."""
    return callable(value) and not isinstance(value, type)


def sees_the_step_alone(value: Any) -> bool:
    """Whether it is a number, or one of this module with all that it is made of."""
    if isinstance(value, tuple):
        return all(map(sees_the_step_alone, value))
    if isinstance(value, _Schedule):
        return all(sees_the_step_alone(getattr(value, field.name)) for field in fields(value))
    return not callable(value)


@dataclass(frozen=True)
class _Schedule:
    """Checks every argument by its name, and the step."""

    def __post_init__(self) -> None:
        for field in fields(self):
            plain = _CHECKS[field.name](field.name, getattr(self, field.name))
            object.__setattr__(self, field.name, plain)  # Python's own, in a frozen value

    def __call__(self, step: int) -> float:
        """The value at a step >= 0."""
        if isinstance(step, bool) or not isinstance(step, numbers.Integral) or step < 0:
            raise ArgumentError(f"step is {reprlib.repr(step)}, need an integer >= 0")
        return self._at(int(step))

    def _at(self, step: int) -> float:
        raise NotImplementedError


@dataclass(frozen=True)
class constant(_Schedule):
    """The same value at every step."""

    value: float

    def _at(self, step: int) -> float:  # noqa: ARG002
        return self.value


@dataclass(frozen=True)
class step(_Schedule):
    """start * factor ** (step // every): a stair with a tread of `every` steps; factor > 0."""

    start: float
    every: int
    factor: float = 0.1

    def _at(self, step: int) -> float:
        return self.start * self.factor ** (step // self.every)


@dataclass(frozen=True)
class exponential(_Schedule):
    """start * factor ** step, factor > 0."""

    start: float
    factor: float

    def _at(self, step: int) -> float:
        return self.start * self.factor**step


@dataclass(frozen=True)
class polynomial(_Schedule):
    """end + (start - end) * (1 - step / steps) ** power, power > 0; end from step `steps` on."""

    start: float
    steps: int
    end: float = 0.0
    power: float = 1.0

    def _at(self, step: int) -> float:
        left = max(self.steps - step, 0) / self.steps
        return _between(self.end, self.start, left**self.power)


@dataclass(frozen=True)
class cosine(_Schedule):
    """end + (start - end) * (1 + cos(pi * step / steps)) / 2, and end from step `steps` on.

    Half a cosine, without restarts: Loshchilov and Hutter (2017), eq. 5.
    """

    start: float
    steps: int
    end: float = 0.0

    def _at(self, step: int) -> float:
        return _half_cosine(self.start, self.end, min(step, self.steps) / self.steps)


@dataclass(frozen=True)
class warmup(_Schedule):
    """start + (then(0) - start) * step / steps; from step `steps` on then(step - steps)."""

    steps: int
    then: float | Schedule
    start: float = 0.0

    def _at(self, step: int) -> float:
        later = value_at(self.then, max(step - self.steps, 0), "then")
        return _between(self.start, later, min(step, self.steps) / self.steps)


@dataclass(frozen=True)
class one_cycle(_Schedule):
    """Half a cosine from peak / divide up to peak, another down to peak / divide / final_divide.

    The peak is at step rise * steps - 1, rise in [0, 1], and the end at steps - 1, as in
    PyTorch's OneCycleLR with two phases; steps counts both.  Smith and Topin (2018).
    """

    peak: float
    steps: int
    rise: float = 0.3
    divide: float = 25.0
    final_divide: float = 1e4

    def _at(self, step: int) -> float:
        start, last, top = self.peak / self.divide, self.steps - 1, self.rise * self.steps - 1
        step = min(step, last)
        if step < top:
            return _half_cosine(start, self.peak, step / top)
        fallen = (step - top) / (last - top) if top < last else 0.0
        return _half_cosine(self.peak, start / self.final_divide, fallen)


@dataclass(frozen=True)
class joined(_Schedule):
    """(length, schedule), ..., last: in turn, each from its own step 0, and the last for ever."""

    parts: Sequence[Any]

    def _at(self, step: int) -> float:
        *timed, last = self.parts
        for index, (length, schedule) in enumerate(timed):
            if step < length:
                return value_at(schedule, step, f"parts[{index}]")
            step -= length
        return value_at(last, step, f"parts[{len(timed)}]")


def _between(a: float, b: float, t: float) -> float:
    """From a at t = 0 to b at t = 1, both exactly; a + (b - a) * t may miss b by rounding."""
    return a * (1 - t) + b * t


def _half_cosine(a: float, b: float, t: float) -> float:
    return _between(b, a, (1 + math.cos(math.pi * t)) / 2)


def _schedule(name: str, value: Any) -> Schedule:
    if is_schedule(value):
        return value
    return constant(number(name, value, "or a schedule"))


def _parts(name: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple) or not value:
        need = "need a list: [(length, schedule), ..., last]"
        raise ArgumentError(f"{name} is {reprlib.repr(value)}, {need}")
    *timed, last = value
    return (
        *(_timed(f"{name}[{index}]", part) for index, part in enumerate(timed)),
        _schedule(f"{name}[{len(timed)}], the last,", last),
    )


def _timed(name: str, part: Any) -> tuple[int, Schedule]:
    if not isinstance(part, list | tuple) or len(part) != 2:
        need = "need (length, schedule); only the last part has no length"
        raise ArgumentError(f"{name} is {reprlib.repr(part)}, {need}")
    length, schedule = part
    return count(f"the length of {name}", length), _schedule(f"the schedule of {name}", schedule)


_positive = partial(number, need="> 0", allowed=lambda x: x > 0)
_fraction = partial(number, need="in [0, 1]", allowed=lambda x: 0 <= x <= 1)

_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "value": number, "start": number, "end": number, "peak": number, "rise": _fraction,
    "factor": _positive, "power": _positive, "divide": _positive, "final_divide": _positive,
    "steps": count, "every": count, "then": _schedule, "parts": _parts,
}  # fmt: skip
