"""The machine: GPU, clocks at rest and at work, processor, versions, commit.

Run as a module it is the check for a usable GPU: exit code 69, with fastnn's reason, without.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import fastnn
from bench.gpu.calls import numbers
from bench.gpu.record import Record
from fastnn.errors import DeviceUnavailableError
from fastnn.gpu import version

PACKAGES = (
    "numpy", "scipy", "cupy-cuda13x", "cupy-cuda12x", "numba", "llvmlite", "numba-cuda",
    "cuda-core", "cuda-bindings", "nvidia-cublas", "nvidia-cuda-nvrtc", "torch", "triton",
    "jax", "jaxlib", "pytest", "hypothesis", "scikit-learn", "safetensors", "threadpoolctl",
)  # fmt: skip
STILL = "name,driver_version,memory.total,power.limit,clocks.max.sm,clocks.max.mem,compute_mode"
MOVING = "clocks.sm,clocks.mem,power.draw,temperature.gpu,utilization.gpu"
PROPERTIES = (
    "major", "minor", "multiProcessorCount", "l2CacheSize", "sharedMemPerBlockOptin",
    "sharedMemPerMultiprocessor", "regsPerMultiprocessor", "totalGlobalMem", "cooperativeLaunch",
)  # fmt: skip


def describe(record: Record, backend: Any, size: int = 8192, times: int = 150) -> None:
    """All of it; the products of size x size matrices are the work at which clocks are read."""
    with record.row(what="software") as row:
        row["fastnn"], row["python"] = fastnn.__version__, platform.python_version()
        row["system"], row["commit"] = platform.platform(), commit()
        row.update({name: found for name in PACKAGES if (found := version(name))})
    with record.row(what="processor") as row:
        row.update(processor())
    with record.row(what="device") as row, backend.active():
        runtime = backend.xp.cuda.runtime
        row["runtime"], row["driver"] = runtime.runtimeGetVersion(), runtime.driverGetVersion()
        properties = runtime.getDeviceProperties(backend.ordinal)
        row.update({name: properties[name] for name in PROPERTIES if name in properties})
    with record.row(what="gpu") as row:
        row.update(nvidia_smi(STILL))
    with record.row(what="clocks at rest") as row:
        row.update(nvidia_smi(MOVING))
    with record.row(what="clocks at work") as row, backend.active():
        A = numbers(backend, size, size)
        out = backend.xp.empty_like(A)
        for _ in range(times):  # a few seconds, which the host does not wait for
            backend.xp.matmul(A, A, out=out)
        row.update(nvidia_smi(MOVING))
        backend.synchronize()


def nvidia_smi(query: str) -> dict[str, str]:
    """Of the first GPU."""
    run = subprocess.run(
        ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"],
        capture_output=True, text=True, timeout=20, check=True,
    )  # fmt: skip
    first = run.stdout.splitlines()[0]
    return dict(zip(query.split(","), map(str.strip, first.split(",")), strict=True))


def processor() -> dict[str, Any]:
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))  # loads NumPy's BLAS
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    pools = {f"{pool['internal_api']} {pool['version'] or ''}".strip(): pool["num_threads"]
             for pool in threadpool_info()}  # fmt: skip
    return {
        "model": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "threads": pools,
    }


def commit() -> str | None:
    """That of the checkout, marked where files differ from it; None without git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip()


def main(folder: str) -> int:
    try:
        backend = fastnn.get_backend("cuda")
    except DeviceUnavailableError as error:
        print(f"bench/gpu.sh needs a GPU: {error}")
        return 69
    record = Record(folder, "machine")
    describe(record, backend)
    return record.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
