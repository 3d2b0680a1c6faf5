"""Inference: one row from NumPy to NumPy, and 10,000 rows in batches, by each predictor."""

import importlib.util
from typing import Any

import numpy as np
import pytest

from bench.cases import JOBS
from bench.conftest import slow
from bench.predictors import PREDICTORS
from bench.reference import forward

ROWS = 10_000
BATCHES = [1, 100, 10_000]
QUICK_NET = (784, 200, 10)
NETS = {job.sizes: job for job in JOBS if job.workload in ("iris", "mnist")}


@pytest.mark.parametrize("name", PREDICTORS)
@pytest.mark.parametrize("batch_size", ["one row", *BATCHES])
@pytest.mark.parametrize("sizes", [pytest.param(
    sizes, id=f"{job.workload} {'-'.join(map(str, sizes))}", marks=[slow] * (sizes != QUICK_NET)
) for sizes, job in NETS.items()])  # fmt: skip
def test_inference(
    benchmark: Any, is_timed: bool, sizes: tuple[int, ...], batch_size: Any, name: str
) -> None:
    library, make = PREDICTORS[name]
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    job, layers = NETS[sizes], NETS[sizes].start()
    predict = make(job.activation, layers)
    one = batch_size == "one row"
    X = np.random.default_rng(0).random((1 if one else ROWS, sizes[0]), np.float32)
    size = 1 if one else batch_size
    X = X if is_timed else X[: 2 * size]

    def work() -> None:
        for i in range(0, len(X), size):
            predict(X[i : i + size])

    benchmark.group = f"inference {'-'.join(map(str, sizes))}, {batch_size}"
    benchmark.extra_info.update(
        kind="inference", workload=job.workload + ", one row" * one,
        sizes="-".join(map(str, sizes)), batch_size=size, samples=len(X), contender=name,
        device="cpu", execution="", turn=0, loss_error=None, counts=True, floor_seconds=None,
    )  # fmt: skip
    Z = forward(job, layers, X[:100])[-1]
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    np.testing.assert_allclose(predict(X[:100]), E / E.sum(axis=1, keepdims=True), atol=1e-6)
    work()
    if one:
        benchmark(work)
    else:
        benchmark.pedantic(work, rounds=2 if size == 1 else 5)
