"""Matrices: which classes a network takes for which."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.backend import Array
from fastnn.errors import DataError, ShapeError
from fastnn.inputs import checked_array
from fastnn.network import MLP
from fastnn.plots.figures import GREY, axes_for, extent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LONGEST_NAME = 24  # characters of a class name that are shown
_SMALLEST_PRINT = 5.0  # points


def confusion_matrix(net: MLP, X: Any, y: Any, ax: "Axes | None" = None) -> "Axes":
    """How many rows of each true class (downwards) net takes for which class (across).

    y: class labels (n,), or rows (n, k) of zeros and a one.  Numbers that would be too small to
    read become a colour bar.  Raises ShapeError, DTypeError, DataError, DeviceError,
    ArgumentError.
    """
    k = 2 if net.sizes[-1] == 1 and net.output != "softmax" else net.sizes[-1]
    predicted = np.asarray(net.classify(checked_array(X)))
    labels = _labels(y, predicted.shape, k)
    counts = np.zeros((k, k), np.int64)
    np.add.at(counts, (labels, predicted), 1)
    names = [_short(str(name)) for name in net.class_names or range(k)]
    side = min(max(0.55 * k, 2.4), 13.0) + 0.07 * max(map(len, names)) + 0.6
    ax = axes_for(ax, side, side)
    image = ax.imshow(counts, cmap="Blues", vmin=0, vmax=max(1, counts.max()))
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    cell = min(extent(ax)) / k
    _name_ticks(ax, names, cell)
    size = min(10.0, cell / (0.7 * len(str(counts.max())) + 0.4))
    if size >= _SMALLEST_PRINT:
        _write_counts(ax, counts, size)
    else:
        ax.figure.colorbar(image, ax=ax, label="rows", shrink=0.8)
    return ax


def _labels(y: Any, shape: tuple[int, ...], k: int) -> Array:
    y = checked_array(y, "y")
    if y.ndim == 2 and y.shape == (*shape, k) and ((y == 1).sum(1) == 1).all():
        y = y.argmax(axis=1)
    if len(shape) != 1 or y.shape != shape:
        raise ShapeError(f"y is {y.shape}, need class labels for the rows of X (n, d)")
    wrong = ~np.isin(y, np.arange(k))
    if wrong.any():
        raise DataError(f"y has {y[wrong][0]}, need whole class labels from 0 to {k - 1}")
    return y.astype(np.int64)


def _short(name: str) -> str:
    left, right = _LONGEST_NAME * 2 // 3, _LONGEST_NAME // 3 - 1  # names often differ at the end
    return name if len(name) <= _LONGEST_NAME else f"{name[:left]}…{name[-right:]}"


def _name_ticks(ax: Any, names: list[str], cell: float) -> None:
    size = max(_SMALLEST_PRINT, min(10.0, 0.8 * cell))
    places = range(0, len(names), math.ceil(size / cell))  # all, unless they would overlap
    names = [names[i] for i in places]
    turned = max(map(len, names)) * 0.65 * size > cell
    ax.set_xticks(places, names, rotation=90 if turned else 0, fontsize=size, parse_math=False)
    ax.set_yticks(places, names, fontsize=size, parse_math=False)


def _write_counts(ax: Any, counts: Array, size: float) -> None:
    most = max(1, counts.max())
    for (i, j), value in np.ndenumerate(counts):
        color = "white" if value > 0.6 * most else GREY if value == 0 else "black"
        ax.text(j, i, str(value), ha="center", va="center", fontsize=size, color=color)
