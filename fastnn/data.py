"""Data: rows and their targets, checked against a network and a loss."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.errors import ArgumentError, ShapeError
from fastnn.inputs import Rows, checked_array
from fastnn.losses import Loss, Targets
from fastnn.streams import Purpose, generator

if TYPE_CHECKING:
    from fastnn.network import MLP


@dataclass(frozen=True)
class Data:
    """Rows of X and their targets, as many."""

    rows: Rows
    targets: Targets

    def __len__(self) -> int:
        return len(self.rows)


def checked(net: "MLP", X: Any, Y: Any, loss: Loss) -> Data:
    """X and Y as Data.  Raises ShapeError, DTypeError, DataError."""
    rows = Rows(X, net.sizes[0], net.scaling, net.backend)
    if len(rows) == 0:
        raise ShapeError(f"X is {rows.X.shape}, need at least one row")
    return Data(rows, loss.targets(Y, len(rows)))


def divided(
    net: "MLP", X: Any, Y: Any, loss: Loss, validation: Any, seed: int
) -> tuple[Data, Data | None]:
    """(what to train on, what to validate with): validation is (X, Y), a fraction, or None."""
    if validation is None:
        return checked(net, X, Y, loss), None
    if isinstance(validation, tuple | list) and len(validation) == 2:
        return checked(net, X, Y, loss), checked(net, validation[0], validation[1], loss)
    if not is_finite_number(validation) or not 0 < validation < 1:
        raise ArgumentError(f"validation is {validation!r}, need (X, Y) or a fraction in (0, 1)")
    n = len(checked(net, X, Y, loss))
    held = round(n * validation)
    if not 0 < held < n:
        raise ArgumentError(f"validation={validation} of {n} rows leaves {n - held} to train on "
                            f"and {held} to validate with, need one at least of each")  # fmt: skip
    order = generator(seed, Purpose.SPLIT).permutation(n)
    X, Y = checked_array(X), np.asarray(Y)
    train, test = order[held:], order[:held]
    return checked(net, X[train], Y[train], loss), checked(net, X[test], Y[test], loss)


def is_finite_number(value: Any) -> bool:
    """Whether value is a real number, not a bool, NaN or infinity."""
    is_number = isinstance(value, int | float | np.integer | np.floating)
    return is_number and not isinstance(value, bool) and math.isfinite(value)


def check_count(name: str, value: Any) -> None:
    """Raise ArgumentError unless value is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ArgumentError(f"{name} is {value!r}, need an integer >= 1")
