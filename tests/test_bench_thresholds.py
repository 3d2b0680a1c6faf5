"""bench/thresholds.py runs; what it finds is the machine's."""

import sys
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


def test_help_says_how_long_it_takes_and_measures_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(thresholds, "density", lambda: pytest.fail("it measures"))
    monkeypatch.setattr(sys, "argv", ["thresholds", "--help"])

    with pytest.raises(SystemExit) as end:
        thresholds.main()

    assert end.value.code == 0
    assert "a minute or two; nothing else should run meanwhile" in capsys.readouterr().out
