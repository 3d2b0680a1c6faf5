"""bench/test_training.py: who takes turns, in which order, and what does not count."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench import conftest, contenders
from bench import test_training as training
from bench.cases import Job
from bench.conftest import TURNS, Arena
from bench.contenders.textbook import Textbook


class Collected:
    """What pytest_generate_tests is given, and makes of it."""

    def __init__(self) -> None:
        self.config: Any = self
        self._benchmarksession = SimpleNamespace(disabled=False)
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


@pytest.mark.parametrize(("device", "workload", "left"), [
    ("cpu", None, ["start 0", "iris 0", "digits 0", "start 1", "iris 1"]),
    ("cpu", "iris", ["iris 0", "iris 1"]),
    ("cuda", None, ["iris 0", "digits 0", "iris 1"]),
])  # fmt: skip
def test_all_kinds_take_a_turn_before_one_takes_its_next(
    device: str, workload: str | None, left: list[str]
) -> None:
    tests = [("start", "start 0"), ("start", "start 1"), ("training", "iris 0"),
             ("training", "iris 1"), ("inference", "digits 0")]  # fmt: skip
    items: list[Any] = [
        SimpleNamespace(nodeid=f"test[{name}]", path=conftest.HERE / f"test_{module}.py",
                        callspec=SimpleNamespace(params={"turn": int(name[-1])}))
        for module, name in tests
    ]  # fmt: skip
    items.append(SimpleNamespace(nodeid="test_of_another_folder", path=Path(__file__)))
    gone: list[Any] = []
    config: Any = SimpleNamespace(
        getoption={"--workload": workload, "--device": device}.get,
        hook=SimpleNamespace(pytest_deselected=lambda items: gone.extend(items)),
    )

    conftest.pytest_collection_modifyitems(config, items)

    found = [item.nodeid for item in items]
    assert found == ["test_of_another_folder", *(f"test[{name}]" for name in left)]
    assert len(gone) == len(tests) - len(left)


def test_what_else_the_machine_did_is_seen_before_anything_is_timed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = {"--device": "cpu", "--threads": 2}
    config: Any = SimpleNamespace(stash={}, getoption=options.get, addinivalue_line=lambda *_: None)
    for name in ("set_threads", "keep_memory", "copy_bandwidth"):
        monkeypatch.setattr(conftest, name, lambda *_: None)
    info: dict[str, Any] = {}

    monkeypatch.setattr(os, "getloadavg", lambda: (0.04, 1.0, 1.0), raising=False)
    conftest.pytest_configure(config)
    monkeypatch.setattr(os, "getloadavg", lambda: (2.0, 1.0, 1.0))
    conftest.pytest_benchmark_update_machine_info(config, info)

    assert info["load"] == 0.0


class Benchmark:
    """What pytest-benchmark gives a test, with all that it does to what is timed."""

    def __init__(self) -> None:
        self.group, self.extra_info = "", dict[str, Any]()

    def pedantic(self, target: Any, setup: Any, rounds: int, warmup_rounds: int) -> None:
        for _ in range(warmup_rounds + rounds):
            setup()
            target()


class Idle(Textbook):
    """Trains in its first jobs, and not where it is timed."""

    jobs = 0

    def train(self) -> None:
        self.jobs += 1
        if self.jobs <= 2:
            super().train()


class Faster(Textbook):
    def begin(self) -> None:
        super().begin()
        self.params[0] = (1.01 * self.params[0][0], self.params[0][1])


@pytest.mark.parametrize(
    ("contender", "counts"), [(Textbook, True), (Idle, False), (Faster, False)]
)
def test_what_counts_is_known_after_the_jobs_that_are_timed(
    contender: type[Textbook], counts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conftest, "load", lambda name: contender)
    monkeypatch.setattr(conftest, "missing", lambda name: None)
    monkeypatch.setattr(conftest, "traffic_seconds", lambda job: 1.0)
    benchmark, job = Benchmark(), Job("digits", (64, 16, 10), "sigmoid", 100, 450, 4)

    training.test_training(benchmark, Arena(True, "cpu"), True, job, 3, "some")

    assert benchmark.extra_info["counts"] is counts
    assert benchmark.extra_info["turn"] == 3
