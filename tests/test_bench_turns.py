"""Turns are taken until a ratio is known, against the spread of medians that are simulated."""

from typing import Any

import numpy as np
import pytest

from bench import contenders
from bench import test_training as training
from bench.results import LIMIT
from bench.turns import LEAST, MOST, PATIENCE, Turns, uncertainty


@pytest.mark.parametrize("count", [12, 40])
def test_the_uncertainty_is_how_far_medians_of_so_many_ratios_lie_apart(count: int) -> None:
    ratios = 3 * np.random.default_rng(count).normal(1, 0.1, size=(2000, count))

    said = np.mean([uncertainty(list(row)) for row in ratios])

    # The quartiles of twelve numbers lie a tenth nearer than those of the distribution.
    assert said == pytest.approx(np.median(ratios, axis=1).std() / 3, rel=0.15)


def take(turns: Turns, count: int, spent: float = 0.1, **noise: float) -> None:
    """Turns of fastnn, which takes a second, and of others, which take two and some noise."""
    rng = np.random.default_rng(0)
    for turn in range(count):
        turns.add("case", turn, "fastnn fused", 1.0, spent)
        for name, width in noise.items():
            turns.add("case", turn, name, 2 + width * rng.normal(), spent)


def test_a_case_without_noise_takes_the_least_number_of_turns() -> None:
    turns = Turns()
    take(turns, LEAST, peer=0)

    assert all(turns.is_needed("case", turn) for turn in range(LEAST))
    assert not turns.is_needed("case", LEAST)
    assert turns.is_needed("another", LEAST - 1)


def test_a_noisy_case_takes_more_whoever_is_noisy() -> None:
    for noise in ({"peer": 1.0}, {"peer": 0.0, "other": 1.0}):
        turns = Turns()
        take(turns, MOST - 1, **noise)

        assert turns.is_needed("case", MOST - 1)


def test_the_noise_of_the_limit_does_not_count() -> None:
    turns = Turns()
    take(turns, MOST - 1, **{LIMIT: 1.0})

    assert not turns.is_needed("case", MOST - 1)


def test_a_noisy_case_ends_when_its_time_is_over() -> None:
    turns = Turns()
    take(turns, LEAST, spent=PATIENCE / LEAST, peer=1.0)

    assert not turns.is_needed("case", LEAST)


def test_all_contenders_of_a_turn_hear_the_same() -> None:
    turns = Turns()
    take(turns, MOST - 1, peer=1.0)
    assert turns.is_needed("case", MOST - 1)

    turns.add("case", MOST - 1, "fastnn fused", 1.0, 2 * PATIENCE)

    assert turns.is_needed("case", MOST - 1)


def test_a_turn_that_one_contender_lacks_is_in_no_ratio() -> None:
    turns = Turns()
    take(turns, LEAST, peer=0)
    turns.add("case", LEAST, "fastnn fused", 5.0, 0.1)

    assert not turns.is_needed("case", LEAST + 1)


def test_a_case_without_fastnn_takes_the_least_number_of_turns() -> None:
    turns = Turns()
    for turn in range(LEAST):
        turns.add("case", turn, "NumPy", 1.0, 0.1)

    assert not turns.is_needed("case", LEAST)


class Collected:
    """What pytest_generate_tests is given, and makes of it."""

    def __init__(self) -> None:
        self.config: Any = self
        self.cases: list[Any] = []

    def getoption(self, name: str) -> Any:
        return {"--device": "cpu"}.get(name)

    def parametrize(self, _: tuple[str, ...], cases: list[Any]) -> None:
        self.cases = [case.values for case in cases]


def test_all_cases_take_a_turn_before_one_takes_its_next_and_contenders_go_there_and_back() -> None:
    collected: Any = Collected()

    training.pytest_generate_tests(collected)

    numbers = [turn for _, turn, _ in collected.cases]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(MOST))
    first, second = (
        [(job, contender) for job, turn, contender in collected.cases if turn == number]
        for number in (0, 1)
    )
    assert [job for job, _ in first] == [job for job, _ in second]
    for job in dict(first):
        there, back = ([name for at, name in each if at == job] for each in (first, second))
        assert len(there) == len(contenders.CPU)
        assert there == back[::-1]
