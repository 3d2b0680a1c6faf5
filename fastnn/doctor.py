"""What is on this machine that matters to fastnn, and what to do about each fault."""

import ctypes
import ctypes.util
import importlib.metadata
import os
import platform
from pathlib import Path

import numpy as np

import fastnn
from fastnn.datasets import mnist

_PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "safetensors", "pooch", "tqdm",
             "threadpoolctl", "scikit-learn", "matplotlib")  # fmt: skip
_CUPY = ("cupy", "cupy-cuda12x", "cupy-cuda13x")
_INSTALL = 'pip install "cupy-cuda13x[ctk]" "numba-cuda[cu13]"'


def report() -> list[str]:
    """Lines to print, each a fact, the faults with their remedy."""
    return [
        f"fastnn {fastnn.__version__}, Python {platform.python_version()}, {platform.platform()}",
        "packages: " + ", ".join(f"{name} {_version(name) or 'missing'}" for name in _PACKAGES),
        f"processor: {platform.machine()}, {os.cpu_count()} cores, {_usable_cores()} usable here",
        *_thread_pools(),
        _kernel_cache(),
        _data_cache(),
        f"devices: {', '.join(fastnn.devices())}",
        *_cuda(),
    ]  # fmt: skip


def _thread_pools() -> list[str]:
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))  # loads NumPy's BLAS
    return [
        f"threads: {pool['internal_api']} {pool.get('version') or ''} uses {pool['num_threads']}"
        f" ({pool['filepath']})"
        for pool in threadpool_info()
    ] or ["threads: no BLAS that threadpoolctl knows"]


def _kernel_cache() -> str:
    from fastnn_kernels import jit

    folder = jit.cache_folder()
    if folder.is_dir() and not jit.is_private(folder):
        return f"kernel cache: {folder} is not yours alone, so it is not used; chmod 700 it"
    if not _can_write(folder):
        return f"kernel cache: {folder} cannot be written; set FASTNN_CACHE to a folder of yours"
    count = len(list(folder.iterdir())) if folder.is_dir() else 0
    return f"kernel cache: {folder}, {count} compiled kernels"


def _data_cache() -> str:
    if named := os.environ.get("FASTNN_DATA"):
        return f"MNIST: FASTNN_DATA names {named}"
    folder = mnist.cache_folder()
    found = sum((folder / name).exists() for name in mnist.FILES)
    if found == len(mnist.FILES):
        return f"MNIST: in {folder}"
    return f"MNIST: not in {folder}; it is downloaded when first asked for"


def _cuda() -> list[str]:
    driver = _driver_version()
    if driver is None:
        return ["CUDA: no NVIDIA driver (libcuda not found); a GPU needs one from nvidia.com"]
    installed = [f"{name} {version}" for name in _CUPY if (version := _version(name))]
    lines = [f"CUDA: the driver supports CUDA {driver // 1000}.{driver % 1000 // 10}"]
    if not installed:
        return [*lines, f"CUDA: CuPy is not installed; try: {_INSTALL}"]
    if len(installed) > 1:
        return [
            *lines,
            f"CUDA: {' and '.join(installed)} are both installed; uninstall all but one",
        ]
    return [*lines, f"CUDA: {installed[0]}; this version of fastnn has no CUDA backend yet"]


def _driver_version() -> int | None:
    """As the driver says it: 13000 for CUDA 13.0."""
    name = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return None
    version = ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(version))
    return version.value


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _can_write(folder: Path) -> bool:
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    return existing.is_dir() and os.access(existing, os.W_OK)
