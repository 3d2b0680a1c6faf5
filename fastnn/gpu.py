"""What a GPU needs before it is used, and which of it is missing.

CuPy imports where there is no driver, and then blames the driver's age; it imports without
its CUDA libraries, and fails at the first product.  So a GPU is usable when it has multiplied
two matrices and run a kernel, and each thing that can stand in the way has a name here.
"""

import ctypes
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from fastnn.errors import DeviceUnavailableError
from fastnn_kernels.face import Kernels

CUPYS = ("cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x")
DRIVER = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"
FORKED = ("this process was forked from one that used CUDA, which does not survive that; start "
          "processes with multiprocessing.get_context('spawn')")  # fmt: skip
_NO_DEVICE, _NOT_INITIALIZED = 100, 3  # of cudaError_t


def installed(*packages: str) -> list[str]:
    """Those of them that are, each as "name version"."""
    return [f"{name} {found}" for name in packages if (found := version(name))]


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def driver_version() -> int:
    """The newest CUDA that the driver supports, 13000 for 13.0; 0 where there is no driver."""
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return 0
    number = ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(number))
    return number.value


def install(major: int | None = None) -> str:
    """The command that brings what Python needs for a GPU, of the driver's major version."""
    if major is None:
        major = 12 if driver_version() // 1000 == 12 else 13
    return f'pip install "cupy-cuda{major}x[ctk]" "numba-cuda[cu{major}]"'


@contextmanager
def importing(device: str) -> Iterator[None]:
    """Around the import of CuPy: say why it cannot be.  Raises DeviceUnavailableError."""
    cupys = installed(*CUPYS)
    if len(cupys) > 1:
        names = " ".join(cupy.split()[0] for cupy in cupys)
        raise DeviceUnavailableError(
            f"device {device!r} needs one CuPy, and {' and '.join(cupys)} are installed, which "
            f"overwrite each other; try: pip uninstall {names}, and then {install()}"
        )
    what = f"CuPy, which is installed{_place()} but does not load"
    with _needing(device, what, f"{install()} --force-reinstall"):
        try:
            yield
        except ModuleNotFoundError as error:
            if error.name != "cupy" or cupys:
                raise
            too = "" if driver_version() else f" (nor is an NVIDIA driver: no {DRIVER})"
            raise DeviceUnavailableError(
                f"device {device!r} needs CuPy, which is not installed{too}; try: {install()}, or "
                "use device='cpu'"
            ) from error


def check_driver(device: str, cupy: ModuleType) -> None:
    """Raises DeviceUnavailableError unless there is a driver, and new enough."""
    runtime = cupy.cuda.runtime
    with _needing(device, "CuPy's CUDA runtime, which fails", install()):
        driver, needed = runtime.driverGetVersion(), runtime.runtimeGetVersion() // 1000
    if driver == 0:
        raise DeviceUnavailableError(
            f"device {device!r} needs an NVIDIA GPU and its driver, and there is no driver (no "
            f"{DRIVER}); install one from nvidia.com/drivers, or let a container see the host's, "
            "or use device='cpu'"
        )
    if driver // 1000 < needed:
        name = (installed(*CUPYS) or ["cupy"])[0].split()[0]
        older = f"try: pip uninstall {name}, and then {install(12)}, or " if driver >= 12000 else ""
        raise DeviceUnavailableError(
            f"device {device!r}: {name} needs a driver for CUDA {needed}, and this one supports "
            f"CUDA {driver // 1000}.{driver % 1000 // 10}; {older}install a newer driver"
        )


def count(device: str, cupy: ModuleType) -> int:
    """How many GPUs the driver shows.  Raises DeviceUnavailableError."""
    runtime = cupy.cuda.runtime
    try:
        return int(runtime.getDeviceCount())
    except runtime.CUDARuntimeError as error:
        if error.status == _NOT_INITIALIZED:
            raise DeviceUnavailableError(
                f"device {device!r}: CUDA does not start here ({error}); perhaps {FORKED}"
            ) from error
        if error.status != _NO_DEVICE:
            raise DeviceUnavailableError(f"device {device!r}: the driver answers {error}; "
                                         "see what nvidia-smi says") from error  # fmt: skip
        return 0


def check_ordinal(device: str, cupy: ModuleType, ordinal: int) -> None:
    """Raises DeviceUnavailableError unless there is such a GPU."""
    number = count(device, cupy)
    if ordinal >= number:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        hint = "" if visible is None else f" with CUDA_VISIBLE_DEVICES={visible!r}"
        there = ", ".join(f"cuda:{i}" for i in range(number))
        instead = f"the GPUs are {there}; use one of them, or" if number else "there is no GPU; use"
        raise DeviceUnavailableError(
            f"device {device!r} does not exist{hint}: {instead} device='cpu'"
        )


@contextmanager
def entering(device: str, cupy: ModuleType, ordinal: int) -> Iterator[None]:
    """Make it the current GPU.  Raises DeviceUnavailableError."""
    with _needing(device, "a GPU that takes work, and this one does not", "nvidia-smi"):
        current = cupy.cuda.Device(ordinal)
        current.__enter__()
    try:
        yield
    finally:
        current.__exit__(None, None, None)


def try_out(device: str, cupy: ModuleType) -> None:
    """A product and a sum on the current GPU.  Raises DeviceUnavailableError."""
    fine = 1 + 2.0**-12  # TF32 keeps 10 bits behind the point and would make it 1
    with _needing(device, "CuPy's CUDA libraries, which fail", install(_major(cupy))):
        product = cupy.full((256, 256), fine, "float32") @ cupy.eye(256, dtype="float32")
        largest = float((product + 0).max())
    if largest != fine:
        raise DeviceUnavailableError(
            f"device {device!r} rounds float32 products to TF32, and fastnn's float32 is float32; "
            "unset CUPY_TF32 and NVIDIA_TF32_OVERRIDE"
        )


def try_kernel(device: str, cupy: ModuleType) -> Kernels:
    """The kernels, of which one has run on the current GPU.  Raises DeviceUnavailableError."""
    with _needing(device, "numba-cuda for its kernels, which fails", install(_major(cupy))):
        from fastnn_kernels import cuda

        Z, b = cupy.zeros((1, 2), "float32"), cupy.ones(2, "float32")
        cuda.bias_identity(Z, b, Z)
        total = float(Z.sum())
    if total != 2:
        raise DeviceUnavailableError(f"device {device!r} computes 0 + 1 wrongly; see nvidia-smi")
    return cuda


def name_of(cupy: ModuleType, ordinal: int) -> str:
    """As its maker calls it."""
    return str(cupy.cuda.runtime.getDeviceProperties(ordinal)["name"].decode())


@contextmanager
def _needing(device: str, what: str, remedy: str) -> Iterator[None]:
    """Whatever a foreign library raises in here is the reason why the device cannot be used."""
    try:
        yield
    except DeviceUnavailableError:
        raise
    except MemoryError as error:
        raise DeviceUnavailableError(f"device {device!r} has no memory left ({error}); nvidia-smi "
                                     "shows who has it") from error  # fmt: skip
    except Exception as error:
        line = (str(error).strip().splitlines() or [""])[0][:200]
        reason = f"{type(error).__name__}: {line}"
        raise DeviceUnavailableError(
            f"device {device!r} needs {what} ({reason}); try: {remedy}"
        ) from error


def _place() -> str:
    spec = None if "cupy" in sys.modules else importlib.util.find_spec("cupy")
    return f" at {spec.origin}" if spec and spec.origin else ""


def _major(cupy: ModuleType) -> int:
    return int(cupy.cuda.runtime.runtimeGetVersion()) // 1000
