"""A stand-in for CuPy on a machine without a GPU: NumPy behind CuPy's rules.

A device array never becomes a NumPy array by itself, and never meets one in an expression; its
memory is counted and limited; copies and waits are recorded.  tests/test_standin.py compares
its names with the real CuPy's where that is installed.
"""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np

from cupy import cuda

__version__ = "stand-in"
uploads: list[tuple[Any, int]] = []  # (dtype, bytes) of each copy to the device
waits = cuda.waits


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):  # noqa: N801
    """`memory` is the NumPy array that a device would hold."""

    __array_priority__ = 100

    def __init__(self, memory: Any, base: Any = None) -> None:
        self.memory, self.base = np.asarray(memory), base
        self.ordinal = cuda.Device.current() if base is None else base.ordinal
        self.last_used = cuda.clock.tick()  # by whatever had this memory before
        self.incoming: Any = None  # the pinned memory that is being copied here
        if base is None:
            cuda.memory.take(self.memory.nbytes)

    def __del__(self) -> None:
        if getattr(self, "base", self) is None:
            cuda.memory.used -= self.memory.nbytes

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {"shape": self.shape, "typestr": self.dtype.str, "version": 3, "stream": 1,
                "data": (self.memory.ctypes.data, False)}  # fmt: skip

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **named: Any) -> Any:
        if method != "__call__":
            return NotImplemented
        return _call(ufunc, *inputs, **named)

    def __array_function__(self, function: Any, _: Any, args: Any, named: Any) -> Any:
        return _call(function, *args, **named)

    def __getattr__(self, name: str) -> Any:
        if name in ("shape", "dtype", "ndim", "size", "nbytes", "itemsize", "flags"):
            return getattr(self.memory, name)
        if name in ("sum", "max", "min", "argmax", "all", "any", "mean", "take", "astype", "copy"):
            return lambda *args, **named: _call(getattr(np.ndarray, name), self, *args, **named)
        raise AttributeError(f"'ndarray' object has no attribute {name!r}")

    @property
    def T(self) -> "ndarray":
        return ndarray(self.memory.T, self.root)

    @property
    def root(self) -> "ndarray":
        return self if self.base is None else self.base

    @property
    def data(self) -> Any:
        return SimpleNamespace(ptr=self.memory.ctypes.data)

    @property
    def device(self) -> Any:
        return SimpleNamespace(id=self.ordinal)

    def reshape(self, *shape: Any) -> "ndarray":
        return _result(self.memory.reshape(*shape), self)

    def __len__(self) -> int:
        return len(self.memory)

    def __getitem__(self, key: Any) -> "ndarray":
        return _result(self.memory[_inside(key)], self)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.memory[_inside(key)] = _inside(value)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def get(self, out: Any = None) -> Any:
        waits.append("get")
        if out is None:
            return self.memory.copy()
        out[...] = self.memory
        return out

    def set(self, array: Any, stream: Any = None) -> None:
        if self.dtype != array.dtype or self.shape != array.shape:
            raise ValueError(f"{array.dtype} {array.shape} into {self.dtype} {self.shape}")
        if stream is not None:
            assert cuda.is_pinned(array), "a copy from pageable memory waits"
            stream.copied(array, self.root.last_used)
            self.root.incoming = array
        uploads.append((array.dtype, array.nbytes))
        self.memory[...] = array

    def _number(self) -> Any:
        waits.append("number")
        return self.memory.item()

    item = tolist = _number

    def __bool__(self) -> bool:
        return bool(self._number())

    def __float__(self) -> float:
        return float(self._number())

    def __int__(self) -> int:
        return int(self._number())

    def __str__(self) -> str:
        return str(self.get())

    def __format__(self, form: str) -> str:
        return format(self._number(), form)


def _inside(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {type(x)}")
    if isinstance(x, tuple | list):
        return type(x)(_inside(part) for part in x)
    if isinstance(x, ndarray):
        if x.ordinal != cuda.Device.current():
            raise ValueError(f"array is on device {x.ordinal}, not {cuda.Device.current()}")
        root, arrived = x.root, cuda.get_current_stream().arrived
        assert root.incoming is None or any(root.incoming is p for p in arrived), "read too early"
        root.last_used = cuda.clock.tick()
        return x.memory
    return x


def _result(value: Any, *sources: Any) -> ndarray:
    """A view keeps what it shows; all else is memory of its own."""
    value = np.asarray(value)
    for source in sources:
        if isinstance(source, ndarray) and np.may_share_memory(value, source.memory):
            return ndarray(value, source.root)
    return ndarray(value)


def _call(function: Any, *args: Any, **named: Any) -> Any:
    out = named.pop("out", None)
    out = out[0] if isinstance(out, tuple) else out
    plain = {name: _inside(value) for name, value in named.items() if name != "like"}
    if out is None:
        return _result(function(*map(_inside, args), **plain), *args)
    value = function(*map(_inside, args), **plain)
    assert out.shape == value.shape
    out.memory[...] = value
    return out


def _check(dtype: Any) -> None:
    if dtype.char not in "?bhilqBHILQefdFD" or not dtype.isnative:
        raise ValueError(f"Unsupported dtype {dtype}")


def asarray(x: Any, dtype: Any = None, order: Any = None) -> Any:
    if isinstance(x, ndarray):
        if x.ordinal != cuda.Device.current():
            x = ndarray(x.memory.copy())
        if dtype is not None and x.dtype != dtype:
            x = x.astype(dtype)
        return x if order != "C" or x.flags.c_contiguous else _result(x.memory.copy("C"))
    array = np.array(x, dtype)
    _check(array.dtype)
    uploads.append((array.dtype, array.nbytes))
    return ndarray(array)


def ascontiguousarray(x: ndarray, dtype: Any = None) -> ndarray:
    assert isinstance(x, ndarray)  # the real one takes no other
    return x if x.flags.c_contiguous and dtype in (None, x.dtype) else _result(x.memory.copy("C"))


def asnumpy(x: Any) -> Any:
    return x.get() if isinstance(x, ndarray) else np.asarray(x)


def matmul(a: ndarray, b: ndarray, out: Any = None) -> Any:
    if out is not None:
        assert out.flags.c_contiguous
        assert out.dtype == a.dtype == b.dtype
    return _call(np.matmul, a, b, out=out)


def dot(a: ndarray, b: ndarray, out: Any = None) -> Any:
    return matmul(a, b, out)


def copyto(dst: ndarray, src: ndarray) -> None:
    dst.memory[...] = _inside(src)


def get_default_memory_pool() -> Any:
    return cuda.memory


def _made(name: str) -> Any:
    def make(*args: Any, **named: Any) -> ndarray:
        array = getattr(np, name)(*map(_inside, args), **named)
        _check(array.dtype)
        return ndarray(array)

    return make


array = asarray
zeros, ones, empty, full, eye, arange = map(
    _made, ["zeros", "ones", "empty", "full", "eye", "arange"]
)
empty_like = _made("empty_like")


def stack(arrays: Any) -> ndarray:
    return ndarray(np.stack([_inside(a) for a in arrays]))


from cupy._raw import RawModule  # noqa: E402, F401

sys.modules[__name__].__dict__.update({"float32": np.float32, "float64": np.float64})
