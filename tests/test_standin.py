"""The stand-in for CuPy tells no lies: each of its names is the real CuPy's."""

import importlib
import inspect
from typing import Any

import pytest

OWN = {  # what tests look into
    "cupy": {"uploads", "waits", "sys"},
    "ndarray": {"memory", "ordinal", "root", "last_used", "incoming"},
    "cuda": {"memory", "limit", "is_pinned", "clock", "waits", "CUDARuntimeError"},
    "runtime": {"driver", "runtime", "count", "error"},
    "pool": {"take", "used", "total", "limit", "OutOfMemoryError"},
    "Stream": {"made", "seen", "arrived", "pending", "copied", "captured", "take"},
    "Event": {"time", "copies", "stream", "seconds"},
    "Device": {"current"},
}


@pytest.fixture(scope="module")
def real() -> Any:
    try:
        return importlib.import_module("cupy")
    except ImportError as error:
        pytest.skip(f"CuPy is not installed: {error}")


def public(thing: Any, own: str) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")} - OWN[own]


def has(thing: Any, name: str) -> bool:
    try:
        return hasattr(thing, name)
    except ImportError:  # it is there, and a library of CUDA that it needs is not
        return True


def test_every_name_of_the_standin_is_cupys(real: Any, standin: Any) -> None:
    cuda, array = standin.cuda, standin.zeros(3)
    pairs = [
        (standin, real, "cupy"),
        (array, real.ndarray, "ndarray"),
        (cuda, real.cuda, "cuda"),
        (cuda.runtime, real.cuda.runtime, "runtime"),
        (standin.get_default_memory_pool(), real.cuda.MemoryPool, "pool"),
        (cuda.Stream(), real.cuda.Stream, "Stream"),
        (cuda.Event(), real.cuda.Event, "Event"),
        (cuda.Device(), real.cuda.Device, "Device"),
        (cuda.driver, real.cuda.driver, "cupy"),
    ]
    imported = {"Any", "np", "cuda", "contextlib", "time", "Iterator", "SimpleNamespace"}

    for thing, truth, own in pairs:
        missing = {name for name in public(thing, own) - imported if not has(truth, name)}
        assert missing == set(), thing
    for name in public(standin, "cupy") - imported:
        theirs, ours = getattr(real, name), getattr(standin, name)
        if inspect.isfunction(theirs) and inspect.isfunction(ours) and ours.__name__ != "make":
            assert set(inspect.signature(ours).parameters) <= {
                *inspect.signature(theirs).parameters, "arrays", "x",
            }, name  # fmt: skip
    for name in standin.cuda.Device().attributes:
        assert hasattr(real.cuda.runtime, f"cudaDevAttr{name}")
    assert issubclass(real.cuda.memory.OutOfMemoryError, MemoryError)
    assert issubclass(real.cuda.runtime.CUDARuntimeError, RuntimeError)
    assert "status" in dir(real.cuda.runtime.CUDARuntimeError(1))


def test_a_device_array_is_none_of_numpys(standin: Any) -> None:
    import numpy as np

    there, here = standin.ones(3), np.ones(3)

    for mix in (lambda: there + here, lambda: here + there, lambda: np.asarray(there),
                lambda: there[here > 0], lambda: np.add(there, here)):  # fmt: skip
        with pytest.raises(TypeError):
            mix()
    assert type(np.exp(there)) is type(np.where(there > 0, there, 0)) is standin.ndarray
    assert float(there.sum()) == 3
