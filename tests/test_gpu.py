"""What stands between get_backend("cuda") and a GPU, each fault by a stand-in for CuPy."""

import importlib
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn_kernels
from fastnn import backend as backends
from fastnn import cli, gpu
from fastnn.errors import DeviceError, DeviceUnavailableError

INSTALL = 'pip install "cupy-cuda13x[ctk]" "numba-cuda[cu13]"'


def failing(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def a_folder(cupy: Any, patch: pytest.MonkeyPatch) -> None:
    patch.delitem(sys.modules, "cupy.cuda")
    patch.setattr(cupy, "__path__", [])


def absent(cupy: Any, patch: pytest.MonkeyPatch) -> None:
    patch.setitem(sys.modules, "cupy", None)
    patch.setattr(gpu, "installed", lambda *_: [])
    patch.setattr(gpu, "driver_version", lambda: 0)


def absent_beside_12(cupy: Any, patch: pytest.MonkeyPatch) -> None:
    absent(cupy, patch)
    patch.setattr(gpu, "driver_version", lambda: 12040)


def no_kernels(cupy: Any, patch: pytest.MonkeyPatch) -> None:
    patch.delattr(fastnn_kernels, "cuda")
    patch.setitem(sys.modules, "fastnn_kernels.cuda", None)


def hidden(cupy: Any, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cupy.cuda.runtime, "error", 100)
    patch.setenv("CUDA_VISIBLE_DEVICES", "")


Fault = Callable[[Any, pytest.MonkeyPatch], None]

FAULTS: dict[str, tuple[Fault, list[str]]] = {
    "no CuPy": (
        absent,
        ["device 'cuda' needs CuPy, which is not installed (nor is an NVIDIA driver: no ",
         f"; try: {INSTALL}, or use device='cpu'"],
    ),
    "no CuPy beside an older driver": (
        absent_beside_12,
        ["device 'cuda' needs CuPy, which is not installed; try: pip install "
         '"cupy-cuda12x[ctk]" "numba-cuda[cu12]", or use'],
    ),
    "the record of a CuPy whose files are gone": (
        lambda cupy, patch: patch.setitem(sys.modules, "cupy", None),
        ["needs CuPy, which is installed but does not load", "import of cupy halted",
         f"{INSTALL} --force-reinstall"],
    ),
    "two CuPys": (
        lambda cupy, patch: patch.setattr(
            gpu, "installed", lambda *_: ["cupy-cuda12x 13.6", "cupy-cuda13x 14.2"]
        ),
        ["needs one CuPy", "cupy-cuda12x 13.6 and cupy-cuda13x 14.2 are installed",
         f"try: pip uninstall cupy-cuda12x cupy-cuda13x, and then {INSTALL}"],
    ),
    "a folder named cupy": (
        a_folder,
        ["but does not load", "No module named 'cupy.cuda'", "--force-reinstall"],
    ),
    "no driver": (
        lambda cupy, patch: patch.setattr(cupy.cuda.runtime, "driver", 0),
        ["needs an NVIDIA GPU and its driver, and there is no driver", "nvidia.com/drivers"],
    ),
    "a runtime that fails": (
        lambda cupy, patch: patch.setattr(
            cupy.cuda.runtime, "runtimeGetVersion", failing(ImportError("no libcudart"))
        ),
        ["needs CuPy's CUDA runtime, which fails (ImportError: no libcudart)", INSTALL],
    ),
    "wrong major version": (
        lambda cupy, patch: patch.setattr(cupy.cuda.runtime, "driver", 12040),
        ["cupy-cuda13x needs a driver for CUDA 13, and this one supports CUDA 12.4",
         'try: pip uninstall cupy-cuda13x, and then pip install "cupy-cuda12x[ctk]" '
         '"numba-cuda[cu12]", or install a newer driver'],
    ),
    "a driver too old for any": (
        lambda cupy, patch: patch.setattr(cupy.cuda.runtime, "driver", 11080),
        ["this one supports CUDA 11.8; install a newer driver"],
    ),
    "no GPU": (
        lambda cupy, patch: patch.setattr(cupy.cuda.runtime, "count", 0),
        ["device 'cuda' does not exist: there is no GPU; use device='cpu'"],
    ),
    "hidden GPUs": (
        hidden,
        ["does not exist with CUDA_VISIBLE_DEVICES='': there is no GPU"],
    ),
    "a fork": (
        lambda cupy, patch: patch.setattr(cupy.cuda.runtime, "error", 3),
        ["forked from one that used CUDA", "get_context('spawn')"],
    ),
    "a driver in trouble": (
        lambda cupy, patch: patch.setattr(cupy.cuda.runtime, "error", 999),
        ["the driver answers cudaError 999; see what nvidia-smi says"],
    ),
    "a GPU that lets nobody in": (
        lambda cupy, patch: patch.setattr(
            cupy.cuda.Device, "__enter__", failing(cupy.cuda.runtime.CUDARuntimeError(46, "busy"))
        ),
        ["needs a GPU that takes work, and this one does not (CUDARuntimeError: busy)",
         "nvidia-smi"],
    ),
    "kernels that do not import": (
        no_kernels,
        ["needs numba-cuda for its kernels, which fails (", f"; try: {INSTALL}"],
    ),
    "no CUDA libraries": (
        lambda cupy, patch: patch.setattr(
            cupy.ndarray, "__matmul__", failing(ImportError("libcublas.so.13: cannot open\nx"))
        ),
        ["needs CuPy's CUDA libraries, which fail (ImportError: libcublas.so.13: cannot open)",
         f"; try: {INSTALL}"],
    ),
    "TF32": (
        lambda cupy, patch: patch.setattr(
            cupy.ndarray, "__matmul__", lambda a, b: cupy.ndarray(np.round(a.memory, 2))
        ),
        ["rounds float32 products to TF32", "unset CUPY_TF32 and NVIDIA_TF32_OVERRIDE"],
    ),
    "no numba-cuda": (
        lambda cupy, patch: patch.setattr(
            sys.modules["fastnn_kernels.cuda"], "bias_identity",
            failing(ModuleNotFoundError("No module named 'cuda.core'")),
        ),
        ["needs numba-cuda for its kernels, which fails (ModuleNotFoundError: No module named "
         "'cuda.core')", f"; try: {INSTALL}"],
    ),
    "no memory": (
        lambda cupy, patch: patch.setattr(cupy.cuda.memory, "total", 100),
        ["device 'cuda' has no memory left (Out of memory", "nvidia-smi shows who has it"],
    ),
    "kernels that do nothing": (
        lambda cupy, patch: patch.setattr(
            sys.modules["fastnn_kernels.cuda"], "bias_identity", lambda *_: None
        ),
        ["device 'cuda' computes 0 + 1 wrongly"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_missing_is_named(
    fault: str, standin: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    break_it, words = FAULTS[fault]
    break_it(standin, monkeypatch)

    with pytest.raises(DeviceUnavailableError) as caught:
        fastnn.get_backend("cuda")
    with caplog.at_level(logging.INFO, "fastnn"):
        chosen = fastnn.get_backend("auto")
    code = cli.main(["train", "iris", "--device", "cuda"])

    message = str(caught.value)
    assert "\n" not in message
    for part in words:
        assert part in message
    assert chosen.device == "cpu"
    assert f"device auto: using cpu, because {message}" in caplog.text
    assert fastnn.devices() == ["cpu"]
    assert code == 69
    assert capsys.readouterr().err == f"fastnn: {message}\n"


@pytest.mark.parametrize(
    "error",
    ["ImportError('numpy.core.multiarray failed')", "OSError('bad ELF')", "RuntimeError('x')",
     "ValueError('numpy.dtype size changed')", "AttributeError('_ARRAY_API')", "TypeError('y')",
     "KeyError('z')", "SyntaxError('w')"],
)  # fmt: skip
def test_a_cupy_that_does_not_load_is_a_reason(
    error: str, standin: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cupy").mkdir()
    (tmp_path / "cupy" / "__init__.py").write_text(f"raise {error}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy")
    monkeypatch.delitem(sys.modules, "cupy.cuda")
    importlib.invalidate_caches()

    with pytest.raises(DeviceUnavailableError, match="but does not load") as caught:
        fastnn.get_backend("cuda")

    assert error.split("(")[0] in str(caught.value)
    assert str(tmp_path / "cupy" / "__init__.py") in str(caught.value)
    assert fastnn.MLP([2, 2], device="auto").predict([[1, 2]]).shape == (1, 2)


def test_an_ordinal_that_is_not_there_is_named(
    standin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standin.cuda.runtime, "count", 2)

    with pytest.raises(DeviceUnavailableError, match="the GPUs are cuda:0, cuda:1; use one"):
        fastnn.get_backend("cuda:7")
    assert fastnn.devices() == ["cpu", "cuda:0", "cuda:1"]


def test_a_gpu_in_trouble_does_not_hide_the_next(
    standin: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    product = standin.ndarray.__matmul__
    monkeypatch.setattr(standin.cuda.runtime, "count", 2)
    monkeypatch.setattr(standin.ndarray, "__matmul__", lambda a, b: (
        product(a, b) if a.ordinal else failing(RuntimeError("ECC"))()
    ))  # fmt: skip

    with caplog.at_level(logging.INFO, "fastnn"):
        assert fastnn.get_backend("auto").device == "cuda:1"

    assert fastnn.devices() == ["cpu", "cuda:1"]
    assert "device auto: using cuda:1, because device 'cuda' needs" in caplog.text


def test_a_gpu_that_works_is_used(standin: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "fastnn"):
        backend = fastnn.get_backend("auto", "float64")

    assert (backend.device, backend.xp) == ("cuda:0", standin)
    assert backend.dtype == np.float64
    assert "device auto: using cuda:0, because it works: Stand-In 9000" in caplog.text
    assert fastnn.get_backend("cuda").device == fastnn.get_backend("cuda:0").device == "cuda:0"
    assert fastnn.devices() == ["cpu", "cuda:0"]


def test_a_gpu_is_tried_once(standin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fastnn.get_backend("cuda")

    monkeypatch.setattr(standin.ndarray, "__matmul__", failing(RuntimeError("again")))

    assert fastnn.get_backend("cuda").device == "cuda:0"


def test_importing_and_training_on_the_cpu_never_touch_cuda(tmp_path: Path) -> None:
    (tmp_path / "cupy.py").write_text("raise SystemExit('touched')")
    code = ("import fastnn, sys\nX, y = fastnn.datasets.load_iris()\n"
            "fastnn.MLP([4, 3]).fit(X, y)\nprint([m for m in sys.modules if m in "
            "('cupy', 'numba.cuda.cudadrv.driver', 'fastnn_kernels.cuda')])")  # fmt: skip
    path = os.pathsep.join([str(tmp_path), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path, "FASTNN_DEVICE": "cpu"}

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                         env=environment)  # fmt: skip

    assert run.stdout.strip() == "[]"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_is_told_to_spawn(standin: Any) -> None:
    net = fastnn.MLP([2, 2], device="cuda")
    used_again: list[Callable[[], object]] = [
        lambda: net.predict([[1, 2]]),
        lambda: net.backend.asnumpy(net.params),
        lambda: fastnn.get_backend("cuda"),
    ]
    read, write = os.pipe()

    with warnings.catch_warnings(action="ignore"):  # of threads that a fork leaves behind
        child = int(os.fork())
    if child == 0:
        for use in used_again:
            try:
                use()
            except DeviceError as error:
                os.write(write, f"{error}\n".encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as said:
        lines = said.read().splitlines()
    os.waitpid(child, 0)

    assert len(lines) == 3
    assert all("get_context('spawn')" in line for line in lines)
    assert net.predict([[1, 2]]).shape == (1, 2)


@pytest.mark.parametrize("how", ["set_device", "use_device", "FASTNN_DEVICE"])
def test_the_default_may_be_a_gpu(how: str, standin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_process_default", "cuda" if how == "FASTNN_DEVICE" else "cpu")

    if how == "set_device":
        fastnn.set_device("cuda")
    with fastnn.use_device("cuda" if how == "use_device" else "auto"):
        assert fastnn.MLP([2, 2]).device == "cuda:0"
    assert fastnn.MLP([2, 2]).device == ("cpu" if how == "use_device" else "cuda:0")


def test_the_command_line_takes_the_gpu(standin: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "iris", "--epochs", "2", "--json", "--device", "cuda"]) == 0
    assert cli.main(["devices"]) == 0
    assert cli.main(["doctor"]) == 0

    said = capsys.readouterr().out
    assert '"device": "cuda:0"' in said
    assert "\ncpu\ncuda:0\n" in said
    assert "CUDA: cuda:0 is Stand-In 9000, 16.0 of 16.0 GiB free; float32 products in full " in said
    assert "TF32 off" in said


def test_doctor_tells_what_the_gpu_lacks(
    standin: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(standin.cuda.runtime, "driver", 12040)
    monkeypatch.setattr(gpu, "driver_version", lambda: 12040)

    assert cli.main(["doctor"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert "CUDA: the driver supports CUDA 12.4" in lines
    assert "CUDA packages: cupy-cuda13x 14.2.0" in lines
    assert "needs a driver for CUDA 13" in lines[-1]


def test_doctor_tells_of_a_bad_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FASTNN_DEVICE", "gpu")
    monkeypatch.setattr(backends, "_process_default", "gpu")

    assert cli.main(["doctor"]) == 0
    assert cli.main(["train", "iris"]) == 2

    said = capsys.readouterr()
    assert "default device: FASTNN_DEVICE is 'gpu', need 'auto'" in said.out
    assert said.err.startswith("fastnn: FASTNN_DEVICE is 'gpu', need 'auto'")


def test_auto_on_the_command_line_hints_at_a_gpu_that_it_cannot_use(
    standin: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(standin.cuda.runtime, "count", 0)

    assert cli.main(["train", "iris", "--epochs", "1"]) == 0

    assert ", cpu, though there is an NVIDIA driver: fastnn doctor tells why," in (
        capsys.readouterr().out
    )


def test_the_real_driver_is_asked_for_its_version() -> None:
    version = gpu.driver_version()

    assert version == 0 or version >= 11000


@pytest.mark.parametrize(("required", "outcome"), [("", "1 skipped"), ("1", "1 error")])
def test_a_missing_gpu_skips_unless_it_is_required(required: str, outcome: str) -> None:
    environment = {**os.environ, "FASTNN_REQUIRE_GPU": required, "CUDA_VISIBLE_DEVICES": ""}
    test = Path(__file__).parent / "test_kernels.py"

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider",
         f"{test}::test_hits"],
        env=environment, cwd=test.parent.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert outcome in run.stdout
    assert "device 'cuda'" in run.stdout
    assert (run.returncode == 0) is (not required)
