"""Backend: where a network's arrays live and which kernels run.

`get_backend` is the only place where a string becomes a device.  It is called when a
network is built; from there the Backend is carried, and nobody asks about devices again.
"""

import logging
import os
import reprlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from fastnn.errors import ArgumentError, DeviceUnavailableError, DTypeError
from fastnn_kernels.face import Kernels

Array = Any  # numpy.ndarray or cupy.ndarray

ALIGNMENT = 128  # bytes: a cache line pair, and what a GPU reads at once

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

        It is x itself where x is all that, and (1,) for a number.
        """
        return self.xp.ascontiguousarray(x, dtype=dtype or self.dtype)

    def asnumpy(self, x: Array) -> np.ndarray[Any, Any]:
        """x in host memory; waits for the device."""
        return np.asarray(x)

    def zeros(self, size: int) -> Array:
        """A zero vector (size,) that starts on a 128-byte boundary."""
        slack = ALIGNMENT // self.dtype.itemsize
        block = self.xp.zeros(size + slack, self.dtype)
        start = -block.ctypes.data % ALIGNMENT // self.dtype.itemsize
        return block[start : start + size]

    def synchronize(self) -> None:
        """Wait until the device has done all that was asked of it.  For clocks."""


def get_backend(device: str | None = None, dtype: Any = "float32") -> Backend:
    """The backend for "cpu", "cuda", "cuda:N" or "auto"; None is the default device.

    Raises DeviceUnavailableError for a GPU that cannot be used, ArgumentError for any
    other name, DTypeError unless dtype is float32 or float64.
    """
    dtype = float_type(dtype)
    device = _checked_name(_default() if device is None else device)
    if device == "auto":
        _log.info("device auto: using cpu, because this version has no CUDA backend")
    elif device != "cpu":
        raise DeviceUnavailableError(
            f"device {device!r} needs the CUDA backend, which this version does not have; "
            "use device='cpu' or device='auto'"
        )
    from fastnn_kernels import cpu  # brings in Numba

    return Backend("cpu", np, cpu, dtype)


def devices() -> list[str]:
    """The usable devices, "cpu" first."""
    return ["cpu"]


def set_device(device: str) -> None:
    """Make device the process-wide default for what is built later."""
    global _process_default
    _process_default = get_backend(_checked_name(device)).device


@contextmanager
def use_device(device: str) -> Iterator[None]:
    """Make device the default inside a with block, in this thread or task only."""
    token = _context_default.set(get_backend(_checked_name(device)).device)
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


def _checked_name(device: str) -> str:
    kind, colon, ordinal = device.partition(":") if isinstance(device, str) else ("", "", "")
    if device in ("auto", "cpu", "cuda") or (kind == "cuda" and colon and ordinal.isdecimal()):
        return device
    raise ArgumentError(f"device is {reprlib.repr(device)}, need 'auto', 'cpu', 'cuda' or 'cuda:N'")
