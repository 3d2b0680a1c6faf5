"""Of the stand-in: one or more GPUs of a given memory, and the faults that a test asks for."""

import contextlib
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np


class _RuntimeError(RuntimeError):
    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message or f"cudaError {status}")
        self.status = status


class _OutOfMemoryError(MemoryError):
    pass


class _Memory:
    """The pool, with CuPy's names."""

    OutOfMemoryError = _OutOfMemoryError

    def __init__(self) -> None:
        self.used, self.total, self.limit = 0, 2**34, 0

    def take(self, size: int) -> None:
        if self.used + size > (self.limit or self.total):
            raise _OutOfMemoryError(f"Out of memory allocating {size:,} bytes")
        self.used += size

    def free_bytes(self) -> int:
        return 0

    def used_bytes(self) -> int:
        return self.used

    def get_limit(self) -> int:
        return self.limit


class _Runtime:
    """The driver: versions, count and error are what a test sets."""

    CUDARuntimeError = _RuntimeError

    def __init__(self) -> None:
        self.driver, self.runtime, self.count, self.error = 13000, 13020, 1, 0

    def driverGetVersion(self) -> int:
        return self.driver

    def runtimeGetVersion(self) -> int:
        return self.runtime

    def getDeviceCount(self) -> int:
        if self.error:
            raise _RuntimeError(self.error)
        return self.count

    def getDevice(self) -> int:
        return Device.current()

    def getDeviceProperties(self, _: int) -> dict[str, Any]:
        return {"name": b"Stand-In 9000"}

    def memGetInfo(self) -> tuple[int, int]:
        return memory.total - memory.used, memory.total


class Device:
    """A context: the current device inside it."""

    _current = [0]  # noqa: RUF012

    def __init__(self, device: int | None = None) -> None:
        self.id = self.current() if device is None else device
        self.compute_capability = "90"

    @classmethod
    def current(cls) -> int:
        return cls._current[-1]

    def __enter__(self) -> "Device":
        self._current.append(self.id)
        return self

    def __exit__(self, *_: object) -> None:
        self._current.pop()

    def synchronize(self) -> None:
        time.sleep(0)


class Stream:
    """Work on it is done at once; waits of one stream for another are recorded."""

    waited: list[Any] = []  # noqa: RUF012

    def __init__(self, null: bool = False, non_blocking: bool = False) -> None:
        self.non_blocking = non_blocking

    def wait_event(self, event: "Event") -> None:
        self.waited.append((self, event))

    def synchronize(self) -> None:
        pass

    def __enter__(self) -> "Stream":
        _current.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _current.pop()

    def begin_capture(self) -> None:
        if self not in _current[1:]:
            raise _RuntimeError(900, "cudaErrorStreamCaptureUnsupported")

    def end_capture(self) -> "Graph":
        return Graph()


class Graph:
    """What was captured was done at once, and is not done again."""

    def upload(self, stream: Any = None) -> None:
        pass

    def launch(self, stream: Any = None) -> None:
        pass


class Event:
    """Recorded or not, and when."""

    def __init__(self, block: bool = False, disable_timing: bool = False) -> None:
        self.recorded: list[Any] = []

    def record(self, stream: Any = None) -> None:
        self.recorded.append(stream or get_current_stream())
        self.seconds = time.perf_counter()

    def synchronize(self) -> None:
        pass


_pinned: list[Any] = []
_current = [Stream()]


def get_current_stream() -> Stream:
    return _current[-1]


def get_elapsed_time(first: Event, last: Event) -> float:
    return (last.seconds - first.seconds) * 1e3


def set_allocator(allocator: Any = None) -> None:
    pass


def alloc_pinned_memory(size: int) -> Any:
    _pinned.append(np.zeros(size, np.uint8))
    return _pinned[-1]


def is_pinned(array: Any) -> bool:
    return any(np.shares_memory(array, pinned) for pinned in _pinned)


@contextlib.contextmanager
def limit(size: int) -> Iterator[None]:
    """Let the GPU have so many bytes more than are used now."""
    memory.limit = memory.used + size
    try:
        yield
    finally:
        memory.limit = 0


memory = _Memory()
runtime = _Runtime()
driver = SimpleNamespace(CUDADriverError=type("CUDADriverError", (RuntimeError,), {}))
