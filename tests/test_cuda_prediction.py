"""Prediction on a GPU in one launch: what the layers give; emulated where there is no GPU."""

import io
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.errors import ArgumentError, DataError, ShapeError
from fastnn_kernels import cuda_predictor
from fastnn_kernels.face import ELEMENTWISE

TOLERANCE = {"float32": 1e-6, "float64": 1e-14}  # as on a CPU, of numbers up to some units
SIZES = [(17, 21, 19, 3), (1, 1), (5, 200), (600, 65, 130, 10), (9, 8, 7, 6, 5, 4, 3, 2, 1)]


def network(sizes: Any = (17, 21, 19, 3), **named: Any) -> fastnn.MLP:
    settings: dict[str, Any] = {"activation": "tanh", "seed": 0, "device": "cuda"} | named
    net = fastnn.MLP(sizes, **settings)
    rng = np.random.default_rng(1)
    for b in net.biases:
        b[...] = net.backend.asarray(rng.normal(size=b.shape))
    return net


def check(net: fastnn.MLP, X: Any) -> None:
    A, expected = (
        net.backend.asnumpy(net.predict(X, execution=name)) for name in ("fused", "layers")
    )
    np.testing.assert_allclose(A, expected, rtol=0, atol=10 * TOLERANCE[str(net.dtype)])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("sizes", SIZES)
def test_it_is_what_the_layers_predict(sizes: Any, dtype: str, on_gpu: fastnn.Backend) -> None:
    for output in ("softmax", "sigmoid", "identity"):
        net = network(sizes, dtype=dtype, output=output)
        for n in (1, 7, 16, 33):
            check(net, np.random.default_rng(n).normal(size=(n, sizes[0])).astype(dtype))


@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if name != "step"])
def test_every_activation(name: str, on_gpu: fastnn.Backend) -> None:
    X = np.random.default_rng(0).normal(size=(20, 17))
    check(network(activation=name, output=name, dtype="float64"), X)
    check(network(activation=name, bias=False, dtype="float64"), X)


@pytest.mark.parametrize("scaling", [None, (3, 0.1), (np.arange(17), 0.1), (1, np.ones(17))])
@pytest.mark.parametrize("kind", ["uint8", "bool", "int64", "float16", "float64"])
def test_rows_enter_as_they_are(kind: str, scaling: Any, on_gpu: fastnn.Backend) -> None:
    X = np.random.default_rng(0).integers(0, 9, (20, 17)).astype(kind)
    net = network(input_scaling=scaling)
    check(net, X)
    check(net, on_gpu.asarray(X, X.dtype)[::2])


def test_outputs_are_where_the_rows_are(on_gpu: fastnn.Backend) -> None:
    net, X = network(), np.ones((5, 17), np.float32)
    assert isinstance(net.predict(X, execution="fused"), np.ndarray)
    assert isinstance(net.predict(on_gpu.asarray(X), execution="fused"), on_gpu.xp.ndarray)
    one = net.predict(X[0], execution="fused")
    assert one.shape == (3,)
    np.testing.assert_array_equal(one, net.predict(X, execution="fused")[0])


def test_weights_are_those_of_the_call(on_gpu: fastnn.Backend) -> None:
    net, X = network(), np.ones((5, 17), np.float32)
    before = net.predict(X, execution="fused")
    net.weights[0][...] = 0
    assert np.abs(net.predict(X, execution="fused") - before).max() > 0.01
    check(net, X)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_bad_rows_are_refused_by_their_place(value: float, on_gpu: fastnn.Backend) -> None:
    net, X = network(), np.ones((40, 17), np.float32)
    net.weights[0][3] = 0  # 0 times infinity is NaN
    X[37, 3] = value
    for _ in range(2):
        with pytest.raises(DataError, match=re.escape("X[37, 3]")):
            net.predict(X, execution="fused")
    check(net, X[:37])
    with pytest.raises(ShapeError):
        net.predict(X[:, 1:], execution="fused")


def test_what_is_not_finite_without_x_comes_out(on_gpu: fastnn.Backend) -> None:
    net, X = network(), np.full((3, 17), 2, np.float32)
    net.weights[0][0] = 3e38  # times two it is infinity, of which tanh is 1
    check(net, X)
    net.weights[0][0] = np.nan
    assert np.isnan(net.predict(X, execution="fused")).all()
    assert net.predict(X[:0], execution="fused").shape == (0, 3)


def test_many_callers_at_once_get_their_own_answers(on_gpu: fastnn.Backend) -> None:
    net, rng = network(), np.random.default_rng(0)
    batches = [rng.normal(size=(n, 17)).astype(np.float32) for n in range(1, 25)]
    batches[7][0, 0] = np.nan
    expected = [net.predict(X, execution="layers") for X in batches if np.isfinite(X).all()]

    def answer(X: Any) -> Any:
        try:
            return net.predict(X, execution="fused")
        except DataError:
            return None

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(answer, batches))
    assert answers.pop(7) is None
    for A, B in zip(answers, expected, strict=True):
        np.testing.assert_allclose(A, B, atol=1e-5)


@pytest.mark.parametrize(("case", "words"), [
    ({"activation": "step"}, "activation 'step'"),
    ({"sizes": [3] * 10}, "9 layers, more than 8"),
    ({"sizes": (3, 3000, 3)}, "bytes of shared memory"),
])  # fmt: skip
def test_what_it_cannot_do_is_named(case: Any, words: str, on_gpu: fastnn.Backend) -> None:
    net = network(**case)
    with pytest.raises(ArgumentError, match=words):
        net.predict(np.ones((2, net.sizes[0]), np.float32), execution="fused")
    with pytest.raises(ArgumentError, match="execution is 'quick'"):
        net.predict(np.ones((2, net.sizes[0]), np.float32), execution="quick")


def test_no_barrier_can_be_left_out(standin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of the tests: without it, some order of the threads gives something else."""
    code = cuda_predictor.code(np.dtype("float32"), np.dtype("float32"))
    barriers = code.count("__syncthreads()")
    X = np.random.default_rng(0).normal(size=(20, 600)).astype(np.float32)

    def answers() -> list[bytes]:
        found = []
        for order in ("0", "1"):
            monkeypatch.setenv("EMULATION_ORDER", order)
            found.append(network((600, 65, 5, 3)).predict(X, execution="fused").tobytes())
        return found

    right, again = answers()
    assert right == again
    assert barriers == 4
    for number in range(barriers):
        monkeypatch.setenv("EMULATION_WITHOUT", str(number))
        assert answers() != [right, right], number


@pytest.mark.parametrize("capability", ["80", "90", "100"])
@pytest.mark.parametrize("kind", [("float32", "uint8"), ("float64", "float64")])
def test_it_compiles_without_a_gpu(kind: tuple[str, str], capability: str) -> None:
    core = pytest.importorskip("cuda.core", reason="numba-cuda is not installed")
    code = cuda_predictor.code(*map(np.dtype, kind))
    options = core.ProgramOptions(arch=f"sm_{capability}", std="c++17", ptxas_options="-v")
    log = io.StringIO()

    core.Program(code, "c++", options).compile("cubin", logs=log)

    told = log.getvalue()
    assert not re.search("warning #(?!177)", told)
    assert set(re.findall(r"(\d+) bytes spill", told)) == {"0"}
