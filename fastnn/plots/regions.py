"""Regions: what a network of two inputs says, all over their plane."""

import reprlib
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.backend import Array
from fastnn.errors import ArgumentError, DataError, ShapeError
from fastnn.inputs import checked_array
from fastnn.network import MLP
from fastnn.plots.figures import BLUE, VERMILLION, axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARGIN, _STEPS = 0.25, 400  # of the spread of X, around it; of the grid, along each side
_LOOKS = [(BLUE, "o"), (VERMILLION, "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#E69F00", "v"),
          ("#56B4E9", "P"), ("#000000", "X")]  # Okabe and Ito (2008)  # fmt: skip


def decision_regions(net: MLP, X: Any, y: Any, ax: "Axes | None" = None) -> "Axes":
    """The class that net names at each place, as a ground of its colour, and the rows X (n, 2) of
    the classes y (n,) above it, each with the marker of its class.

    Raises ArgumentError, ShapeError, DTypeError, DataError.
    """
    if not isinstance(net, MLP):
        raise ArgumentError(f"net is {reprlib.repr(net)}, need an MLP; a classic machine's is .net")
    X, y = checked_array(X).astype(float), checked_array(y, "y")
    if net.sizes[0] != 2 or X.ndim != 2 or X.shape[1] != 2 or y.shape != X.shape[:1]:
        raise ShapeError(f"the network has {net.sizes[0]} inputs, X is {X.shape} and y {y.shape}, "
                         "need 2, (n, 2) and (n,)")  # fmt: skip
    if not np.isfinite(X).all():
        raise DataError("X has NaN or infinity, need finite numbers")
    classes = max(2, net.sizes[-1])
    if not np.isin(y, np.arange(classes)).all() or not len(y):
        raise DataError(f"y has other values than the classes 0 to {classes - 1}, need these")
    ax = axes_for(ax, 4.8, 4.0)
    across, up = (_side(column) for column in X.T)
    ground = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    named = net.classify(ground).reshape(_STEPS, _STEPS)
    looks = [_LOOKS[k % len(_LOOKS)] for k in range(classes)]
    ax.contourf(across, up, named, np.arange(classes + 1) - 0.5, alpha=0.25,
                colors=[color for color, _ in looks])  # fmt: skip
    for k, (color, marker) in enumerate(looks):
        name = str(k) if net.class_names is None else net.class_names[k]
        ax.scatter(X[y == k, 0], X[y == k, 1], color=color, marker=marker, edgecolor="black", s=60,
                   label=name, zorder=3)  # fmt: skip
    ax.set_xlabel("first input")
    ax.set_ylabel("second input")
    ax.legend(title="class", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=classes,
              frameon=False)  # fmt: skip
    return ax


def _side(column: Array) -> Array:
    low, high = column.min(), column.max()
    margin = _MARGIN * (high - low or 1.0)
    return np.linspace(low - margin, high + margin, _STEPS)
