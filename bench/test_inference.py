"""Inference: one row from NumPy to NumPy, and 10,000 rows in batches, each predictor in turns."""

import importlib.util
import os
import time
from functools import cache
from typing import Any

import numpy as np
import pytest

from bench.cases import JOBS, Array, Job, rows_of
from bench.conftest import in_turn, rest, turns
from bench.predictors import PREDICTORS, Predictor
from bench.reference import forward

ROWS = {"one row": 1, 1: 1000, 100: 10_000, 10_000: 10_000}  # by batch size
NETS = {job.sizes: job for job in JOBS if job.workload in ("iris", "mnist")}
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
        for size in ROWS
        for name in in_turn(PREDICTORS, turn)
    ]  # fmt: skip
    metafunc.parametrize(("job", "batch_size", "turn", "contender"), cases)


def test_inference(
    benchmark: Any, is_timed: bool, job: Job, batch_size: Any, turn: int, contender: str
) -> None:
    library, _ = PREDICTORS[contender]
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    predict = predictor(contender, job)
    one = batch_size == "one row"
    size = 1 if one else batch_size
    X = rows(job, ROWS[batch_size] if is_timed else min(2 * size, ROWS[batch_size]), is_timed)

    def work() -> None:
        for i in range(0, len(X), size):
            predict(X[i : i + size])

    benchmark.group = f"inference {'-'.join(map(str, job.sizes))}, {batch_size}"
    benchmark.extra_info.update(
        kind="inference", workload=job.workload + ", one row" * one,
        sizes="-".join(map(str, job.sizes)), batch_size=size, samples=len(X), contender=contender,
        device="cpu", execution="", turn=turn, loss_error=None, counts=True,
    )  # fmt: skip
    Z = forward(job, job.start(), X[:100])[-1]
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    np.testing.assert_allclose(predict(X[:100]), E / E.sum(axis=1, keepdims=True), atol=1e-6)
    rest()
    work()
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    calls = 100 if one else 1  # of which a round's time is the mean: the clock costs 0.1 us
    benchmark.pedantic(work, rounds=max(2, round(SECONDS / calls / seconds)), iterations=calls)


def rows(job: Job, n: int, is_timed: bool) -> Array:
    """Of the workload, again and again if it has fewer; any numbers where no time is taken."""
    if job.workload == "mnist" and not os.environ.get("FASTNN_DATA"):
        if is_timed:
            pytest.skip("FASTNN_DATA names no folder with MNIST")
        return np.random.default_rng(0).random((n, job.sizes[0]), np.float32)
    X, _ = rows_of(job.workload)
    return X[np.arange(n) % len(X)]


@cache
def predictor(name: str, job: Job) -> Predictor:
    _, make = PREDICTORS[name]
    return make(job.activation, job.start())
