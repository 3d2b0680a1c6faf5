"""The one way to compile for the CPU: `jit`, and a private cache of compiled kernels on disk.

Numba's own cache does not see an edit in another file and loads any pickle it finds,
a truncated one included.  This one lives in a folder that only its owner can write,
named by a hash of all kernel sources, the versions and the CPU; each file begins with
the SHA-256 of the rest.  What does not match is compiled again; a folder that cannot be
used costs one warning.
"""

import contextlib
import functools
import hashlib
import os
import pickle
import platform
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
from numba.core import config
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.core.sigutils import normalize_signature
from numba.misc.appdirs import AppDirs

# contract allows fused multiply-adds.  No flag that assumes away NaN or infinity.
# The default error model tests every division, which keeps loops from vectorizing.
# No counting of references, as callers hold the arrays and kernels make none: each count is a
# locked instruction, which waits for all that was written before.
OPTIONS = {"fastmath": {"contract"}, "error_model": "numpy", "_nrt": False}
# For what only compiled code calls: wrappers for other callers take time to compile.
INNER = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def jit(body: Callable[..., None]) -> Any:
    """body compiled for the CPU, per type of its arguments, at the first call with it.

    Bodies that one function makes get names of their own, from what they capture: Numba
    names symbols by qualified name and a count of the process, so that two of one name,
    cached by two processes, may be taken for each other in a third.
    """
    name_apart(body)
    dispatcher = numba.njit(body, nogil=True, no_cfunc_wrapper=True, **OPTIONS)
    if not config.DISABLE_JIT:
        dispatcher._cache = _Cache(body)
    return dispatcher


def inner(body: Callable[..., Any]) -> Any:
    """body for compiled callers alone: Python cannot call it, and it is kept with its callers."""
    name_apart(body)
    return numba.njit(body, nogil=True, forceinline=True, **INNER)


def name_apart(body: Callable[..., None]) -> None:
    """Give body, made by a function, a name of its own, from what it captures."""
    captured = [getattr(cell.cell_contents, "__qualname__", str(cell.cell_contents))
                for cell in body.__closure__ or ()]  # fmt: skip
    body.__qualname__ = ".".join([body.__qualname__, *captured])


def is_compiled(function: Any, *arguments: Any) -> bool:
    """Whether a `jit` function for arguments of these Numba types is here or on disk."""
    return arguments in function.overloads or _path(function._cache.name(arguments)).exists()


def load(name: str) -> bytes | None:
    """What save kept under this name, if it is there and whole."""
    path = _path(name)
    try:
        if not is_private(path.parent):
            return None
        blob = path.read_bytes()
    except OSError:
        return None
    digest, payload = blob[:32], blob[32:]
    return payload if hashlib.sha256(payload).digest() == digest else None


def save(name: str, payload: bytes) -> None:
    """Keep payload for later processes; where that cannot be, warn once."""
    path = _path(name)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_private(path.parent):
            raise PermissionError("others can write there")
        _replace(path, hashlib.sha256(payload).digest() + payload)
    except OSError as error:
        reason = error.strerror or error  # without the name, so that it is the same each time
        _warn_once(f"compiled kernels are not kept in {path.parent} ({reason}); set "
                   "FASTNN_CACHE to a folder that you own, or they are compiled again in "
                   "every process")  # fmt: skip


@functools.cache
def cache_folder() -> Path:
    """Where compiled kernels are kept: FASTNN_CACHE, else the user's cache folder."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    host = (
        numba.__version__, llvmlite.__version__, platform.python_version(), platform.machine(),
        config.CPU_NAME, config.CPU_FEATURES, llvmlite.binding.get_host_cpu_name(),
        numba.core.codegen.get_host_cpu_features(), config.OPT,
    )  # fmt: skip
    digest.update(repr(host).encode())
    root = os.environ.get("FASTNN_CACHE") or AppDirs("fastnn", appauthor=False).user_cache_dir
    return Path(root) / "kernels" / digest.hexdigest()[:32]


class _Cache:
    """One function's compiled forms on disk, as numba.core.dispatcher asks for them."""

    def __init__(self, body: Callable[..., None]) -> None:
        self._name = f"{body.__module__}.{body.__qualname__}"

    @property
    def cache_path(self) -> str:
        return str(cache_folder())

    def load_overload(self, signature: Any, target_context: Any) -> CompileResult | None:
        payload = load(self.name(signature))
        if payload is None:
            return None
        target_context.refresh()
        return CompileResult._rebuild(target_context, *pickle.loads(payload))

    def save_overload(self, signature: Any, compiled: CompileResult) -> None:
        save(self.name(signature), dumps(compiled._reduce()))

    def name(self, signature: Any) -> str:
        """Of what is compiled for these arguments."""
        arguments, _ = normalize_signature(signature)
        return f"{self._name} {arguments}"


def _path(name: str) -> Path:
    return cache_folder() / hashlib.sha256(name.encode()).hexdigest()[:32]


def _replace(path: Path, content: bytes) -> None:
    """Make content the file at path, whole or not at all.  Raises OSError."""
    handle, part = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise


def is_private(folder: Path) -> bool:
    if not hasattr(os, "geteuid"):  # Windows keeps a user's cache folder private by itself
        return True
    status = folder.stat()
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


@functools.cache
def _warn_once(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)
