"""Prediction in one compiled call: what the layers give, for any X, from the weights of now."""

import copy
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core import config

import fastnn
from fastnn import compiling
from fastnn import prediction as predictions
from fastnn.errors import ArgumentError, DataError, DTypeError, ShapeError
from fastnn_kernels.face import ELEMENTWISE

pytestmark = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")

Array = np.ndarray[Any, Any]

ROOT = Path(__file__).parent.parent
FEW = predictions.FEW
# Sums of 400 terms, each rounded, of more in proportion; a probability has an absolute error.
TOLERANCE = {"float32": 1e-6, "float64": 1e-14}
SIZES: list[tuple[int, ...]] = [
    (17, 21, 19, 3), (17, 3), (1, 1), (1, 5, 2), (16, 32, 64, 16), (33, 128, 17),
    (400, 100, 70, 10), (7, 6, 5, 4, 3, 2), (2100, 5),
]  # fmt: skip


def network(
    sizes: tuple[int, ...] = (17, 21, 19, 3), activation: Any = "sigmoid",
    output: str = "softmax", dtype: str = "float32", **named: Any,
) -> fastnn.MLP:  # fmt: skip
    """A network with biases, which predicts in one compiled call."""
    net = fastnn.MLP(sizes, activation, output, dtype=dtype, seed=0, **named)
    rng = np.random.default_rng(1)
    for b in net.biases:
        b[...] = rng.normal(size=b.shape)
    for head in (output, "identity"):
        predictions.planned(net, head).compile()
        assert predictions.prediction(net, head) is not None
    return net


def layered(net: fastnn.MLP) -> fastnn.MLP:
    """The same, by layers."""
    twin = copy.deepcopy(net)
    twin._predictions = {(head, "auto"): None for head in (net.output, "identity")}
    return twin


def rows(n: int, d: int, dtype: str = "float32", density: float = 1.0) -> Array:
    """X (n, d), of which a part is not zero."""
    rng = np.random.default_rng(n)
    return (rng.normal(size=(n, d)) * (rng.random((n, d)) < density)).astype(dtype)


