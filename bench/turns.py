"""Turns: contenders take them one after another, until their ratios to fastnn are known."""

from collections import Counter, defaultdict
from collections.abc import Hashable
from math import pi, sqrt
from statistics import median, quantiles

from bench.results import NO_PEERS

LEAST, MOST = 7, 12
PRECISION = 0.04  # of a ratio, as `uncertainty` has it; of seven turns that is a rough guess
PATIENCE = 60.0  # seconds of timed work for a case, from which on there are no more turns
NOT_NEEDED = "its ratios are known, or their time is over"


class Turns:
    """The times of all cases so far."""

    def __init__(self) -> None:
        # Of each case and contender, seconds of a call by turn.
        self._times: dict[Hashable, dict[str, dict[int, float]]] = defaultdict(
            lambda: defaultdict(dict)
        )
        self._spent: Counter[Hashable] = Counter()
        self._needed: dict[tuple[Hashable, int], bool] = {}

    def add(self, case: Hashable, turn: int, contender: str, seconds: float, spent: float) -> None:
        """seconds: of a call; spent: on the whole turn."""
        self._times[case][contender][turn] = seconds
        self._spent[case] += spent  # type: ignore[assignment]

    def is_needed(self, case: Hashable, turn: int) -> bool:
        """The same for all contenders of a turn."""
        if (case, turn) not in self._needed:
            self._needed[case, turn] = turn < LEAST or not self._are_enough(case)
        return self._needed[case, turn]

    def _are_enough(self, case: Hashable) -> bool:
        """Whether more of them would tell nothing new, or take too long."""
        times = self._times[case]
        ours = [taken for name, taken in times.items() if name.startswith("fastnn")]
        if not ours or self._spent[case] > PATIENCE:
            return True
        best = min(ours, key=lambda taken: median(taken.values()))
        ratios = (
            [taken[turn] / best[turn] for turn in taken.keys() & best.keys()]
            for name, taken in times.items() if name not in NO_PEERS
        )  # fmt: skip
        return all(len(some) >= LEAST and uncertainty(some) <= PRECISION for some in ratios)


def uncertainty(ratios: list[float]) -> float:
    """The standard error of their median, as a share of it.

    sqrt(pi / 2) times that of the mean, if they are normal; the deviation is taken from the
    quartiles, 1.349 of it apart, since a single turn may go far astray.
    """
    low, middle, high = quantiles(ratios, n=4, method="inclusive")
    return sqrt(pi / 2) * (high - low) / 1.349 / middle / sqrt(len(ratios))
