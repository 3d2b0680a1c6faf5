"""Bars: how many times as many samples a second fastnn's best trains on as each peer."""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from bench.paper import PRINT, WIDTH, rule, title, trained
from bench.results import Row, rank, ratio
from bench.table import number
from fastnn.errors import DataError
from fastnn.plots.figures import BLUE, GREY, VERMILLION

_NAMES, _BAR, _TITLE, _BELOW = 1.15, 0.19, 0.45, 0.5  # inches
_CHARACTER = 0.64 * PRINT / 72  # inches


def ratios(rows: Sequence[Row]) -> Figure:
    """Cases down, peers across, to the left of 1 where fastnn is slower; or why there is none.

    Raises DataError where nothing was trained, or by fastnn alone.
    """
    networks = trained(rows)
    peers = sorted({row.contender for group in networks for row in group if row.is_peer}, key=rank)
    if not peers:
        raise DataError("the results have no contender to compare fastnn with, need one")
    headings, cases, end = _places(networks)
    height = _TITLE + _BAR * end + _BELOW
    figure = Figure((WIDTH, height))
    pitch = (WIDTH - _NAMES) / len(peers)
    width = 0.92 * pitch
    values = {peer: {y: ratio(case, peer) for y, case in cases.items()} for peer in peers}
    limits = _limits([x for each in values.values() for x in each.values() if x], width)
    for k, peer in enumerate(peers):
        ax = figure.add_axes(((_NAMES + k * pitch) / WIDTH, _BELOW / height,
                              width / WIDTH, _BAR * end / height))  # fmt: skip
        _draw(ax, {y: x for y, x in values[peer].items() if x}, limits)
        for y in (y for y, x in values[peer].items() if not x):
            _print(ax, y, _reason(cases[y], peer), color=GREY)
        ax.set_ylim(end - 0.6, -0.6)
        ax.set_title(peer.replace(" ", "\n", 1), fontsize=PRINT, weight="bold")
    first = figure.axes[0]
    for y, case in cases.items():
        _beside(first, y, f"batch {case[0].batch_size:,}", -0.06 / width, ha="right")
    for y, heading in headings.items():
        _beside(first, y, heading, -_NAMES / width, weight="bold")
    figure.text(0.5, 0, "training: fastnn's samples/s as a multiple of theirs", fontsize=PRINT,
                ha="center")  # fmt: skip
    return figure


def _places(networks: list[list[Row]]) -> tuple[dict[float, str], dict[float, list[Row]], float]:
    """The headings and the cases by their heights in bars, downwards, and where they end."""
    headings, cases, y = {}, {}, 0.0
    for group in networks:
        headings[y] = title(group[0])
        for _, case in groupby(group, key=lambda row: row.batch_size):
            y += 1
            cases[y] = list(case)
        y += 1.3
    return headings, cases, y


def _reason(case: list[Row], peer: str) -> str:
    """Why there is no ratio."""
    there = {row.is_ours for row in case if row.is_ours or row.contender == peer}
    return "other loss" if len(there) == 2 else "not run"


def _limits(values: list[float], width: float) -> tuple[float, float]:
    """Of an axis of so many inches that has room for the print after the bars."""
    low = 0.9 * min([1.0, *values]) if min(values, default=1) < 1 else 1.0
    ends = [(1.0, 8), *((max(x, 1.0), len(number(x))) for x in values)]
    span = max(math.log(x / low) / max(0.2, 1 - _CHARACTER * length / width - 0.06)
               for x, length in [*ends, (2.0, 0)])  # fmt: skip
    return low, low * math.exp(span)


def _draw(ax: Any, values: dict[float, float], limits: tuple[float, float]) -> None:
    colors = [BLUE if x >= 1 else VERMILLION for x in values.values()]
    ax.set_xscale("log")
    ax.set_xlim(limits)
    ax.barh(list(values), [x - 1 for x in values.values()], 0.7, left=1, color=colors)
    for y, x in values.items():
        _print(ax, y, number(x), max(x, 1))
    ax.axvline(1, color="black", linewidth=0.8)
    rule(ax, unseen=["top", "right", "left"])
    ax.xaxis.set_major_locator(FixedLocator(_ticks(*limits)))
    ax.set_yticks([])


def _ticks(low: float, high: float) -> list[float]:
    """Powers of ten, 1 among them, of which the last is not so far right as to be cut off."""
    last = low * (high / low) ** 0.9
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(last)) + 1)
    step = math.ceil(len(powers) / 4)
    return [10.0**k for k in powers if k % step == 0]


def _print(ax: Any, y: float, text: str, x: float = 1, color: str = "black") -> None:
    ax.annotate(text, (x, y), (3, 0), textcoords="offset points", va="center", color=color,
                fontsize=PRINT)  # fmt: skip


def _beside(ax: Any, y: float, text: str, x: float, **look: Any) -> None:
    white = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # a heading may reach into ax
    ax.text(x, y, text, transform=ax.get_yaxis_transform(), va="center", fontsize=PRINT,
            parse_math=False, bbox=white, **look)  # fmt: skip
