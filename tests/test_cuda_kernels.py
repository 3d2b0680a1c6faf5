"""The CUDA kernels without a GPU: run in Numba's simulator, and compiled for real ones.

On a GPU tests/test_kernels.py runs them themselves.
"""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnn_kernels import cuda, cuda_jit, jit
from fastnn_kernels.cuda_jit import ENTRY, Kernel, machine_code

ARRAYS = ["A", "Z", "b", "out", "T", "dA", "Y", "w", "dT", "loss", "p", "g", "v", "mean", "square",
          "a"]  # fmt: skip
SIZES = ["m", "size"]
NUMBERS = ["scale", "lr", "momentum", "weight_decay", "alpha", "beta1", "beta2", "epsilon", "root",
           "keep", "factor", "l1", "l2", "decay"]  # fmt: skip


def kernels() -> dict[str, Kernel]:
    """All of the module, those in closures too."""
    closures = [
        cell.cell_contents
        for function in vars(cuda).values() if inspect.isfunction(function)
        for cell in function.__closure__ or ()
    ]  # fmt: skip
    found = [k for k in [*vars(cuda).values(), *closures] if isinstance(k, Kernel)]
    return {kernel.body.__qualname__: kernel for kernel in found}


def types(kernel: Kernel, dtype: Any) -> tuple[Any, ...]:
    """What a launch on arrays of dtype passes for each argument."""
    number = np.dtype(dtype)

    def of(name: str) -> Any:
        if name in SIZES:
            return int, None
        if name in NUMBERS:
            return number.type, number
        if name in ARRAYS:
            return np.ndarray, np.dtype(np.uint32) if "philox" in kernel.body.__name__ else number
        return (np.ndarray, np.dtype(np.int64)) if name == "y" else (np.uint32, np.dtype(np.uint32))

    return tuple(of(name) for name in list(inspect.signature(kernel.body).parameters)[1:])


def test_kernels_compute_the_same_in_the_simulator() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p",
         "no:cacheprovider", str(Path(__file__).parent / "test_kernels.py")],
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "0",
             "PYTEST_ADDOPTS": ""},  # some say how many processes there are to be
        cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip

    counts = re.search(r"(\d+) passed, \d+ deselected", run.stdout)
    assert run.returncode == 0, run.stdout
    assert counts is not None
    assert int(counts[1]) > 300
    assert "skipped" not in run.stdout


@pytest.fixture(scope="module")
def compiler() -> None:
    """Skip where Numba's compiler for CUDA is not installed."""
    pytest.importorskip("cuda.core", reason="numba-cuda is not installed")


@pytest.mark.parametrize("capability", ["80", "90"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(kernels()))
def test_every_kernel_compiles_without_a_gpu(
    name: str, dtype: str, capability: str, compiler: None
) -> None:
    kernel = kernels()[name]
    arguments = types(kernel, dtype)

    ptx = kernel.ptx(arguments, capability)
    code = machine_code(ptx, capability)

    assert f".target sm_{capability}" in ptx
    assert ptx.count(f".visible .entry {ENTRY}(") == ptx.count(".entry") == 1
    assert code.startswith(b"\x7fELF")
    # As many parameters as a launch passes: the count and each argument.
    assert len(re.findall(rf"\.param \.\w+ {ENTRY}_param_\d+", ptx)) == len(arguments) + 1
    if dtype == "float32":
        assert ".f64" not in ptx  # a bare literal would have widened it
    assert not re.search(r"\b(atom|red)\.", ptx)  # no order of arrival: repeats are equal
    assert not re.search(r"\bcall\b|\.local", ptx)  # scalar functions are a part of the kernel


@pytest.mark.parametrize("name", ["_philox_bits", "_dropout"])
def test_a_thread_does_the_rounds_of_philox_once(name: str, compiler: None) -> None:
    kernel = kernels()[name]

    ptx = kernel.ptx(types(kernel, "float32"), "90")

    # Ten rounds of two products; the thread's own index and a number are multiplied, too.
    assert 20 <= len(re.findall(r"\bmul\.\w", ptx)) <= 26


def test_every_kernel_is_found() -> None:
    assert len(kernels()) == 38


def test_a_launch_passes_the_count_and_the_arguments(
    standin: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    launched: list[Any] = []
    modules: list[bytes] = []
    monkeypatch.setattr(standin.cuda, "Module", lambda: FakeModule(modules, launched),
                        raising=False)  # fmt: skip
    monkeypatch.setattr(cuda_jit, "machine_code", lambda ptx, capability: f"{ptx}!".encode())
    monkeypatch.setattr("importlib.metadata.version", lambda _: "1.0")
    monkeypatch.setattr(jit, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(Kernel, "ptx", lambda kernel, types, capability: f"{types} {capability}")
    X, number = standin.ones(300, dtype=np.float32), np.float32(2)

    for kernel in (Kernel(lambda count, X, number, m: None) for _ in range(2)):
        kernel(300, X, number, 7)
        kernel(1, X, number, 7)
        kernel(0, X, number, 7)
        kernel(1, standin.ones(3), np.float64(2), 7)

    one_process = [((3,), (128,), (300, X, number, 7)), ((1,), (128,), (1, X, number, 7))]
    assert launched[:2] == launched[3:5] == one_process
    assert len(launched) == 6
    assert len(modules) == 4  # float32 and float64, by each
    assert len(list((tmp_path / "cache").iterdir())) == 2  # but compiled once
    assert b"float32" in modules[0]
    assert b" 90!" in modules[0]
    assert modules[:2] == modules[2:]
    with standin.cuda.Device(1):
        kernel(1, standin.ones(300, dtype=np.float32), number, 7)
    assert len(modules) == 5  # another GPU loads its own


class FakeModule:
    """Machine code, as CuPy loads it."""

    def __init__(self, modules: list[bytes], launched: list[Any]) -> None:
        self.modules, self.launched = modules, launched

    def load(self, code: bytes) -> None:
        self.modules.append(code)

    def get_function(self, name: str) -> Any:
        assert name == ENTRY
        return lambda grid, block, arguments: self.launched.append((grid, block, arguments))
