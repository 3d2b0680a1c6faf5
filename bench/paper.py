"""Paper: what all pictures of results share, and what their pages are.

A README shows them about 8.3 inches wide at 100 pixels an inch, so that print of 9 points is
nearly as high as its text.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from matplotlib.ticker import FuncFormatter, NullLocator

from bench.results import LIMIT, Row
from fastnn.errors import DataError

WIDTH = 8.3  # inches
PRINT = 9.0  # points


def trained(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows of each network that was trained.  Raises DataError where none was."""
    rows = [row for row in rows if row.kind == "training"]
    if all(row.contender == LIMIT for row in rows):
        raise DataError("the results have no training, need one to draw")
    return [list(group) for _, group in groupby(rows, key=lambda row: row.network)]


def title(row: Row) -> str:
    return f"{row.workload} {row.sizes}, {row.device}"


def rule(ax: Any, *, unseen: Sequence[str]) -> None:
    """Faint lines, plain numbers on both axes, and none of the unseen spines."""
    ax.grid(color="0.9")
    ax.set_axisbelow(True)
    ax.spines[unseen].set_visible(False)
    ax.tick_params(labelsize=PRINT)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(_short))


def _short(x: float, _: Any) -> str:
    """10000 as 10k."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if x >= unit:
            return f"{x / unit:g}{name}"
    return f"{x:g}"