@pytest.fixture
def fast_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the layers would do instead fails."""
    monkeypatch.setattr(fastnn.MLP, "layers", None)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("sizes", SIZES)
def test_it_is_the_formula(sizes: tuple[int, ...], dtype: str, fast_only: None) -> None:
    net = network(sizes, "tanh", dtype=dtype)
    params = [(net.weights[k].astype(float), net.biases[k].astype(float))
              for k in range(len(sizes) - 1)]  # fmt: skip
    tolerance = TOLERANCE[dtype] * max(1, sizes[0] / 400)
    for n in (0, 1, 2, FEW, FEW + 1, 47, 49, 600):
        for density in (0.1, 1.0):
            X = rows(n, sizes[0], dtype, density)
            A = X.astype(float)
            for W, b in params[:-1]:
                A = np.tanh(A @ W + b)
            Z = A @ params[-1][0] + params[-1][1]
            E = np.exp(Z - Z.max(axis=1, keepdims=True))

            got = net.predict(X)

            assert got.dtype == dtype
            np.testing.assert_allclose(
                got, E / E.sum(axis=1, keepdims=True), rtol=0, atol=tolerance
            )
            np.testing.assert_allclose(net.logits(X), Z, rtol=0, atol=30 * tolerance)
            np.testing.assert_array_equal(net.classify(X), net.logits(X).argmax(axis=1))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_every_activation_is_that_of_the_layers(name: str, dtype: str) -> None:
    nets = [network(activation=name, output=name, dtype=dtype, bias=bias) for bias in (True, False)]
    for net in nets:
        for n in (1, 100):
            X = rows(n, 17, dtype)

            got, want = net.predict(X), layered(net).predict(X)

            np.testing.assert_allclose(
                got, want, rtol=0, atol=10 * TOLERANCE[dtype] * max(1, np.abs(want).max())
            )


def test_activations_may_differ() -> None:
    net = network((17, 21, 19, 3), ["relu", "silu"], "sigmoid", dtype="float64")
    X = rows(50, 17)

    np.testing.assert_allclose(net.predict(X), layered(net).predict(X), rtol=1e-13)


@pytest.mark.parametrize("n", [1, FEW, 60])
def test_any_x_of_real_numbers_will_do(n: int, fast_only: None) -> None:
    net = network()
    X = rows(n, 17)
    want = net.predict(X)
    readonly, unaligned = X.copy(), np.empty(X.nbytes + 1, np.uint8)[1:].view(np.float32)
    readonly.flags.writeable = False
    unaligned = unaligned.reshape(X.shape)
    unaligned[...] = X
    before = X.copy()
    for x in (
        readonly, unaligned, np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2], X[::-1][::-1],
        X.astype(float), X.astype(">f4"), X.tolist(), X.astype(np.longdouble), X.view(np.matrix),
    ):  # fmt: skip
        np.testing.assert_array_equal(net.predict(x), want)
    np.testing.assert_array_equal(net.predict(X[0]), net.predict(X[:1])[0])
    np.testing.assert_array_equal(net.classify(X[0]), net.classify(X[:1])[0])
    np.testing.assert_array_equal(net(X, batch_size=7), want)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("n", [1, 5, 60])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool, np.float16])
def test_raw_numbers_are_scaled(dtype: Any, n: int, fast_only: None) -> None:
    X = np.random.default_rng(0).integers(0, 256, (n, 17)).astype(dtype)
    scaled, net = network(input_scaling=(0.1, 1 / 255)), network()

    got = scaled.predict(X)

    want = net.predict(((X.astype(float) - 0.1) / 255).astype(np.float32))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)


BAD: list[tuple[Any, int, str]] = [
    (np.nan, 1, r"X\[{i}, 16\] is nan, need finite numbers"),
    (np.inf, 1, r"X\[{i}, 16\] is inf"),
    (-np.inf, 1, r"X\[{i}, 16\] is -inf"),
    (1e300, 1, r"X\[{i}, 16\] is 1e\+300, beyond float32 once scaled"),
    (3e38, 100, r"X\[{i}, 16\] is 3e\+38, beyond float32 once scaled"),
]


@pytest.mark.parametrize(("number", "factor", "words"), BAD)
@pytest.mark.parametrize("n", [1, 5, 1500])
def test_x_that_is_not_finite_is_refused_by_its_place(
    n: int, number: float, factor: float, words: str
) -> None:
    net = network(input_scaling=None if factor == 1 else (0.0, factor))
    X = rows(n, 17, "float64")
    X[n - 1, 16] = number

    with pytest.raises(DataError, match=words.format(i=n - 1)):
        net.predict(X)
    if not np.isfinite(number):
        with pytest.raises(DataError, match=words.format(i=n - 1)):
            net.predict(X.astype(np.float32))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("d", "m"), [(64, 5), (100, 200)])
@pytest.mark.parametrize("n", [60, 96])
def test_what_is_not_finite_is_found_among_many_zeros(
    n: int, d: int, m: int, number: float
) -> None:
    """In the last row of a block of 48, full or short."""
    net, X = network((d, m)), rows(n, d, density=0.1)
    for i in (47, n - 1):
        bad = X.copy()
        bad[i, d - 1] = number

        with pytest.raises(DataError, match=rf"X\[{i}, {d - 1}\] is {number}"):
            net.predict(bad)


def test_large_numbers_are_no_fault_of_x() -> None:
    net = network(dtype="float32", output="identity")
    for W in net.weights:
        W[...] = 9
    X = np.full((60, 17), 3e38, np.float32)

    assert np.isfinite(net.predict(X)).all()  # sigmoid(inf) = 1
    assert np.isinf(network((17, 3), output="identity").predict(X[:1])).any()


@pytest.mark.parametrize(("X", "error", "words"), [
    (np.zeros((3, 16), np.float32), ShapeError, r"X is \(3, 16\), need \(n, 17\)"),
    (np.zeros((1, 18), np.float32), ShapeError, r"X is \(1, 18\), need \(n, 17\)"),
    (np.zeros((1, 1, 17), np.float32), ShapeError, r"X is \(1, 1, 17\), need \(n, 17\)"),
    (np.float32(0), ShapeError, "need"),
    (np.zeros((1, 17), complex), DTypeError, "complex128"),
    (None, DTypeError, "None"),
])  # fmt: skip
def test_what_is_no_x_is_refused_as_ever(X: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        network().predict(X)


def test_a_bad_batch_size_is_refused_as_ever() -> None:
    with pytest.raises(ArgumentError, match="batch_size is 0"):
        network().predict(np.zeros((1, 17), np.float32), 0)


@pytest.mark.parametrize("n", [1, 100])
def test_weights_are_those_of_the_call(n: int) -> None:
    net, X = network(), rows(n, 17)
    before = net.predict(X)
    for change in (
        lambda: net.params.__imul__(0.5), lambda: net.weights[1].__iadd__(0.1),
        lambda: net.biases[2].fill(2), lambda: net.set_params_dict(network().get_params_dict()),
    ):  # fmt: skip
        change()
        np.testing.assert_allclose(net.predict(X), layered(net).predict(X), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(net.predict(X), before)


def test_copies_predict_from_their_own_weights() -> None:
    net, X = network(), rows(3, 17)
    want = net.predict(X)

    for twin in (copy.deepcopy(net), copy.copy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(twin.predict(X), want)
        twin.params[...] = 0
        np.testing.assert_allclose(twin.predict(X), 1 / 3, rtol=1e-6)

    np.testing.assert_array_equal(net.predict(X), want)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_any_number_of_threads_gives_the_same_bytes(
    dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions, "ALONE", 0)
    for sizes in ((17, 21, 3), (100, 130, 3)):  # zeros are looked for in the second
        net = network(sizes, input_scaling=(1.0, 0.1))
        X = np.random.default_rng(0).choice([1, 1, 1, 0, 2], (2000, sizes[0])).astype(dtype)
        answers = []
        for count in (1, 2, 3, 7):
            monkeypatch.setenv("FASTNN_NUM_THREADS", str(count))
            answers.append(net.predict(X).tobytes())

        assert len(set(answers)) == 1


def test_many_callers_at_once_get_their_own_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "ALONE", 0)
    monkeypatch.setenv("FASTNN_NUM_THREADS", "2")
    net = network((100, 30, 20, 5))
    inputs = [rows(n, 100, density=0.3) for n in (1, 3, 60, 500, 1, 700, 64, 2000)]
    want = [net.predict(X).tobytes() for X in inputs]

    def answers(_: int) -> bool:
        return all(
            net.predict(X).tobytes() == A
            for _ in range(20)
            for X, A in zip(inputs, want)  # noqa: B905
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(answers, range(8)))


def test_a_row_does_not_depend_on_the_others() -> None:
    net = network((100, 30, 20, 5))
    X = rows(500, 100)
    X[::2] *= rows(500, 100, density=0.1)[::2] != 0  # half of each block
    X[96:144] *= rows(48, 100, density=0.1) != 0  # and a whole one

    together = net.predict(X)

    alone = np.concatenate([net.predict(X[i : i + 1]) for i in range(500)])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)


def test_nan_among_the_weights_comes_out_where_it_is_used() -> None:
    net = network()
    net.weights[1][0, 0] = np.nan

    assert np.isnan(net.predict(rows(1, 17))).all()
    assert np.isnan(net.predict(rows(60, 17))).all()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("m", [1, 63, 64, 65, 127, 128, 129, 256])
def test_any_width_of_a_sparse_first_layer(m: int, dtype: str, fast_only: None) -> None:
    """Strips of columns end where the layer does."""
    for d in (63, 64, 65):
        net = network((d, m, 3), "tanh", "identity", dtype=dtype)
        (W, V), (b, c) = ([x.astype(float) for x in each] for each in (net.weights, net.biases))
        for n in (FEW, 48, 96):
            X = rows(n, d, dtype, 0.1)

            got = net.predict(X)

            want = np.tanh(X.astype(float) @ W + b) @ V + c
            np.testing.assert_allclose(got, want, rtol=0, atol=30 * TOLERANCE[dtype])


def test_what_the_layers_do_faster_is_left_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "CACHE", 0)
    net = network()
    fast = predictions.prediction(net, "softmax")
    assert fast is not None
    left = predictions.LEFT
    some = (1, left[0], left[-1], left.stop)
    assert [fast.rows(rows(n, 17)) is None for n in some] == [False, True, True, False]
    monkeypatch.setattr(compiling, "SECONDS", 0.0)
    assert [predictions.is_worth_compiling(net, "softmax", n) for n in some] == [
        True, False, False, True,
    ]  # fmt: skip

    monkeypatch.setattr(predictions, "TOO_MANY", 0)
    assert predictions.prediction(fastnn.MLP([17, 3]), "softmax") is None


def test_nobody_waits_for_compilation(tmp_path: Path) -> None:
    network(activation="identity", output="identity")

    here, elsewhere = run(PREDICT), run(PREDICT, FASTNN_CACHE=str(tmp_path))

    assert here == "in one call, compiled 0\n"
    assert elsewhere == "layers\n"


def test_it_is_compiled_once_the_layers_have_taken_longer_than_that(tmp_path: Path) -> None:
    said = run(MANY, FASTNN_CACHE=str(tmp_path)).splitlines()

    assert said == [f"{k} {k > 25}" for k in range(30)]


PREDICT = """
import fastnn
from numba.core import event
net = fastnn.MLP([4, 5, 3], "identity", "identity")
with event.install_recorder("numba:compile") as compiled:
    net.predict([[1.0, 2, 3, 4]])
