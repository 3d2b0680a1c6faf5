"""Kernels: each of the face on the CPU, beside its definition in float64 array expressions."""

import inspect
from dataclasses import replace
from typing import Any

import pytest

import fastnn
from bench.conftest import in_turn, turns
from bench.contenders.limit import CACHED, copy_bandwidth
from bench.gpu.calls import calls
from fastnn_kernels import face, reference

SHAPES = [(1, 10), (100, 10), (100, 200), (1000, 512)]
QUICK_SHAPE = (100, 200)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    config = metafunc.config
    cases = [
        (name, n, m, turn, contender)
        for turn in turns(config)[::3]  # each is of many calls
        for name in inspect.get_annotations(face.Kernels)
        for n, m in ([QUICK_SHAPE] if config.getoption("--quick") else SHAPES)
        for contender in in_turn(("fastnn", "reference"), turn)
    ]
    metafunc.parametrize(("name", "n", "m", "turn", "contender"), cases)


@pytest.fixture(scope="session")
def bandwidth() -> float:
    """Bytes a second, read and written, of copies in a cache."""
    return copy_bandwidth(CACHED)


def test_kernels(
    benchmark: Any, is_timed: bool, bandwidth: float, name: str, n: int, m: int, turn: int,
    contender: str,
) -> None:  # fmt: skip
    backend = fastnn.get_backend("cpu")
    if contender == "reference":
        backend = replace(backend, kernels=reference)
    (call,) = (call for call in calls(backend, n, m) if call.name == name)

    benchmark.group = f"kernel {name} of {n} x {m}"
    benchmark.extra_info.update(
        kind="kernel", workload=name, sizes=f"{n} x {m}", batch_size=None, samples=n * m,
        contender=contender, device="cpu", execution="", turn=turn, loss_error=None, counts=True,
        traffic_seconds=call.moved / bandwidth,
    )  # fmt: skip
    call.launch()
    if is_timed:
        benchmark._max_time = 0.03
    benchmark(call.launch)
