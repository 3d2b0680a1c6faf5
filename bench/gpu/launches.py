"""Launches: what one costs by each way from Python to a kernel, and in a CUDA graph.

Every way adds two vectors of one block, and is checked to have done so.
"""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from types import ModuleType
from typing import Any

import numba
import numpy as np

import fastnn
from bench.gpu.clocks import captured, gpu_us, host_us, rounded, together_us
from bench.gpu.record import Record
from bench.gpu.sources import ADD, COUNT_UP, compiled
from fastnn_kernels.cuda_jit import THREADS, Kernel, cuda

Array = Any
Launch = Callable[[], Any]

COUNT = THREADS  # elements: one block
NODES = (1, 20, 100)


def add(count: int, a: Array, b: Array, out: Array) -> None:
    """Its machine code is kept by its name: another body needs another name."""
    i = cuda.grid(1)
    if i < count:
        out[i] = a[i] + b[i]


def by_cupy(cupy: ModuleType, _: Any, arrays: list[Array]) -> Launch:
    kernel, count = cupy.RawKernel(ADD, "add"), np.int64(COUNT)
    return lambda: kernel((1,), (THREADS,), (count, *arrays))


def by_fastnn(_: ModuleType, __: Any, arrays: list[Array]) -> Launch:
    kernel = Kernel(add)
    return lambda: kernel(COUNT, *arrays)


def by_cuda_core(cupy: ModuleType, stream: Any, arrays: list[Array]) -> Launch:
    from cuda.core import Device, LaunchConfig, launch

    device = Device()
    device.set_current()
    kernel = compiled(ADD, cupy.cuda.Device().compute_capability).get_kernel("add")
    there, config = device.create_stream(stream), LaunchConfig(grid=1, block=THREADS)
    return lambda: launch(there, config, kernel, COUNT, *(a.data.ptr for a in arrays))


def by_numba(_: ModuleType, __: Any, arrays: list[Array]) -> Launch:
    """As anybody would: CuPy's arrays into Numba's launch, both on the default stream."""
    kernel = cuda.jit(add)
    return lambda: kernel[1, THREADS](COUNT, *arrays)


def by_numba_on_their_stream(_: ModuleType, stream: Any, arrays: list[Array]) -> Launch:
    """The arrays are lent at each launch, without a wait."""
    kernel, there = cuda.jit(add), cuda.external_stream(stream.ptr)
    return lambda: kernel[1, THREADS, there](
        COUNT, *(cuda.as_cuda_array(a, sync=False) for a in arrays)
    )


def by_numba_lent_once(_: ModuleType, stream: Any, arrays: list[Array]) -> Launch:
    """The arrays and the launch's configuration are made once."""
    kernel = cuda.jit(add)[1, THREADS, cuda.external_stream(stream.ptr)]
    lent = [cuda.as_cuda_array(a, sync=False) for a in arrays]
    return lambda: kernel(COUNT, *lent)


WAYS = {
    "CuPy's RawKernel": by_cupy,
    "fastnn's Kernel": by_fastnn,
    "cuda.core": by_cuda_core,
    "Numba, lent once": by_numba_lent_once,
    "Numba, lent at each launch": by_numba_on_their_stream,
    "Numba": by_numba,
}


def ways(record: Record, cupy: ModuleType) -> None:
    """Microseconds of the host for one launch, and of each of thousands until all are done."""
    for name, way in WAYS.items():
        stream = cupy.cuda.Stream(non_blocking=True)
        current = nullcontext() if way is by_numba else stream
        with record.row(what="launch", way=name) as row, current:
            a, b, out = (cupy.full(COUNT, number, "float32") for number in (1, 2, 0))
            launch = way(cupy, stream, [a, b, out])
            row["host_us"] = host_us(cupy, launch, times=200)
            row["back_to_back_us"] = together_us(cupy, launch, times=2000, repeats=5)
            assert float(out.min()) == float(out.max()) == 3


def graphs(record: Record, cupy: ModuleType) -> None:
    """A graph's replay, whole and by node, beside the same launches one by one."""
    kernel = cupy.RawKernel(COUNT_UP, "count_up")
    stream, device = cupy.cuda.Stream(non_blocking=True), cupy.cuda.Device()
    for blocks in (1, device.attributes["MultiProcessorCount"]):
        for nodes in NODES:
            with record.row(what="graph", nodes=nodes, blocks=blocks) as row, stream:
                total = cupy.zeros(1, "int32")
                launch = partial(kernel, (blocks,), (THREADS,), (total,))
                launch()
                graph = captured(stream, launch, nodes)
                graph.launch()
                graph.launch()
                assert int(total[0]) == 1 + 2 * nodes
                row["replay_us"] = us = gpu_us(cupy, graph.launch, times=200)
                row["us_per_node"] = rounded(us["median"] / nodes)
                row["host_us"] = host_us(cupy, graph.launch, times=100)
                one_by_one = gpu_us(cupy, launch, times=1000)
                row["us_one_by_one"] = one_by_one["median"]


def main(folder: str) -> int:
    record = Record(folder, "launches")
    numba.config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # a warning takes longer than a launch
    backend = fastnn.get_backend("cuda")
    with backend.active():
        ways(record, backend.xp)
        graphs(record, backend.xp)
    return record.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
