"""Rule: up to how many operations of a step which way is faster, from what throughput has found.

fastnn.replayed.MOST is the first figure of the summary's line, fastnn.backend.SMALL the second.
"""

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

Row = dict[str, Any]


def operations(row: Row) -> float:
    """Of a step, as fastnn.replayed.operations."""
    sizes = [int(size) for size in row["net"].split("-")]
    return 6.0 * sum((d + 1) * m for d, m in pairwise(sizes)) * float(row["batch_size"])


def threshold(rows: Iterable[Row], small: str, large: str) -> float:
    """The operations up to which `small` is to be chosen and beyond which `large`, so that the
    product of all speeds is the largest; 0 for never."""
    gains = sorted(
        (operations(row), math.log(speeds[small]["median"] / speeds[large]["median"]))
        for row in rows
        if {small, large} <= (speeds := row["samples_per_second"]).keys()
    )
    best, most, total = 0.0, 0.0, 0.0
    for count, gain in gains:
        total += gain
        if total > best:
            best, most = total, count
    return most