if net._predictions["identity", "auto"] is None:
    print("layers")
else:
    print("in one call, compiled", len(compiled.buffer))
"""

MANY = """
import fastnn
from fastnn import compiling
compiling.SECONDS = 0.9 * 30 * 20e-6
net = fastnn.MLP([4, 5, 3], "identity", "identity", seed=0)
X = [[1.0, 2, 3, 4]]
for k in range(30):
    net.predict(X if k % 2 else X[0])
    print(k, net._predictions["identity", "auto"] is not None)
"""

NARROW = """
import numpy as np, fastnn
from fastnn import prediction
from fastnn_kernels import simd
print(simd.BYTES, simd.COMPRESSES)
net = fastnn.MLP([80, 21, 19, 3], "tanh", seed=0)
X = np.random.default_rng(0).normal(size=(100, 80)).astype(np.float32)
X[50:, 5:] = 0
want = net.predict(X)
prediction.planned(net, "softmax").compile()
fast = prediction.prediction(net, "softmax")
rows = np.concatenate([fast.row(X[i:i+1]) for i in range(100)])
print(np.abs(rows - want).max() < 1e-6, np.abs(fast.rows(X) - want).max() < 1e-6)
"""


@pytest.mark.skipif(config.CPU_NAME is not None, reason="the machine is restricted already")
@pytest.mark.parametrize(("features", "width"), [("avx2", "32"), ("", "16")])
def test_machines_with_narrower_vectors_predict_alike(
    features: str, width: str, tmp_path: Path
) -> None:
    if not os.uname().machine.startswith("x86"):
        pytest.skip("the features are those of x86")

    said = run(
        NARROW, FASTNN_CACHE=str(tmp_path), NUMBA_CPU_NAME="haswell" if features else "generic",
        NUMBA_CPU_FEATURES="+avx2,+fma,+avx,+sse4.2" if features else "",
    )  # fmt: skip

    assert said == f"{width} False\nTrue True\n"


def run(code: str, **environment: str) -> str:
    """What a new process prints."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True,
        env=os.environ | {"PYTHONPATH": path} | environment,
    ).stdout  # fmt: skip


def test_an_execution_may_be_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    net, X = fastnn.MLP([4, 6, 3], seed=0), rows(5, 4)

    expected, found = (net.predict(X, execution=name) for name in ("layers", "fused"))

    np.testing.assert_allclose(found, expected, rtol=1e-6)
    monkeypatch.setattr(predictions, "CACHE", 0)  # then "auto" leaves some rows to the layers
    many = rows(predictions.LEFT[-1], 4)
    fast = fastnn.MLP([4, 6, 3], seed=0).predict(many, execution="fused")
    np.testing.assert_allclose(fast, net.predict(many, execution="layers"), rtol=1e-6)
    monkeypatch.setattr(predictions, "TOO_MANY", 100)
    with pytest.raises(ArgumentError, match="cannot do 640 bytes of weights, more than 100"):
        fastnn.MLP([4, 6, 3], seed=0).predict(X, execution="fused")
    with pytest.raises(ArgumentError, match="execution is 'fast', need one of"):
        net.predict(X, execution="fast")
    with pytest.raises(ArgumentError, match="execution is"):
        net.predict(X, execution=["auto"])  # type: ignore[arg-type]
