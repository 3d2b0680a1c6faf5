"""Inference: one row from NumPy to NumPy, and 10,000 rows in batches, each predictor in turns."""

import os
import time
from functools import cache
from typing import Any

import numpy as np
import pytest

from bench.cases import JOBS, Array, Job, rows_of
from bench.conftest import in_turn, rest, turns
from bench.contenders import missing
from bench.predictors import PREDICTORS, Predictor
from bench.reference import forward
from bench.results import LIMIT

BATCHES = ("one row", 1, 100, 10_000)
ROWS = 10_000  # in batches
NETS = {job.sizes: job for job in JOBS if job.workload in ("iris", "digits", "mnist")}
QUICK_NET = (784, 200, 10)
SECONDS = 0.15  # of a predictor's turn


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Turn by turn, network by network, batch by batch."""
    config = metafunc.config
    nets = [NETS[QUICK_NET]] if config.getoption("--quick") else NETS.values()
    cases = [
        pytest.param(
            job, size, turn, name,
            id=f"{job.workload} {'-'.join(map(str, job.sizes))}, {size}, {name}, turn {turn}",
        )
        for turn in turns(config)
        for job in nets
        for size in BATCHES
        for name in in_turn(PREDICTORS[config.getoption("--device")], turn)
    ]  # fmt: skip
    metafunc.parametrize(("job", "batch_size", "turn", "contender"), cases)


@pytest.fixture(scope="session")
def ready() -> dict[tuple[Job, Any, str], float]:
    """Who has been warmed up and predicts what the formulas do, and the seconds of a round."""
    return {}


def test_inference(
    benchmark: Any, is_timed: bool, ready: dict[tuple[Job, Any, str], float], device: str,
    job: Job, batch_size: Any, turn: int, contender: str,
) -> None:  # fmt: skip
    who, _ = PREDICTORS[device][contender]
    if (job, batch_size, contender) not in ready and (reason := missing(who)):
        pytest.skip(reason)
    predict = predictor(contender, job, device)
    one = batch_size == "one row"
    size = 1 if one else batch_size
    n = 1 if one else ROWS
    X = rows(job, n if is_timed else min(2 * size, n), is_timed)

    def work() -> None:
        for i in range(0, len(X), size):
            predict(X[i : i + size])

    if (job, batch_size, contender) not in ready:
        if contender != LIMIT:
            outputs = np.concatenate([predict(X[i : i + size]) for i in range(0, len(X), size)])
            np.testing.assert_allclose(outputs, formulas(job, X), atol=1e-6)
        work()
        began = time.perf_counter()
        work()
        ready[job, batch_size, contender] = time.perf_counter() - began
    calls = 100 if one else 1  # of which a round's time is the mean: the clock costs 0.1 us
    count = max(1, round(SECONDS / calls / ready[job, batch_size, contender]))

    benchmark.group = f"inference {'-'.join(map(str, job.sizes))}, {batch_size}"
    benchmark.extra_info.update(
        kind="inference", workload=job.workload + ", one row" * one,
        sizes="-".join(map(str, job.sizes)), batch_size=size, samples=len(X), contender=contender,
        device=device, execution="", turn=turn, loss_error=None, counts=True,
    )  # fmt: skip
    rest()
    benchmark.pedantic(work, rounds=count, warmup_rounds=min(1, count - 1), iterations=calls)


def rows(job: Job, n: int, is_timed: bool) -> Array:
    """Of the workload, again and again if it has fewer; any numbers where no time is taken."""
    if job.workload == "mnist" and not os.environ.get("FASTNN_DATA"):
        if is_timed:
            pytest.skip("FASTNN_DATA names no folder with MNIST")
        return np.random.default_rng(0).random((n, job.sizes[0]), np.float32)
    X, _ = rows_of(job.workload)
    return X[np.arange(n) % len(X)]


@cache
def predictor(name: str, job: Job, device: str) -> Predictor:
    _, make = PREDICTORS[device][name]
    return make(job.activation, job.start(), device)


def formulas(job: Job, X: Array) -> Array:
    """The softmax outputs (n, k) in float64."""
    Z = forward(job, job.start(), X.astype(np.float64))[-1]
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    A: Array = E / E.sum(axis=1, keepdims=True)
    return A
