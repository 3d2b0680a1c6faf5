"""Kernels: each of the face on the CPU, beside its definition in float64 array expressions."""

import inspect
from dataclasses import replace
from typing import Any

import pytest

import fastnn
from bench.conftest import slow
from bench.gpu.calls import calls
from fastnn_kernels import face, reference

SHAPES = [pytest.param(n, m, marks=[slow] * ((n, m) != (100, 200)))
          for n, m in ((1, 10), (100, 10), (100, 200), (1000, 512))]  # fmt: skip


@pytest.mark.parametrize("module", ["fastnn", "reference"])
@pytest.mark.parametrize(("n", "m"), SHAPES)
@pytest.mark.parametrize("name", inspect.get_annotations(face.Kernels))
def test_kernels(benchmark: Any, is_timed: bool, name: str, n: int, m: int, module: str) -> None:
    backend = fastnn.get_backend("cpu")
    if module == "reference":
        backend = replace(backend, kernels=reference)
    (call,) = (call for call in calls(backend, n, m) if call.name == name)

    benchmark.group = f"kernel {name} of {n} x {m}"
    benchmark.extra_info.update(
        kind="kernel", workload=name, sizes=f"{n} x {m}", batch_size=None, samples=n * m,
        contender=module, device="cpu", execution="", turn=0, loss_error=None, counts=True,
        floor_seconds=None, moved=call.moved,
    )  # fmt: skip
    call.launch()
    if is_timed:
        benchmark._max_time = 0.05
    benchmark(call.launch)
