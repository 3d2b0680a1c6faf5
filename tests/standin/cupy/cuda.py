"""Of the stand-in: one or more GPUs of a given memory, and the faults that a test asks for."""

import contextlib
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from cupy import _cublas as cublas  # noqa: F401


class CUDARuntimeError(RuntimeError):
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

    CUDARuntimeError = CUDARuntimeError

    def __init__(self) -> None:
        self.driver, self.runtime, self.count, self.error = 13000, 13020, 1, 0
        self.CUDA_R_32F = 0

    def driverGetVersion(self) -> int:
        return self.driver

    def runtimeGetVersion(self) -> int:
        return self.runtime

    def getDeviceCount(self) -> int:
        if self.error:
            raise CUDARuntimeError(self.error)
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
        self.attributes = {"MaxSharedMemoryPerBlockOptin": 227 * 2**10}

    @classmethod
    def current(cls) -> int:
        return cls._current[-1]

    def __enter__(self) -> "Device":
        self._current.append(self.id)
        return self

    def __exit__(self, *_: object) -> None:
        self._current.pop()

    def synchronize(self) -> None:
        waits.append("device")


class Stream:
    """Work is done at once, but what may not overlap on a GPU is checked by a clock.

    `seen` is how far the null stream's work is known to be done before what comes here next,
    `arrived` are the pinned buffers whose copies are; `pending` those that the host has not
    waited for.
    """

    made: list["Stream"] = []  # noqa: RUF012

    def __init__(self, null: bool = False, non_blocking: bool = False) -> None:
        self.seen, self.arrived, self.pending = 0, list[Any](), list[Any]()
        self.captured: Any = None
        self.made.append(self)

    def wait_event(self, event: "Event") -> None:
        self.seen = max(self.seen, event.time)
        self.arrived += event.copies

    def synchronize(self) -> None:
        waits.append("stream")
        self.pending.clear()

    def copied(self, pinned: Any, last_used: int) -> None:
        """A copy from pinned memory to a buffer that the null stream used last at this time."""
        assert self.seen >= last_used, "a copy would overwrite what is still being read"
        busy = [p for stream in self.made for p in stream.pending if np.shares_memory(p, pinned)]
        assert not busy, "pinned memory was written before its last copy had left it"
        self.pending.append(pinned)

    def __enter__(self) -> "Stream":
        _current.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _current.pop()

    def begin_capture(self) -> None:
        if self not in _current[1:]:
            raise CUDARuntimeError(900, "cudaErrorStreamCaptureUnsupported")
        self.captured = list[Any]()

    def end_capture(self) -> "Graph":
        captured, self.captured = self.captured, None
        return Graph(captured)

    def take(self, launch: Any) -> None:
        """Do it, or keep it for the graph that is being captured."""
        if self.captured is None:
            launch()
        else:
            self.captured.append(launch)


class Graph:
    """Launches of raw kernels; all else that was captured was done at once, and is not again."""

    def __init__(self, launches: list[Any]) -> None:
        self.launches = launches

    def upload(self, stream: Any = None) -> None:
        pass

    def launch(self, stream: Any = None) -> None:
        for launch in self.launches:
            launch()


class Event:
    """A point in a stream: of the null stream a time, of another the copies before it."""

    def __init__(self, block: bool = False, disable_timing: bool = False) -> None:
        self.time, self.copies, self.stream = 0, list[Any](), _current[0]

    def record(self, stream: Any = None) -> None:
        self.stream, self.time = stream or get_current_stream(), clock.now
        self.copies, self.seconds = list(self.stream.pending), time.perf_counter()

    def synchronize(self) -> None:
        waits.append("event")
        self.stream.pending = [
            p for p in self.stream.pending if not any(p is copy for copy in self.copies)
        ]


class _Clock:
    """Counts what is put on the null stream."""

    now = 0

    def tick(self) -> int:
        self.now += 1
        return self.now


clock = _Clock()
waits: list[str] = []  # what made the host wait for the device
_pinned: list[Any] = []
_current = [Stream(null=True)]


def get_cublas_handle() -> int:
    return 1


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
_DriverError = type("CUDADriverError", (RuntimeError,), {"__module__": __name__})
driver = SimpleNamespace(CUDADriverError=_DriverError)
