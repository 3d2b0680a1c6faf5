"""Data: rows and their targets, checked against a network and a loss."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.backend import Array, device_of
from fastnn.checks import number
from fastnn.errors import ArgumentError, DeviceError, FastnnError, ShapeError
from fastnn.inputs import Rows, placed
from fastnn.losses import Loss, Targets
from fastnn.streams import Purpose, generator
from fastnn.weights import ready, weighted_by_sample

if TYPE_CHECKING:
    from fastnn.network import MLP


@dataclass(frozen=True)
class Data:
    """Rows of X and their targets, as many."""

    rows: Rows
    targets: Targets

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, rows: Any) -> "Data":
        """Some of the rows, by a NumPy index array."""
        places = self.rows.backend.asarray(rows, np.int64)
        return Data(self.rows.part(rows), self.targets[places])

    def slabs(self, order: Any, length: int) -> Iterator[tuple[Array, Targets]]:
        """(X, targets) in this order (None: their own), so many rows at a time.

        An order may be of some of the rows.
        """
        rows, n = self.rows, len(self) if order is None else len(order)
        there = None if order is None else rows.backend.asarray(order, np.int64)
        streamed = None if rows.is_there else rows.streamed(order, length)
        for first in range(0, n, length):
            place = slice(first, first + length) if there is None else there[first : first + length]
            X = rows[place] if streamed is None else next(streamed)
            yield X, self.targets[place]


def checked(net: "MLP", X: Any, Y: Any, loss: Loss, sample_weight: Any = None) -> Data:
    """X and Y as Data.  Raises ShapeError, DTypeError, DataError, DeviceError."""
    _check_side(X, Y, "Y")
    if sample_weight is not None:
        _check_side(X, sample_weight, "sample_weight")
    rows = Rows(placed(X, "X", net.backend), net.sizes[0], net.scaling, net.backend)
    if len(rows) == 0:
        raise ShapeError(f"X is {rows.X.shape}, need at least one row")
    targets = loss.targets(Y, len(rows))
    if sample_weight is not None:
        targets = weighted_by_sample(targets, sample_weight, len(rows), loss)
    return Data(rows, targets)


def divided(
    net: "MLP",
    X: Any,
    Y: Any,
    loss: Loss,
    validation: Any,
    seed: int,
    *,
    sample_weight: Any,
    class_weight: Any,
) -> tuple[Data, Data | None]:
    """(what to train on, what to validate with): validation is (X, Y), a fraction, or None.

    What to train on is weighted; what to validate with may have weights, and they mean nothing.
    """
    whole = checked(net, X, Y, loss, sample_weight)
    data, held_out = _cut(net, whole, loss, validation, seed)
    targets = ready(data.targets, class_weight, net.class_names, loss)
    return replace(data, targets=targets), held_out


def _cut(
    net: "MLP", whole: Data, loss: Loss, validation: Any, seed: int
) -> tuple[Data, Data | None]:
    if validation is None:
        return whole, None
    if isinstance(validation, tuple | list) and len(validation) == 2:
        return whole, _held_out(net, validation[0], validation[1], loss)
    if isinstance(validation, tuple | list):
        raise ArgumentError(f"validation has {len(validation)} parts, need (X, Y) or a fraction")
    fraction = number("validation", validation, "in (0, 1), or (X, Y)", lambda x: 0 < x < 1)
    n, held = len(whole), round(len(whole) * fraction)
    if not 0 < held < n:
        raise ArgumentError(f"validation={validation} of {n} rows leaves {n - held} to train on "
                            f"and {held} to validate with, need one at least of each")  # fmt: skip
    order = generator(seed, Purpose.SPLIT).permutation(n)
    return whole.part(order[held:]), whole.part(order[:held])


def _check_side(X: Any, other: Any, name: str) -> None:
    here, there = device_of(X), device_of(other)
    if here != there:
        move = f"cupy.asnumpy({name})" if here == "cpu" else f"net.backend.asarray({name})"
        raise DeviceError(f"X is on {here}, {name} on {there}: move one of them, for example "
                          f"{name} = {move}")  # fmt: skip


def _held_out(net: "MLP", X: Any, Y: Any, loss: Loss) -> Data:
    try:
        return checked(net, X, Y, loss)
    except FastnnError as error:
        raise type(error)(f"of the validation data: {error}") from error
