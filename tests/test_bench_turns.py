"""Turns are taken until a ratio is known, against the spread of medians that are simulated."""

import numpy as np
import pytest

from bench.turns import LEAST, MOST, PATIENCE, Turns, uncertainty


@pytest.mark.parametrize("count", [5, 12, 40])
def test_the_uncertainty_is_how_far_medians_of_so_many_ratios_lie_apart(count: int) -> None:
    ratios = 3 * np.random.default_rng(count).normal(1, 0.1, size=(2000, count))

    said = np.mean([uncertainty(list(row)) for row in ratios])

    spread = np.median(ratios, axis=1).std() / 3
    assert said == pytest.approx(spread, rel=0.3)  # quartiles of five are rough


def take(turns: Turns, noise: float, count: int, spent: float = 0.1) -> None:
    rng = np.random.default_rng(0)
    for _ in range(count):
        turns.add("case", "fastnn fused", 1.0, spent)
        turns.add("case", "JAX", 2 + noise * rng.normal(), spent)


def test_a_case_without_noise_takes_the_least_number_of_turns() -> None:
    turns = Turns()
    for _ in range(LEAST):
        assert not turns.are_enough("case")
        take(turns, 0, 1)

    assert turns.are_enough("case")
    assert not turns.are_enough("another")


def test_a_noisy_case_takes_more() -> None:
    turns = Turns()
    take(turns, 1.0, MOST)

    assert not turns.are_enough("case")


def test_a_noisy_case_ends_when_its_time_is_over() -> None:
    turns = Turns()
    take(turns, 1.0, LEAST, PATIENCE / LEAST)

    assert turns.are_enough("case")


def test_no_turn_ends_in_its_middle() -> None:
    turns = Turns()
    take(turns, 0, LEAST)
    turns.add("case", "fastnn fused", 1.0, 0.1)

    assert not turns.are_enough("case")


def test_a_case_without_peers_needs_no_more_turns() -> None:
    turns = Turns()
    for _ in range(LEAST):
        turns.add("case", "NumPy", 1.0, 0.1)

    assert turns.are_enough("case")
