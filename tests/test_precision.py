"""Products in less precision than float32's: how exact they are, and who gets them."""

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.errors import ArgumentError
from fastnn.precision import Products

BITS = {"tf32": 10, "bf16": 7}  # behind the point of a factor
X, y = fastnn.datasets.load_iris()


def trained(precision: str, device: str, **settings: Any) -> tuple[fastnn.MLP, fastnn.History]:
    net = fastnn.MLP(
        [4, 16, 3], seed=0, device=device, input_scaling=fastnn.datasets.standard_scaling(X)
    )
    return net, net.fit(X, y, epochs=20, batch_size=10, precision=precision, **settings)


@pytest.mark.parametrize("precision", BITS)
@pytest.mark.parametrize("turned", ["", "A", "B", "AB"])
def test_factors_are_rounded_and_nothing_else(
    precision: str, turned: str, on_gpu: fastnn.Backend
) -> None:
    rng, products = np.random.default_rng(0), Products(on_gpu.xp, precision)
    for n, k, m in [(1, 1, 1), (1, 7, 5), (33, 100, 17), (5, 784, 1), (64, 512, 96)]:
        A, B = rng.normal(size=(n, k)), rng.normal(size=(k, m))
        of_A, of_B = (
            on_gpu.asarray(x.T.astype("f4")).T if name in turned else on_gpu.asarray(x)
            for name, x in (("A", A), ("B", B))
        )
        out = on_gpu.asarray(np.full((n, m), np.nan))
        products.matmul(of_A, of_B, out)
        # Two factors, each off by half a unit of its last bit; sums in float32, in any order.
        bound = (2.0 ** -BITS[precision] + k * 2.0**-22) * (np.abs(A) @ np.abs(B))
        error = np.abs(on_gpu.asnumpy(out) - A @ B)
        assert (error <= bound).all()
        assert error.max() > bound.max() / 1000  # it is not float32
        np.testing.assert_array_equal(on_gpu.asnumpy(products.dot(of_A, of_B)), on_gpu.asnumpy(out))


@pytest.mark.parametrize(("precision", "tolerance"), [("tf32", 2e-3), ("bf16", 2e-2)])
def test_training_differs_by_the_rounding(
    precision: str, tolerance: float, on_gpu: fastnn.Backend
) -> None:
    # 300 steps: as many roundings as float32's 5e-6 after 400 steps has, 2^13 and 2^16 larger each
    full, expected = trained("float32", on_gpu.device)
    net, history = trained(precision, on_gpu.device)
    error = np.abs(on_gpu.asnumpy(net.params - full.params)).max()
    assert 1e-6 < error < tolerance
    assert abs(history.accuracy[-1] - expected.accuracy[-1]) <= 0.02
    again, _ = trained(precision, on_gpu.device)
    np.testing.assert_array_equal(on_gpu.asnumpy(again.params), on_gpu.asnumpy(net.params))


@pytest.mark.parametrize("order", ["F", "every other row"])
def test_rows_may_lie_in_any_order(order: str, on_gpu: fastnn.Backend) -> None:
    there = on_gpu.asarray(X)
    strange = on_gpu.xp.asarray(on_gpu.asnumpy(there), order="F") if order == "F" else there[::2]
    plain = on_gpu.xp.ascontiguousarray(strange)
    labels = on_gpu.asarray(y if order == "F" else y[::2], np.int64)
    nets = []
    for rows in (strange, plain):
        net = fastnn.MLP([4, 16, 3], seed=0, device=on_gpu.device, input_scaling=(3, 0.5))
        net.fit(rows, labels, batch_size=10, shuffle=False, precision="tf32")
        nets.append(on_gpu.asnumpy(net.params))
    np.testing.assert_array_equal(nets[0], nets[1])


def test_prediction_is_float32(on_gpu: fastnn.Backend) -> None:
    net, _ = trained("bf16", on_gpu.device)
    A = net.to("cpu").predict(X)
    np.testing.assert_allclose(net.to(on_gpu.device).predict(X), A, rtol=1e-4)  # bf16 has 4e-3


def test_only_a_gpu_has_it() -> None:
    net = fastnn.MLP([4, 3], seed=0, device="cpu")
    before = net.params.copy()
    for execution in ("auto", "layers"):
        with pytest.raises(ArgumentError, match="precision 'tf32' is for float32 on a GPU, and"):
            net.fit(X, y, precision="tf32", execution=execution)
    np.testing.assert_array_equal(net.params, before)
    with pytest.raises(ArgumentError, match="precision"):
        net.fit(X, y, precision="float16")


def test_float64_keeps_its_own(on_gpu: fastnn.Backend) -> None:
    net = fastnn.MLP([4, 3], seed=0, device=on_gpu.device, dtype="float64")
    with pytest.raises(ArgumentError, match="this is float64 on cuda:0"):
        net.fit(X, y, precision="bf16")


def test_the_fused_trainer_refuses_it(on_gpu: fastnn.Backend) -> None:
    with pytest.raises(ArgumentError, match="cannot do precision 'tf32'"):
        trained("tf32", on_gpu.device, execution="fused")
