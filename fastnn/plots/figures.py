"""Figures: what a picture is drawn on, and the file that it becomes.

Nothing here or beside it imports matplotlib before it is asked for a picture.
"""

import io
import os
import reprlib
from typing import TYPE_CHECKING, Any

from fastnn import files
from fastnn.errors import ArgumentError, MissingLibraryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

ENDINGS = (".png", ".svg", ".pdf")
BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#767676"  # Okabe and Ito (2008)


def check_target(path: files.PathLike) -> None:
    """Raise what `save` to path would, if that is plain to see before there is a picture.

    That is ArgumentError for its ending, MissingLibraryError, or the OSError of the system.
    """
    files.check_target(path)
    _ending(path)
    check_library()


def check_library() -> None:
    """Raise MissingLibraryError where matplotlib cannot be imported."""
    _matplotlib()


def show(draw: "Callable[[Axes], object]") -> None:
    """Draw on pyplot's figure, and show it where there is a window or a notebook to show it in."""
    _matplotlib()
    from matplotlib import pyplot

    draw(pyplot.figure(figsize=(6.4, 4.0), layout="constrained").add_subplot())
    if pyplot.get_backend().lower() != "agg":
        pyplot.show()


def save(picture: "Axes | Figure | SubFigure", path: files.PathLike) -> None:
    """Write the figure of a picture to path, whole or not at all, as PNG, SVG or PDF by its ending.

    The same picture gives the same bytes.  Raises ArgumentError, OSError.
    """
    check_target(path)
    ending, content = _ending(path), io.BytesIO()
    dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with _matplotlib().rc_context({"svg.hashsalt": "fastnn"}):
        figure: Any = picture.figure  # of a Figure, itself; of an Axes, perhaps a SubFigure
        figure.figure.savefig(content, format=ending[1:], dpi=150, metadata=dates.get(ending),
                              bbox_inches="tight")  # fmt: skip
    files.replace(path, content.getvalue())


def figure_for(figure: Any, width: float, height: float) -> Any:
    """figure, or where it is None a new one of so many inches."""
    module = _matplotlib().figure
    if figure is None:
        return module.Figure((width, height), layout="constrained")
    if not isinstance(figure, module.FigureBase):
        raise ArgumentError(f"figure is {reprlib.repr(figure)}, need a matplotlib Figure")
    return figure


def axes_for(ax: Any, width: float, height: float) -> Any:
    """ax, or where it is None that of a new figure of so many inches."""
    if ax is None:
        return figure_for(None, width, height).add_subplot()
    if not isinstance(ax, _matplotlib().axes.Axes):
        raise ArgumentError(f"ax is {reprlib.repr(ax)}, need a matplotlib Axes")
    return ax


def extent(ax: Any) -> tuple[float, float]:
    """Width and height of ax in points, before any layout."""
    box, points = ax.get_window_extent(), 72 / ax.figure.dpi
    return box.width * points, box.height * points


def _ending(path: files.PathLike) -> str:
    ending = os.path.splitext(os.fspath(path))[1].lower()
    if ending not in ENDINGS:
        raise ArgumentError(f"cannot plot to {os.fspath(path)!r}, need a name that ends in "
                            f"{', '.join(ENDINGS)}")  # fmt: skip
    return ending


def _matplotlib() -> Any:
    """matplotlib with its axes and figures."""
    try:
        import matplotlib.axes
        import matplotlib.figure
    except ImportError as error:
        raise MissingLibraryError(f"pictures need matplotlib, which cannot be imported ({error}); "
                                  "try: pip install matplotlib") from error  # fmt: skip
    return matplotlib
