"""bench/thresholds.py runs; what it finds is the machine's."""

from collections.abc import Callable, Iterator

import pytest
from numba.core import config

from bench import thresholds

pytestmark = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")


@pytest.mark.parametrize("find", [thresholds.density, thresholds.threads,
                                  thresholds.blocks, thresholds.rows])  # fmt: skip
def test_it_compares_two_ways(
    find: Callable[[], Iterator[tuple[float, float]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thresholds, "TURNS", 1)

    value, ratio = next(find())

    assert value > 0
    assert ratio > 0
