"""get_backend and the default device."""

import logging
import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn_kernels.cpu
from fastnn.errors import ArgumentError, DeviceUnavailableError


def test_the_cpu_backend_is_numpy_with_kernels() -> None:
    backend = fastnn.get_backend("cpu", "float64")

    assert (backend.device, backend.xp) == ("cpu", np)
    assert backend.dtype == np.dtype("float64")
    assert backend.kernels is fastnn_kernels.cpu
    backend.synchronize()


def test_arrays_go_in_and_out() -> None:
    backend = fastnn.get_backend("cpu")

    inside = backend.asarray(np.asfortranarray(np.ones((2, 3))))
    labels = backend.asarray([1, 2], dtype=np.int64)

    assert inside.flags.c_contiguous
    assert (inside.dtype, labels.dtype) == (np.float32, np.int64)
    assert backend.asnumpy(inside) is inside


@pytest.mark.parametrize("size", [0, 1, 1000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_vectors_start_on_a_boundary(dtype: str, size: int) -> None:
    zeros = fastnn.get_backend("cpu", dtype).zeros(size)

    assert zeros.shape == (size,)
    assert not zeros.any()
    assert zeros.ctypes.data % 128 == 0 or size == 0


def test_the_default_may_be_set_for_a_while_or_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastnn.backend, "_process_default", "cuda:99")

    with pytest.raises(DeviceUnavailableError):
        fastnn.MLP([2, 2])
    with fastnn.use_device("cpu"):
        assert fastnn.MLP([2, 2]).device == "cpu"
        with fastnn.use_device("auto"):
            assert fastnn.MLP([2, 2]).device == fastnn.devices()[:2][-1]
        elsewhere: list[bool] = []
        thread = threading.Thread(target=lambda: elsewhere.append(_refused()))
        thread.start()
        thread.join()
        assert elsewhere == [True]
    assert _refused()
    fastnn.set_device("cpu")
    assert fastnn.MLP([2, 2]).device == "cpu"


@pytest.mark.parametrize(("sizes", "where"), [([4, 5, 3], "cpu"), ([4, 6, 3], "cuda:0")])
def test_auto_leaves_small_networks_to_the_cpu(
    sizes: list[int], where: str, standin: Any, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(fastnn.backend, "SMALL", 6.0 * 35 * 32)

    with caplog.at_level(logging.INFO, "fastnn"):
        net = fastnn.MLP(sizes, device="auto")

    assert net.device == where
    assert f"device auto: using {where}, because" in caplog.text


def _refused() -> bool:
    try:
        fastnn.get_backend()
    except DeviceUnavailableError:
        return True
    return False


@pytest.mark.parametrize(
    "name",
    [
        "gpu",
        "",
        "CPU",
        "cuda:",
        "cuda:-1",
        "cuda:01",
        "cuda:\u0663",
        "cuda:99999",
        "cpu:0",
        1,
        b"cpu",
    ],
)
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match="need 'auto', 'cpu', 'cuda' or 'cuda:N'"):
        fastnn.get_backend(name)
    for refused in (name, None):
        with pytest.raises(ArgumentError):
            fastnn.set_device(refused)  # type: ignore[arg-type]
        with pytest.raises(ArgumentError), fastnn.use_device(refused):  # type: ignore[arg-type]
            pass
        with pytest.raises(ArgumentError):
            fastnn.MLP([2, 2]).to(refused)  # type: ignore[arg-type]


def test_a_bad_default_is_blamed_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastnn.backend, "_process_default", "gpu")

    with pytest.raises(ArgumentError, match="FASTNN_DEVICE is 'gpu', need 'auto', 'cpu'"):
        fastnn.MLP([2, 2])
    with fastnn.use_device("cpu"):
        assert fastnn.MLP([2, 2]).device == "cpu"


def test_the_environment_names_the_default() -> None:
    code = (
        "import fastnn\ntry:\n fastnn.MLP([2, 2])\nexcept fastnn.errors.DeviceError as e: print(e)"
    )
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "FASTNN_DEVICE": "cuda:3"}

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                         env=environment)  # fmt: skip

    assert run.stdout.startswith("device 'cuda:3' needs")
