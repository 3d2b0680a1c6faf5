"""Turns of the benchmarks: who takes them, and in which order."""

from typing import Any

from bench import contenders
from bench import test_training as training
from bench.conftest import TURNS


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
    assert set(numbers) == set(range(TURNS["cpu"]))
    first, second = (
        [(job, contender) for job, turn, contender in collected.cases if turn == number]
        for number in (0, 1)
    )
    assert [job for job, _ in first] == [job for job, _ in second]
    for job in dict(first):
        there, back = ([name for at, name in each if at == job] for each in (first, second))
        assert len(there) == len(contenders.CPU)
        assert there == back[::-1]
