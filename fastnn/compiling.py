"""Compiling: when compiling what a network needs is worth its time.

That is as soon as doing without has cost as much, in one job or in several: then no order of jobs
takes more than twice the time that knowing all of them in advance would.  Karlin, Manasse,
Rudolph and Sleator (1988), Competitive snoopy caching.
"""

from collections import defaultdict
from collections.abc import Hashable

SECONDS = 5.0  # that compiling takes

_spent: dict[Hashable, float] = defaultdict(float)  # by layers, in this process


def is_worth(what: Hashable, seconds: float) -> bool:
    """Whether to compile for a job of `what` that takes the layers so many seconds, or else to
    let them; it counts with those to come."""
    _spent[what] += seconds
    return _spent[what] > SECONDS
