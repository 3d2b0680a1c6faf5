"""Images: rows of numbers as square pictures, beside each other in one scale of grey or colour."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.backend import Array
from fastnn.checks import count
from fastnn.errors import ArgumentError, DataError, ShapeError
from fastnn.inputs import checked_array, host_array
from fastnn.network import MLP
from fastnn.plots.figures import VERMILLION, axes_for, extent, figure_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure


def show_digits(
    X: Any, labels: Any = None, predicted: Any = None, ax: "Axes | None" = None, columns: int = 8
) -> "Axes":
    """Rows of X (n, d) as square images, dark where large, each above its label or prediction.

    d: a square number, as 64 or 784.  labels, predicted: (n,) each.  A prediction that differs
    from the label is framed and told with it.  ax.images has the images in order.

    Raises ShapeError, DTypeError, DataError, DeviceError, ArgumentError.
    """
    images = _images(checked_array(X), "X has rows of {} numbers")
    if not np.isfinite(images).all():
        raise DataError("X has NaN or infinity, need finite numbers")
    n, columns = len(images), min(count("columns", columns), len(images))
    captions, wrong = _captions(_of_each(labels, "labels", n), _of_each(predicted, "predicted", n))
    pitch = 1.4 if captions else 1.1  # of the lines, in widths of an image
    lines = math.ceil(n / columns)
    ax = axes_for(ax, 0.95 * max(columns, 2), 0.95 * pitch * lines)
    corners = _tiles(ax, images, columns, pitch, cmap="gray_r",
                     vmin=images.min(), vmax=images.max())  # fmt: skip
    width, height = extent(ax)
    tile = min(width / (1.1 * columns), height / (pitch * lines))
    size = min(10.0, 0.3 * tile, tile / (0.6 * max(map(len, captions), default=1)))
    for (x, y), caption, is_wrong in zip(corners, captions, wrong, strict=False):
        ax.text(x + 0.5, y + 1.07, caption, ha="center", va="top", fontsize=size,
                color=VERMILLION if is_wrong else "black", parse_math=False)  # fmt: skip
        if is_wrong:
            _frame(ax, x, y)
    return ax


def first_layer(
    net: MLP, columns: int | None = None, figure: "Figure | SubFigure | None" = None
) -> "Figure | SubFigure":
    """The weights that each unit of the first layer gives the inputs, as images in one scale.

    The network has a square number of inputs, as 64 or 784.  Red is positive, blue negative,
    white zero.  columns: None makes the whole about square.

    Raises ShapeError, ArgumentError.
    """
    W = net.get_params_dict()["W1"]
    images = _images(W.T, "the network has {} inputs")
    n = len(images)
    columns = min(n, math.ceil(math.sqrt(n)) if columns is None else count("columns", columns))
    lines = math.ceil(n / columns)
    side = min(1.0, 12 / max(columns, lines))  # inches of an image
    figure = figure_for(figure, max(side * columns, 2.4) + 1.2, max(side * lines, 1.6))
    ax = figure.add_subplot()
    limit = float(np.abs(W).max()) or 1.0
    _tiles(ax, images, columns, 1.1, cmap="RdBu_r", vmin=-limit, vmax=limit)
    figure.colorbar(ax.images[0], ax=ax, label="weight", shrink=0.9)
    return figure


def _images(X: Array, came: str) -> Array:
    """Rows (n, d), or one (d,), as images (n, side, side)."""
    if X.ndim == 1:
        X = X[None]
    if X.ndim != 2 or not X.size:
        raise ShapeError(f"X is {X.shape}, need (n, d) with a row: X.reshape(len(X), -1)")
    d = X.shape[1]
    side = math.isqrt(d)
    if side * side != d:
        raise ShapeError(f"{came.format(d)}, need a square number of them, as 64 or 784, "
                         "for a square image")  # fmt: skip
    return X.reshape(-1, side, side)


def _of_each(values: Any, name: str, n: int) -> list[Any] | None:
    if values is None:
        return None
    array = host_array(values, name)
    if array.shape != (n,):
        raise ShapeError(f"{name} is {array.shape}, need ({n},), one for each row of X")
    plain: list[Any] = array.tolist()
    return plain


def _captions(
    labels: list[Any] | None, predicted: list[Any] | None
) -> tuple[list[str], list[bool]]:
    """What stands below each image, if anything, and whether it is of a wrong prediction."""
    if labels is None or predicted is None:
        shown = [str(value) for value in labels or predicted or []]
        return shown, [False] * len(shown)
    if isinstance(labels[0], str) != isinstance(predicted[0], str):
        raise ArgumentError(f"labels has {labels[0]!r} and predicted {predicted[0]!r}, need both "
                            "as words or both as numbers")  # fmt: skip
    pairs = list(zip(labels, predicted, strict=True))
    return [str(p) if p == t else f"{p}, is {t}" for t, p in pairs], [p != t for t, p in pairs]


def _tiles(
    ax: Any, images: Array, columns: int, pitch: float, **scale: Any
) -> list[tuple[float, float]]:
    """Draw images from left to right and downwards, each of width 1; their top left corners."""
    corners = []
    for i, image in enumerate(images):
        x, y = 1.1 * (i % columns), pitch * (i // columns)
        ax.imshow(image, extent=(x, x + 1, y + 1, y), interpolation="nearest", **scale)
        corners.append((x, y))
    ax.set_xlim(-0.05, 1.1 * columns - 0.05)
    ax.set_ylim(pitch * math.ceil(len(images) / columns) - 0.05, -0.05)
    ax.set_axis_off()
    return corners


def _frame(ax: Any, x: float, y: float) -> None:
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((x, y), 1, 1, fill=False, edgecolor=VERMILLION, linewidth=2))
