"""What several test files need: real MNIST, each device and its kernels.

Tests on a GPU are marked gpu and skip, saying why, where there is none; with
FASTNN_REQUIRE_GPU=1 they fail instead.  With NUMBA_ENABLE_CUDASIM=1 the CUDA kernels run in
Numba's simulator.
"""

import importlib
import inspect
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np
import pytest

import fastnn
import fastnn_kernels
from fastnn import backend as backends
from fastnn import gpu as gpus
from fastnn.errors import DeviceUnavailableError
from fastnn_kernels import cpu, face

Array = np.ndarray[Any, Any]

ON_GPU = pytest.param("cuda", marks=pytest.mark.gpu)
IN_SIMULATOR = bool(numba.config.ENABLE_CUDASIM)


@pytest.fixture(scope="session")
def mnist() -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    if not os.environ.get("FASTNN_DATA"):
        pytest.skip("FASTNN_DATA names no folder with MNIST")
    return fastnn.datasets.load_mnist()


@pytest.fixture(autouse=True)
def interpreted_kernels_may_warn() -> Iterator[None]:
    """Under NUMBA_DISABLE_JIT=1, for coverage, a kernel is Python on NumPy's scalars."""
    with np.errstate(all="ignore" if numba.config.DISABLE_JIT else None):
        yield


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C is heard, here and in processes started here, even where it is ignored outside."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def standin() -> Iterator[Any]:
    """A stand-in for CuPy and the CUDA kernels, as a machine with a GPU would have them."""
    kernels = ModuleType("fastnn_kernels.cuda")
    for name in inspect.get_annotations(face.Kernels):
        setattr(kernels, name, _on_memory(getattr(cpu, name)))
    with pytest.MonkeyPatch.context() as patch:
        backends._usable.cache_clear()
        for name in _modules_of_cupy():
            patch.delitem(sys.modules, name)  # the real one comes back as it was
        patch.syspath_prepend(Path(__file__).parent / "standin")
        patch.setattr(gpus, "installed", lambda *_: ["cupy-cuda13x 14.2.0"])
        patch.setattr(gpus, "driver_version", lambda: 13000)
        patch.setitem(sys.modules, "fastnn_kernels.cuda", kernels)
        patch.setattr(fastnn_kernels, "cuda", kernels, raising=False)
        yield importlib.import_module("cupy")
        backends._usable.cache_clear()
        for name in _modules_of_cupy():
            del sys.modules[name]


def _modules_of_cupy() -> list[str]:
    return [name for name in sys.modules if name.split(".")[0] == "cupy"]


def _on_memory(kernel: Callable[..., None]) -> Callable[..., None]:
    def on_memory(*arguments: Any) -> None:
        kernel(*map(importlib.import_module("cupy")._inside, arguments))

    return on_memory


@pytest.fixture(params=["cpu", "standin", ON_GPU])
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """The device on which networks are built: the CPU, a stand-in for a GPU, and a real one."""
    if request.param == "standin":
        request.getfixturevalue("standin")
    name = "cpu" if request.param == "cpu" else gpu().device
    with fastnn.use_device(name):
        yield name


@pytest.fixture(params=["standin", ON_GPU])
def on_gpu(request: pytest.FixtureRequest) -> fastnn.Backend:
    """The backend of a GPU, or of its stand-in."""
    if request.param == "standin":
        request.getfixturevalue("standin")
    return gpu()


def gpu() -> fastnn.Backend:
    """The backend of the first GPU; skips or fails where there is none."""
    try:
        return fastnn.get_backend("cuda")
    except DeviceUnavailableError as error:
        if os.environ.get("FASTNN_REQUIRE_GPU") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))


class InSimulator:
    """The CUDA kernels on NumPy arrays; a thread of the simulator warns where a GPU cannot."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        from fastnn_kernels import cuda

        def quietly(*arguments: Any) -> None:
            with warnings.catch_warnings(action="ignore"):
                getattr(cuda, name)(*arguments)

        return quietly


class OnDevice:
    """A kernel module that takes NumPy arrays there and back."""

    def __init__(self, backend: fastnn.Backend) -> None:
        self.backend = backend

    def __getattr__(self, name: str) -> Callable[..., None]:
        xp, kernel = self.backend.xp, getattr(self.backend.kernels, name)

        def there_and_back(*arguments: Any) -> None:
            lent = {id(a): xp.asarray(a) for a in arguments if isinstance(a, np.ndarray)}
            kernel(*(lent.get(id(a), a) for a in arguments))
            for a in arguments:
                if id(a) in lent:
                    a[...] = self.backend.asnumpy(lent[id(a)])

        return there_and_back


@pytest.fixture(params=["cpu", ON_GPU])
def kernels(request: pytest.FixtureRequest) -> Any:
    """A kernel module for NumPy arrays: the CPU's, or that of a GPU or its simulator."""
    if request.param == "cpu":
        return cpu
    return InSimulator() if IN_SIMULATOR else OnDevice(gpu())
