"""Curves: the samples that each contender trains on a second, by batch size."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator

from bench.paper import PRINT, WIDTH, rule, title, trained
from bench.results import LIMIT, Row, rank
from fastnn.plots.figures import BLUE, GREY, VERMILLION, extent

_LEFT, _BELOW, _PANEL, _PITCH, _NOTE = 0.68, 0.5, 2.35, 3.2, 0.25  # inches
_CHARACTER = 0.072  # inches
_REACH = 18.0  # points from a panel to the names

# Okabe and Ito (2008); a marker each, as nothing is told by colour alone.
_OURS = [(BLUE, "o", "-"), (BLUE, "s", "--"), (BLUE, "^", ":")]
_PEERS = {
    "PyTorch eager": (VERMILLION, "^", "-"), "PyTorch compiled": ("#E69F00", "v", "-"),
    "JAX scanned": ("#009E73", "D", "-"), "NumPy loop": ("#000000", "P", "-"),
    "scikit-learn": ("#CC79A7", "X", "-"),
}  # fmt: skip
_OTHERS = [("#56B4E9", "<", "-"), ("#8C510A", ">", "-"), ("#5E3C99", "p", "-")]

Style = tuple[str, str, str]
End = tuple[float, float, str, str]  # of a curve: batch size, samples/s, name, colour


def throughput(rows: Sequence[Row]) -> Figure:
    """A panel for each network that was trained, the floor dashed.

    Raises DataError where none was.
    """
    networks = trained(rows)
    styles = _styles({row.contender for group in networks for row in group} - {LIMIT})
    columns = min(2, len(networks))
    height = _NOTE + _PITCH * -(-len(networks) // columns)
    width = WIDTH / columns - _LEFT - _REACH / 72 - _CHARACTER * max(map(len, styles))
    figure = Figure((WIDTH, height))
    for index, group in enumerate(networks):
        left = WIDTH * (index % columns) / columns + _LEFT
        bottom = height - _PITCH * (index // columns + 1) + _BELOW
        ax = figure.add_axes((left / WIDTH, bottom / height, width / WIDTH, _PANEL / height))
        _name(ax, _draw(ax, group, styles))
        ax.set_title(title(group[0]), fontsize=PRINT + 1, weight="bold", loc="left")
    note = ("Training; quickest round, bars: slowest turn. "
            "Floor: dense products by BLAS, or traffic of the weights.")  # fmt: skip
    if not all(row.counts for group in networks for row in group):
        note += " Hollow: other loss."
    figure.text(0.01, 0, note, fontsize=PRINT)
    return figure


def spread(wanted: Sequence[float], gap: float, top: float) -> list[float]:
    """Places from 0 to top, in the order of those wanted and as near to them as gaps allow."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    blocks: list[list[float]] = []  # of what moves together
    for k, i in enumerate(order):
        blocks.append([wanted[i] - k * gap])
        while len(blocks) > 1 and _mean(blocks[-2]) > _mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    means = [_mean(block) for block in blocks for _ in block]
    room = max(0.0, top - (len(wanted) - 1) * gap)
    places = [0.0] * len(wanted)
    for k, (i, mean) in enumerate(zip(order, means, strict=True)):
        places[i] = min(max(mean, 0.0), room) + k * gap
    return places


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _styles(contenders: set[str]) -> dict[str, Style]:
    """Of those known as peers the same in every picture."""
    names = sorted(contenders, key=rank)
    ours = [name for name in names if name.startswith("fastnn")]
    others = [name for name in names if name not in ours and name not in _PEERS]
    styles = {name: _PEERS[name] for name in names if name in _PEERS}
    for some, known in ((ours, _OURS), (others, _OTHERS)):
        styles |= {name: known[k % len(known)] for k, name in enumerate(some)}
    return styles


def _draw(ax: Any, group: list[Row], styles: dict[str, Style]) -> list[End]:
    """Draw all curves of a network; their ends."""
    ends: list[End] = []
    for contender in sorted({row.contender for row in group} - {LIMIT}, key=rank, reverse=True):
        rows, style = [row for row in group if row.contender == contender], styles[contender]
        _points(ax, [row for row in rows if row.counts], style)
        _points(ax, [row for row in rows if not row.counts], style, linestyle="none",
                markerfacecolor="white", zorder=4)  # fmt: skip
        ends.append((rows[-1].batch_size, rows[-1].samples_per_second, contender, style[0]))
    floors = {row.batch_size: row.floor for row in group if row.floor}
    if floors:
        ax.plot(list(floors), list(floors.values()), "_", color=GREY, linestyle="--", zorder=1)
        ends.append((*list(floors.items())[-1], "floor", GREY))
    _scale(ax, sorted({row.batch_size for row in group}))
    return ends


def _points(ax: Any, rows: list[Row], style: Style, **changed: Any) -> None:
    rates = [row.samples_per_second for row in rows]
    errors = [[rate - row.low for rate, row in zip(rates, rows, strict=True)], [0.0] * len(rows)]
    color, marker, line = style
    look = {"color": color, "marker": marker, "linestyle": line, "markersize": 5, "linewidth": 1.6}
    ax.errorbar([row.batch_size for row in rows], rates, errors, elinewidth=0.9, capsize=2.5,
                **(look | changed))  # fmt: skip


def _scale(ax: Any, sizes: list[int]) -> None:
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(max(sizes[0], 1) / 1.7, sizes[-1] * 1.7)
    rule(ax, unseen=["top", "right"])
    ax.xaxis.set_major_locator(FixedLocator(sizes))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda size, _: _short(round(size))))
    low, high = ax.get_ylim()
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 50 * low else (1,)))
    ax.set_xlabel("batch size", fontsize=PRINT)
    ax.set_ylabel("samples/s", fontsize=PRINT)


def _short(size: int) -> str:
    """Neighbours in print: "1,000" would touch "8,192"."""
    return f"{size // 1000}k" if size >= 1000 and size % 1000 == 0 else str(size)


def _name(ax: Any, ends: list[End]) -> None:
    """Write the name of each curve at the right, joined to its end."""
    height, right = 72 * _PANEL, 1 + _REACH / extent(ax)[0]
    places = [ax.transLimits.transform(ax.transScale.transform(end[:2])) for end in ends]
    top = height - PRINT  # the title is above
    heights = spread([height * y for _, y in places], 1.3 * PRINT, top)
    for (x, y, name, color), at in zip(ends, heights, strict=True):
        arrow = {"arrowstyle": "-", "color": color, "linewidth": 0.8, "shrinkA": 1, "shrinkB": 4,
                 "relpos": (0, 0.5)}  # fmt: skip
        ax.annotate(
            name, (x, y), (right, at / height), textcoords="axes fraction", va="center",
            fontsize=PRINT, weight="bold" if name.startswith("fastnn") else "normal",
            parse_math=False, annotation_clip=False, arrowprops=arrow,
        )  # fmt: skip
