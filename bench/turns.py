"""Turns: contenders take them one after another, until their ratios to fastnn are known."""

from collections import Counter, defaultdict
from collections.abc import Hashable
from math import pi, sqrt
from statistics import median, quantiles

from bench.results import LIMIT

LEAST, MOST = 5, 12
PRECISION = 0.04  # of a ratio: two runs then are 15 % apart once in a hundred times
PATIENCE = 40.0  # seconds of timed work for a case, from which on there are no more turns


class Turns:
    """The times of all cases so far."""

    def __init__(self) -> None:
        # Of each case and contender, seconds of a call in each turn.
        self._times: dict[Hashable, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self._spent = Counter[Hashable]()

    def add(self, case: Hashable, contender: str, seconds: float, spent: float) -> None:
        """seconds: of a call; spent: on the whole turn."""
        self._times[case][contender].append(seconds)
        self._spent[case] += spent  # type: ignore[assignment]

    def are_enough(self, case: Hashable) -> bool:
        """Whether more of them would tell nothing new, or take too long."""
        times = self._times[case]
        counts = {len(taken) for taken in times.values()}
        if len(counts) != 1 or min(counts) < LEAST:  # in the middle of a turn, or before the last
            return False
        ours = min((taken for name, taken in times.items() if name.startswith("fastnn")),
                   key=median, default=None)  # fmt: skip
        if ours is None or self._spent[case] > PATIENCE:
            return True
        return all(
            uncertainty([b / a for a, b in zip(ours, taken, strict=True)]) <= PRECISION
            for name, taken in times.items()
            if name != LIMIT
        )


def uncertainty(ratios: list[float]) -> float:
    """The standard error of their median, as a share of it.

    sqrt(pi / 2) times that of the mean, if they are normal; the deviation is taken from the
    quartiles, 1.349 of it apart, since a single turn may go far astray.
    """
    low, middle, high = quantiles(ratios, n=4, method="inclusive")
    return sqrt(pi / 2) * (high - low) / 1.349 / middle / sqrt(len(ratios))
