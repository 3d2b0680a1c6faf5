"""Backend: where a network's arrays live and which kernels run.

`get_backend` is the only place where a string becomes a device.  It is called when a
network is built; from there the Backend is carried, and nobody asks about devices again.
Importing this module touches neither Numba nor CUDA.
"""

import functools
import logging
import math
import os
import re
import reprlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Self

import numpy as np

from fastnn import gpu
from fastnn.errors import (
    ArgumentError,
    DeviceError,
    DeviceMemoryError,
    DeviceUnavailableError,
    DTypeError,
)
from fastnn.precision import OLDEST, Products
from fastnn.threads import limit_blas
from fastnn_kernels.face import Kernels

Array = Any  # numpy.ndarray or cupy.ndarray

SMALL = 0.0  # operations of a step, up to which a CPU is faster; 0 until a GPU has measured it
ALIGNMENT = 128  # bytes: a cache line pair, and what a GPU reads at once

_HERE = nullcontext()
_log = logging.getLogger("fastnn")
_process_default = os.environ.get("FASTNN_DEVICE") or "cpu"
_context_default: ContextVar[str | None] = ContextVar("fastnn_device", default=None)


@dataclass(frozen=True, slots=True)
class Backend:
    """A device, its array library, its kernels, and the one float type of a network."""

    device: str
    xp: ModuleType
    kernels: Kernels
    dtype: np.dtype[Any]

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        """x on this device, C-contiguous, as dtype (None: the backend's own), unchecked.

        It is x itself where x is all that.
        """
        return self.xp.asarray(x, dtype or self.dtype, order="C")

    def upload(self, x: Array) -> Array:
        """A NumPy array on this device, as it is."""
        return x

    def asnumpy(self, x: Array) -> np.ndarray[Any, Any]:
        """x in host memory; waits for the device."""
        return np.asarray(x)

    def floats(self, numbers: Iterable[Array]) -> list[float]:
        """0-d arrays as Python's numbers; waits for the device, once for all."""
        return [float(number) for number in numbers]

    def zeros(self, size: int) -> Array:
        """A zero vector (size,) that starts on a 128-byte boundary."""
        slack = ALIGNMENT // self.dtype.itemsize
        block = self.xp.zeros(size + slack, self.dtype)
        start = -block.ctypes.data % ALIGNMENT // self.dtype.itemsize
        return block[start : start + size]

    @property
    def products(self) -> Any:
        """What has matmul and dot."""
        return self.xp

    def rounding(self, precision: str) -> Self:
        """This backend, its products in another precision.  Raises ArgumentError."""
        if precision != "float32":
            raise ArgumentError(f"precision {precision!r} is for float32 on a GPU, and this is "
                                f"{self.dtype} on {self.device}: leave it out")  # fmt: skip
        return self

    def synchronize(self) -> None:
        """Wait until the device has done all that was asked of it.  For clocks."""

    def active(self) -> AbstractContextManager[None]:
        """The device made the current one, and its faults named; the door to all work on it."""
        return _HERE

    def block(self, width: int) -> int:
        """Rows of this width to look at or predict at once: on a CPU they stay in its cache."""
        return max(1, min(2**10, 2**26 // (width * self.dtype.itemsize)))

    @property
    def slab_bytes(self) -> int:
        """Of input gathered at once: a few batches, which stay in a core's cache."""
        return 2**20

    @property
    def room(self) -> float:
        """Bytes of X that may stay on the device for a whole fit."""
        return math.inf


@dataclass(frozen=True, slots=True)
class CudaBackend(Backend):
    """A GPU.  What does not wait for it returns before it has done its work."""

    ordinal: int
    process: int  # that found it usable
    precision: str = "float32"

    @property
    def products(self) -> Any:
        return self.xp if self.precision == "float32" else Products(self.xp, self.precision)

    def rounding(self, precision: str) -> Self:
        if self.dtype != np.float32:
            return Backend.rounding(self, precision)
        capability = int(self.xp.cuda.Device(self.ordinal).compute_capability)
        if precision != "float32" and capability < OLDEST:
            raise ArgumentError(
                f"precision {precision!r} needs a GPU of compute capability {OLDEST / 10}, and "
                f"{self.device} has {capability / 10}"
            )
        return replace(self, precision=precision)

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        with self.active():
            return Backend.asarray(self, x, dtype)

    def upload(self, x: Array) -> Array:
        """Straight from where x is: CuPy's asarray would keep a page-locked copy on the host."""
        if x.dtype.itemsize > 8:
            x = x.astype(np.float64)  # no GPU has more
        there = self.xp.empty(x.shape, x.dtype)
        there.set(x)
        return there

    def asnumpy(self, x: Array) -> np.ndarray[Any, Any]:
        with self.active():
            return np.asarray(self.xp.asnumpy(x))

    def floats(self, numbers: Iterable[Array]) -> list[float]:
        with self.active():
            together = self.xp.stack([number.astype(np.float64) for number in numbers])
            return [float(number) for number in self.xp.asnumpy(together)]

    def zeros(self, size: int) -> Array:
        with self.active():
            return self.xp.zeros(size, self.dtype)  # each allocation is aligned to 512 bytes

    def synchronize(self) -> None:
        with self.active():
            self.xp.cuda.Device().synchronize()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Raises DeviceError after a fork and for a GPU that failed, DeviceMemoryError."""
        if os.getpid() != self.process:
            raise DeviceError(f"{self.device}: {gpu.FORKED}")
        with self.xp.cuda.Device(self.ordinal):
            try:
                yield
            except (MemoryError, RuntimeError) as error:
                if type(error).__module__.split(".")[0] not in ("cupy", "cupy_backends"):
                    raise
                raise self._named(error) from error

    def _named(self, fault: Exception) -> DeviceError:
        """A fault of CuPy's, of CUDA's or cuBLAS's in our words."""
        if isinstance(fault, MemoryError) or re.search("(?i)out.of.memory|alloc", str(fault)):
            return DeviceMemoryError(
                f"{self.device} has not enough memory: {fault}; {self.free_bytes():,} bytes are "
                "free.  A smaller batch_size or a smaller network needs less"
            )
        return DeviceError(f"{self.device} failed: {fault}.  This process cannot use it again; "
                           "start a new one and load what was saved")  # fmt: skip

    def block(self, width: int) -> int:
        return max(1, min(2**15, self.slab_bytes // (width * self.dtype.itemsize)))

    @property
    def slab_bytes(self) -> int:
        return min(2**28, self.free_bytes() // 8)  # MNIST as float32 in one

    @property
    def room(self) -> float:
        return self.free_bytes() / 3  # a part held out makes a second copy for a while

    def free_bytes(self) -> int:
        """What CuPy can still give out."""
        with self.xp.cuda.Device(self.ordinal):
            pool = self.xp.get_default_memory_pool()
            free = self.xp.cuda.runtime.memGetInfo()[0] + pool.free_bytes()
            limit = pool.get_limit()
            return int(min(free, limit - pool.used_bytes()) if limit else free)


def get_backend(
    device: str | None = None, dtype: Any = "float32", work: float = math.inf
) -> Backend:
    """The backend for "cpu", "cuda", "cuda:N" or "auto"; None is the default device.

    "auto" is a GPU that can be used and is worth it for so many operations at a time (`work`),
    else the CPU, and says at INFO which and why.  Raises
    DeviceUnavailableError for a GPU that cannot be used, ArgumentError for any other name,
    DTypeError unless dtype is float32 or float64.
    """
    dtype = float_type(dtype)
    if device is None:  # set_device and use_device have checked theirs
        device = checked_name(_default(), "FASTNN_DEVICE")
    checked_name(device)
    if device == "auto":
        return _auto(dtype, work)
    if device != "cpu":
        return _cuda(device, dtype)
    from fastnn_kernels import cpu  # brings in Numba

    limit_blas()
    return Backend("cpu", np, cpu, dtype)


def _auto(dtype: np.dtype[Any], work: float) -> Backend:
    if work <= SMALL:
        _log.info("device auto: using cpu, because steps of %.3g operations are faster there", work)
        return get_backend("cpu", dtype)
    try:
        backend = _cuda("cuda", dtype)
    except DeviceUnavailableError as error:
        device = [*devices(), "cpu"][1]
        _log.info("device auto: using %s, because %s", device, error)
        return get_backend(device, dtype)
    _log.info("device auto: using %s, because it works: %s", backend.device,
              gpu.name_of(backend.xp, backend.ordinal))  # fmt: skip
    return backend


def _cuda(device: str, dtype: np.dtype[Any]) -> CudaBackend:
    ordinal = int(device.partition(":")[2] or 0)
    xp, kernels, process = _usable(ordinal)
    if process != os.getpid():
        raise DeviceUnavailableError(f"device {device!r}: {gpu.FORKED}")
    return CudaBackend(f"cuda:{ordinal}", xp, kernels, dtype, ordinal, process)


@functools.cache
def _usable(ordinal: int) -> tuple[ModuleType, Kernels, int]:
    """CuPy, the kernels, and the process that tried them on this GPU, once."""
    device = f"cuda:{ordinal}" if ordinal else "cuda"
    with gpu.importing(device):
        import cupy.cuda
    gpu.check_driver(device, cupy)
    gpu.check_ordinal(device, cupy, ordinal)
    with gpu.entering(device, cupy, ordinal):
        gpu.try_out(device, cupy)
        kernels = gpu.try_kernel(device, cupy)
    return cupy, kernels, os.getpid()


def devices() -> list[str]:
    """The usable devices, "cpu" first."""
    found = ["cpu"]
    with suppress(DeviceUnavailableError):
        with gpu.importing("cuda"):
            import cupy.cuda
        gpu.check_driver("cuda", cupy)
        for ordinal in range(gpu.count("cuda", cupy)):
            with suppress(DeviceUnavailableError):
                found.append(_cuda(f"cuda:{ordinal}", np.dtype("float32")).device)
    return found


def device_of(x: Any) -> str:
    """Where x lives: "cuda:N" for what shows CUDA's array interface, "cpu" for all else."""
    try:
        if not hasattr(x, "__cuda_array_interface__"):
            return "cpu"
    except RuntimeError as error:  # a PyTorch tensor that requires its gradient
        raise DTypeError(f"an array on a GPU does not show itself: {error}") from error
    device = getattr(x, "device", None)  # CuPy's has an id, PyTorch's an index
    numbers = (getattr(device, name, None) for name in ("id", "index"))
    return f"cuda:{next((n for n in numbers if isinstance(n, int)), 0)}"


def set_device(device: str) -> None:
    """Make device the process-wide default for what is built later."""
    global _process_default
    _process_default = get_backend(checked_name(device)).device


@contextmanager
def use_device(device: str) -> Iterator[None]:
    """Make device the default inside a with block, in this thread or task only."""
    token = _context_default.set(get_backend(checked_name(device)).device)
    try:
        yield
    finally:
        _context_default.reset(token)


def float_type(dtype: Any) -> np.dtype[Any]:
    """dtype as a NumPy dtype, if it is float32 or float64 by name, type or dtype."""
    name = np.dtype(dtype).name if isinstance(dtype, type | np.dtype) else dtype
    if not isinstance(name, str) or name not in ("float32", "float64"):
        raise DTypeError(f"dtype is {reprlib.repr(dtype)}, need 'float32' or 'float64'")
    return np.dtype(name)


def _default() -> str:
    return _context_default.get() or _process_default


def checked_name(device: Any, what: str = "device") -> str:
    """device, if it could be that of one.  Raises ArgumentError."""
    if isinstance(device, str) and re.fullmatch("auto|cpu|cuda(:(0|[1-9][0-9]{0,3}))?", device):
        return device
    raise ArgumentError(f"{what} is {reprlib.repr(device)}, need 'auto', 'cpu', 'cuda' or 'cuda:N'")
