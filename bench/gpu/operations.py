"""Operations: copies, matrix products and each kernel of the face, one at a time.

A kernel's bytes are those that it reads and writes at least, and its share is of the bandwidth
of a large copy on the GPU; arrays that fit its L2 cache may have more than all of it.
"""

import math
import sys
from functools import partial
from itertools import pairwise
from types import ModuleType

import numpy as np

import fastnn
from bench.gpu.calls import calls, numbers
from bench.gpu.clocks import gpu_us, graph_us, rounded
from bench.gpu.record import Record
from bench.gpu.throughput import NETS, STEPS
from fastnn.backend import Backend

COPIES = (2**12, 2**20, 60_000 * 784, 2**28)  # bytes; the third is MNIST's
LARGE = 2**30  # bytes, far more than any cache has
ROWS, COLUMNS = (1, 100, 8192, 65_536), (10, 100, 512)
LAYERS = sorted({layer for sizes, _ in NETS for layer in pairwise(sizes)})
PRODUCTS = [*((n, *layer) for layer in LAYERS for n in (*STEPS, 60_000)), (4096, 4096, 4096)]


def copies(record: Record, cupy: ModuleType, sizes: tuple[int, ...] = COPIES) -> None:
    """Between host memory, pageable and pinned, and the GPU."""
    for size in sizes:
        with record.row(what="copy", bytes=size) as row:
            on_gpu = cupy.zeros(size, "uint8")
            pinned = np.frombuffer(cupy.cuda.alloc_pinned_memory(size), np.uint8, size)
            for name, on_host in {"pageable": np.zeros(size, np.uint8), "pinned": pinned}.items():
                to = gpu_us(cupy, partial(on_gpu.set, on_host))
                back = gpu_us(cupy, partial(on_gpu.get, out=on_host))
                row[f"to the GPU, {name}"] = {"us": to, "gb_s": _gb_s(size, to)}
                row[f"to the host, {name}"] = {"us": back, "gb_s": _gb_s(size, back)}


def bandwidth(record: Record, cupy: ModuleType, size: int = LARGE) -> float:
    """GB/s, read and written, of a large copy on the GPU."""
    gb_s = math.nan
    with record.row(what="copy on the GPU", bytes=size) as row:
        here, there = cupy.zeros(size, "uint8"), cupy.zeros(size, "uint8")
        row["us"] = gpu_us(cupy, partial(cupy.copyto, there, here), times=5)
        row["gb_s"] = gb_s = _gb_s(2 * size, row["us"])
    return gb_s


def products(
    record: Record, backend: Backend, cases: list[tuple[int, int, int]] = PRODUCTS
) -> None:
    """The three of a layer, as it calls them: (rows, inputs, outputs) each."""
    xp = backend.xp
    for n, d, m in cases:
        with record.row(what="products", rows=n, inputs=d, outputs=m) as row:
            X, W, Z = (numbers(backend, *shape) for shape in ((n, d), (d, m), (n, m)))
            three = {
                "X @ W": partial(xp.matmul, X, W, out=Z),
                "X.T @ dZ": partial(xp.dot, X.T, Z, out=W),
                "dZ @ W.T": partial(xp.matmul, Z, W.T, out=X),
            }
            for name, product in three.items():
                us = gpu_us(xp, product, times=10, repeats=5)
                row[name] = {"us": us, "tflop_s": rounded(2e-6 * n * d * m / us["median"])}


def kernels(
    record: Record, backend: Backend, copy_gb_s: float, rows: tuple[int, ...] = ROWS,
    columns: tuple[int, ...] = COLUMNS,
) -> None:  # fmt: skip
    """Called one by one, and captured in a graph, which leaves out what a launch costs the host."""
    for n in rows:
        for m in columns:
            nodes, times = (20, 10) if n * m <= 2**20 else (3, 1)
            for call in calls(backend, n, m):
                with record.row(what="kernel", kernel=call.name, rows=n, columns=m) as row:
                    row["bytes"] = call.moved
                    row["call_us"] = gpu_us(backend.xp, call.launch, times=nodes, repeats=5)
                    row["graph_us"] = us = graph_us(
                        backend.xp, call.launch, nodes, times, repeats=5
                    )
                    row["gb_s"] = gb_s = _gb_s(call.moved, us)
                    row["share"] = rounded(gb_s / copy_gb_s)


def _gb_s(size: int, us: dict[str, float]) -> float:
    return rounded(size / us["median"] / 1e3)


def main(folder: str) -> int:
    record = Record(folder, "operations")
    backend = fastnn.get_backend("cuda")
    with backend.active(), backend.xp.cuda.Stream(non_blocking=True):
        copies(record, backend.xp)
        copy_gb_s = bandwidth(record, backend.xp)
        kernels(record, backend, copy_gb_s)
        products(record, backend)
    return record.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
