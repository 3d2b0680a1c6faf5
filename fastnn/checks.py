"""Checks of plain arguments; each returns the value as Python's own, or raises ArgumentError."""

import contextlib
import math
import numbers
import reprlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fastnn.errors import ArgumentError


def count(name: str, value: Any) -> int:
    """An integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ArgumentError(f"{name} is {reprlib.repr(value)}, need an integer >= 1")
    return int(value)


def number(
    name: str, value: Any, need: str = "", allowed: Callable[[float], bool] = lambda _: True
) -> float:
    """A finite real number that is allowed; need says which are."""
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        try:
            plain = float(value)
        except OverflowError:
            plain = math.inf
        if math.isfinite(plain) and allowed(plain):
            return plain
    raise ArgumentError(f"{name} is {reprlib.repr(value)}, need a finite number {need}".rstrip())


def figure(name: str, value: Any) -> float:
    """A real number or anybody's 0-d array of one, NaN and infinities included."""
    plain = value.item() if getattr(value, "shape", None) == () else value
    if isinstance(plain, numbers.Real) and not isinstance(plain, bool):
        with contextlib.suppress(OverflowError):  # of an integer
            return float(plain)
    raise ArgumentError(f"{name} is {reprlib.repr(value)}, need a number")


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise ArgumentError(f"{name} is {reprlib.repr(value)}, need True or False")
    return bool(value)


def choice(name: str, value: Any, allowed: Iterable[str]) -> str:
    """One of some words."""
    allowed = list(allowed)
    if not isinstance(value, str) or value not in allowed:
        raise ArgumentError(f"{name} is {reprlib.repr(value)}, need one of {', '.join(allowed)}")
    return str(value)
