"""What is on this machine that matters to fastnn, and what to do about each fault."""

import os
import platform
from pathlib import Path

import numpy as np

import fastnn
from fastnn import gpu
from fastnn.datasets import mnist
from fastnn.errors import ArgumentError, DeviceUnavailableError, FastnnError
from fastnn.threads import thread_count

_PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "safetensors", "pooch", "tqdm",
             "threadpoolctl", "scikit-learn", "matplotlib")  # fmt: skip


def report() -> list[str]:
    """Lines to print, each a fact, the faults with their remedy."""
    return [
        f"fastnn {fastnn.__version__}, Python {platform.python_version()}, {platform.platform()}",
        "packages: " + ", ".join(f"{name} {gpu.version(name) or 'missing'}" for name in _PACKAGES),
        f"processor: {platform.machine()}, {os.cpu_count()} cores, {_usable_cores()} usable here",
        _threads(),
        *_thread_pools(),
        _kernel_cache(),
        _data_cache(),
        f"devices: {', '.join(fastnn.devices())}",
        *_default_device(),
        *_cuda(),
    ]  # fmt: skip


def compile_kernels() -> None:
    """Fill the kernel cache with all that fused training on a CPU may need, in a minute or two."""
    from tqdm import tqdm

    from fastnn_kernels import cpu_catalogue

    for function in tqdm(cpu_catalogue.functions(), "compiling", unit=" kernels"):
        cpu_catalogue.make_ready(function)


def _threads() -> str:
    try:
        return f"threads: fused training uses up to {thread_count()}"
    except ArgumentError as error:
        return f"threads: {error}"


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
    try:
        folder = mnist.cache_folder()
    except ImportError:
        return "MNIST: pooch, which would download it, is not installed; set FASTNN_DATA instead"
    found = sum((folder / name).exists() for name in mnist.FILES)
    if found == len(mnist.FILES):
        return f"MNIST: in {folder}"
    return f"MNIST: not in {folder}; it is downloaded when first asked for"


def _cuda() -> list[str]:
    driver = gpu.driver_version()
    packages = gpu.installed(*gpu.CUPYS, "numba-cuda", "cuda-core")
    lines = [
        f"CUDA: the driver supports CUDA {driver // 1000}.{driver % 1000 // 10}"
        if driver else f"CUDA: no NVIDIA driver ({gpu.DRIVER} was not found)",
        f"CUDA packages: {', '.join(packages) or 'none'}",
    ]  # fmt: skip
    try:
        fastnn.get_backend("cuda")
    except DeviceUnavailableError as error:
        return [*lines, f"CUDA: {error}"]
    return [*lines, *(_of_gpu(fastnn.get_backend(device)) for device in fastnn.devices()[1:])]


def _of_gpu(backend: fastnn.Backend) -> str:
    cuda = backend.xp.cuda
    with backend.active():
        free, total = (size / 2**30 for size in cuda.runtime.memGetInfo())
        name = gpu.name_of(backend.xp, cuda.runtime.getDevice())
    return (f"CUDA: {backend.device} is {name}, {free:.1f} of {total:.1f} GiB free; float32 "
            "products in full precision, TF32 off")  # fmt: skip


def _default_device() -> list[str]:
    named = os.environ.get("FASTNN_DEVICE")
    if not named:
        return []
    try:
        return [f"default device: FASTNN_DEVICE is {named}, which is {fastnn.get_backend().device}"]
    except FastnnError as error:
        return [f"default device: {error}"]


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _can_write(folder: Path) -> bool:
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    return existing.is_dir() and os.access(existing, os.W_OK)
