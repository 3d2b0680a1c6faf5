"""Barriers: how long all blocks of a grid, or of a cluster, wait for each other.

The time of one is the difference of a long and a short launch, so that the launch drops out.
"""

import sys
from types import ModuleType
from typing import Any

import numpy as np

import fastnn
from bench.gpu.clocks import gpu_us, rounded
from bench.gpu.record import Record
from bench.gpu.sources import GRID_BARRIER, cluster_barrier, function

SHORT, LONG = np.int32(1_000), np.int32(11_000)  # barriers in a launch
THREADS = 256
CLUSTERS = (8, 16)  # blocks; beyond 8 a kernel must ask for it


def of_grids(record: Record, cupy: ModuleType) -> None:
    """One atomic counter for all blocks, in a cooperative launch."""
    processors = cupy.cuda.Device().attributes["MultiProcessorCount"]
    for blocks in (2, 16, processors // 2, processors):
        with record.row(what="grid barrier", blocks=blocks, threads=THREADS) as row:
            row["us"] = _of_grid(cupy, blocks)


def _of_grid(cupy: ModuleType, blocks: int) -> float:
    kernel, arrived = function(cupy, GRID_BARRIER, "grid_barrier"), cupy.zeros(1, "uint32")

    def launch(rounds: Any) -> None:
        arrived.fill(0)
        kernel((blocks,), (THREADS,), (arrived, rounds), enable_cooperative_groups=True)

    us = us_of_one(cupy, launch)
    assert int(arrived[0]) == blocks * LONG
    return us


def of_clusters(record: Record, cupy: ModuleType) -> None:
    """The hardware's own, from compute capability 9.0."""
    for blocks in CLUSTERS:
        with record.row(what="cluster barrier", blocks=blocks, threads=THREADS) as row:
            row["us"] = _of_cluster(cupy, blocks)


def _of_cluster(cupy: ModuleType, blocks: int) -> float:
    capability = int(cupy.cuda.Device().compute_capability)
    assert capability >= 90, f"compute capability is {capability}, need 90 for clusters"
    kernel, seen = (
        function(cupy, cluster_barrier(blocks), "cluster_barrier"),
        cupy.zeros(1, "int32"),
    )
    if blocks > 8:
        allow_large_clusters(kernel)
    us = us_of_one(cupy, lambda rounds: kernel((blocks,), (THREADS,), (seen, rounds)))
    assert int(seen[0]) == blocks
    return us


def us_of_one(cupy: ModuleType, launch: Any) -> float:
    short = gpu_us(cupy, lambda: launch(SHORT))["median"]
    long = gpu_us(cupy, lambda: launch(LONG))["median"]
    return rounded((long - short) / int(LONG - SHORT))


def allow_large_clusters(kernel: Any) -> None:
    from cuda.bindings import driver

    attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED
    (status,) = driver.cuFuncSetAttribute(driver.CUfunction(kernel.ptr), attribute, 1)
    assert status == driver.CUresult.CUDA_SUCCESS, status


def main(folder: str) -> int:
    record = Record(folder, "barriers")
    backend = fastnn.get_backend("cuda")
    with backend.active(), backend.xp.cuda.Stream(non_blocking=True):
        of_clusters(record, backend.xp)
        of_grids(record, backend.xp)
    return record.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
