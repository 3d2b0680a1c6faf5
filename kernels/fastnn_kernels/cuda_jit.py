"""The one way to compile for a GPU: Numba makes machine code, CuPy launches it.

Numba's own launch costs tens of microseconds an array and waits for its stream.  CuPy's
costs a few, in all, and goes onto the current stream of the current device, in order with
every other operation on CuPy arrays.  The machine code is made for the GPU at hand, because
a driver may be older than the compiler and not read its PTX; it is kept as `jit` keeps the
CPU's.  Nothing here asks a GPU for anything before the first launch.

With NUMBA_ENABLE_CUDASIM=1 kernels run on NumPy arrays in Numba's simulator.
"""

import contextlib
import importlib.metadata
import re
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import numba
import numpy as np
from numba import cuda as cuda  # for the kernels too: the only import of it

from fastnn_kernels import jit

ENTRY = "kernel"  # what each is called in its machine code
THREADS = 128  # of a block: four warps; no kernel shares anything within one
SIMULATED = bool(numba.config.ENABLE_CUDASIM)

if not SIMULATED and not hasattr(np, "row_stack"):
    # NumPy 2.5 took it away, and numba-cuda's compiler, which is maintained for older ones alone,
    # asks for it when it is first imported.
    vars(np)["row_stack"] = np.vstack
    try:
        with contextlib.suppress(ImportError):  # Numba's own CUDA does not need it
            from numba.cuda.np import arrayobj as _arrayobj  # noqa: F401
    finally:
        del vars(np)["row_stack"]


class Kernel:
    """A body (count, *arguments), run by at least `count` threads that know their cuda.grid(1).

    The body sees an array as a flat pointer, so it is passed what it needs of a shape; integers
    are int64, NumPy's scalars what they are.  It is compiled per type of its arguments.
    """

    def __init__(self, body: Callable[..., None]) -> None:
        jit.name_apart(body)
        self.body, self._functions = body, dict[Any, Any]()

    def __call__(self, count: int, *arguments: Any) -> None:
        """Launch it, and return at once.  Arrays are C-contiguous and on the current device."""
        if count == 0:
            return
        blocks = -(-count // THREADS)
        if SIMULATED:
            flat = [a.reshape(-1) if isinstance(a, np.ndarray) else a for a in arguments]
            cuda.jit(self.body)[blocks, THREADS](count, *flat)
            return
        import cupy

        types = tuple((type(a), getattr(a, "dtype", None)) for a in arguments)
        key = cupy.cuda.runtime.getDevice(), types
        function = self._functions.get(key)
        if function is None:
            function = self._functions[key] = self._load(types, cupy)
        function((blocks,), (THREADS,), (count, *arguments))

    def _load(self, types: tuple[Any, ...], cupy: ModuleType) -> Any:
        capability = cupy.cuda.Device().compute_capability  # "90"
        compiler = importlib.metadata.version("numba-cuda")
        name = f"{self.body.__qualname__} {types} for sm_{capability} by numba-cuda {compiler}"
        code = jit.load(name)
        if code is None:
            code = machine_code(self.ptx(types, capability), capability)
            jit.save(name, code)
        module = cupy.cuda.Module()
        module.load(code)
        return module.get_function(ENTRY)

    def ptx(self, types: tuple[Any, ...], capability: str) -> str:
        """The assembly for arguments of these types: (type, dtype or None) each."""
        target = int(capability[:-1]), int(capability[-1])
        signature = numba.void(numba.int64, *(_numba_type(*kind) for kind in types))
        text, _ = cuda.compile(self.body, signature, cc=target, device=False, abi="numba")
        mangled = re.search(r"\.entry (\w+)", text)
        assert mangled is not None
        return str(text).replace(mangled[1], ENTRY)


def machine_code(ptx: str, capability: str) -> bytes:
    """What a GPU of this compute capability runs."""
    from cuda.core import Program, ProgramOptions

    program = Program(ptx, "ptx", ProgramOptions(arch=f"sm_{capability}"))
    return bytes(program.compile("cubin").code)


def _numba_type(kind: type, dtype: Any) -> Any:
    if dtype is None:
        return numba.int64
    scalar = numba.from_dtype(dtype)
    return scalar if issubclass(kind, np.generic) else numba.types.CPointer(scalar)


def device(function: Callable[..., Any]) -> Callable[..., Any]:
    """function, to be called in kernels; it becomes a part of each."""
    return function if SIMULATED else cuda.jit(device=True, inline="always")(function)


def device_module(module: ModuleType, **named: Any) -> ModuleType:
    """A copy of a module of plain functions for kernels, with other meanings of some names."""
    copy = ModuleType(f"{module.__name__} on a GPU")
    names = vars(copy)
    for name, value in vars(module).items():
        is_function = isinstance(value, FunctionType)
        names[name] = device(FunctionType(value.__code__, names, name)) if is_function else value
    names.update({} if SIMULATED else named)
    return copy
