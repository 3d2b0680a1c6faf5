"""Randomness: the same seed gives the same bytes, and the streams never change."""

import hashlib
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.initializers import draw, initializer
from fastnn.streams import Purpose, checked_seed, generator
from fastnn_kernels import cpu

# First 16 hex digits of the SHA-256 of a stream's beginning.  A change here breaks the
# promise that a seed means the same run for ever: do not edit, mend the stream.
GOLDEN = {
    "weights": "52aff084225c429b",
    "order": "fd649c11f3e9efbd",
    "split": "5823104f9e0ab52e",
    "masks": "0ae51ba61667cf47",
    "network": "067214d80bbe8173",
}


def flat(net: fastnn.MLP) -> Any:
    """net.params in host memory."""
    return net.backend.asnumpy(net.params)


def sha(x: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()[:16]


def test_golden_hash_of_weights() -> None:
    rng = generator(42, Purpose.WEIGHTS, 1)
    W = draw(initializer("xavier"), 30, 20, rng, np.dtype("float64"))

    # float32: the last bit of a float64 may depend on how a library compiles limit * u.
    assert sha(W.astype("<f4")) == GOLDEN["weights"]


def test_golden_hash_of_orders() -> None:
    orders = [generator(42, Purpose.ORDER, epoch).permutation(1000) for epoch in range(3)]

    assert sha(np.array(orders, "<i8")) == GOLDEN["order"]


def test_golden_hash_of_splits() -> None:
    assert sha(generator(42, Purpose.SPLIT).permutation(1000).astype("<i8")) == GOLDEN["split"]


def test_golden_hash_of_masks() -> None:
    bits = np.zeros((3, 1001), np.uint32)
    for step in range(3):
        cpu.philox_bits(42, step, 1, bits[step])

    assert sha(bits.astype("<u4")) == GOLDEN["masks"]


def test_golden_hash_of_a_network(device: str) -> None:
    net = fastnn.MLP([20, 10, 5], seed=7)

    assert sha(flat(net).astype("<f4")) == GOLDEN["network"]


def test_streams_of_purposes_and_indices_differ() -> None:
    firsts = {
        tuple(generator(seed, purpose, index).integers(0, 2**63, 2))
        for seed in (0, 1, 2**64 - 1) for purpose in Purpose for index in (0, 1, 2)
    }  # fmt: skip

    assert len(firsts) == 3 * 3 * 3


def test_dtypes_begin_with_the_same_weights() -> None:
    one, two = (fastnn.MLP([5, 4, 3], seed=1, dtype=dtype) for dtype in ("float32", "float64"))

    for a, b in zip(one.weights, two.weights, strict=True):
        np.testing.assert_array_equal(a, b.astype(np.float32))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("init", ["xavier", "uniform", "he_normal"])
def test_devices_begin_with_the_same_weights(init: str, dtype: str, device: str) -> None:
    there, here = (
        fastnn.MLP([5, 4, 3], init=init, seed=1, dtype=dtype, device=name)
        for name in (device, "cpu")
    )

    assert (there.device, here.device) == (device, "cpu")
    assert flat(there).tobytes() == flat(here).tobytes()


# The stand-in computes with NumPy and the CPU's kernels: what could differ there is what is done,
# not how it rounds.  A GPU adds in other orders and has an exp of its own, 1e-16 a step.
WITHIN_ROUNDING = pytest.mark.parametrize(
    ("device", "bound"),
    [("cpu", 0), ("standin", 0), pytest.param("cuda", 1e-12, marks=pytest.mark.gpu)],
    indirect=["device"],
)


@WITHIN_ROUNDING
def test_devices_see_the_same_order_and_learn_the_same(device: str, bound: float) -> None:
    X, y = fastnn.datasets.load_iris()
    there, here = (
        fastnn.MLP([4, 5, 3], "tanh", seed=1, dtype="float64", device=name)
        for name in (device, "cpu")
    )

    got, want = (
        net.fit(X, y, epochs=3, validation=0.2, execution="layers") for net in (there, here)
    )

    assert np.abs(flat(there) - flat(here)).max() <= bound * np.abs(flat(here)).max()
    assert got.val_loss == pytest.approx(want.val_loss, rel=bound, abs=0)


@WITHIN_ROUNDING
def test_training_goes_on_on_another_device(device: str, bound: float) -> None:
    X, y = fastnn.datasets.load_iris()
    moved, stayed = (
        fastnn.MLP([4, 5, 3], "tanh", seed=1, dtype="float64", device="cpu") for _ in range(2)
    )

    moved.fit(X, y, execution="layers")
    moved.to(device).fit(X, y, execution="layers")
    moved.to("cpu").fit(X, y, execution="layers")
    stayed.fit(X, y, epochs=3, execution="layers")

    assert (moved.epochs, moved.steps) == (stayed.epochs, stayed.steps)
    assert np.abs(moved.params - stayed.params).max() <= bound * np.abs(stayed.params).max()


HERE = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
RUN = """
import hashlib, numpy as np, fastnn
X = np.random.default_rng(0).random((500, 30)); y = (X.sum(axis=1) * 7).astype(int) % 4
net = fastnn.MLP([30, 40, 4], "gelu", seed=3)
net.fit(X, y, epochs=3, optimizer=fastnn.SGD(0.1, 0.9), validation=0.2)
print(hashlib.sha256(net.params.tobytes() + net.predict(X).tobytes()).hexdigest())
"""


def test_two_processes_give_the_same_bytes() -> None:
    runs = {
        subprocess.run(
            [sys.executable, "-c", RUN], capture_output=True, check=True, env=environment
        ).stdout
        for environment in ({**HERE, "PYTHONHASHSEED": "1"}, {**HERE, "PYTHONHASHSEED": "2"})
    }

    assert len(runs) == 1
    assert len(runs.pop()) == 65


def test_two_networks_give_the_same_bytes_and_another_seed_others(device: str) -> None:
    X, y = fastnn.datasets.load_iris()

    def trained(seed: int, fit_seed: int | None = None) -> bytes:
        net = fastnn.MLP([4, 5, 3], seed=seed)
        net.fit(X, y, epochs=2, seed=fit_seed)
        return bytes(flat(net).tobytes())

    assert trained(1) == trained(1)
    assert trained(1) != trained(2)
    assert trained(1) != trained(1, fit_seed=5)


def test_epochs_count_over_the_life_of_a_network(device: str) -> None:
    X, y = fastnn.datasets.load_iris()
    at_once, in_parts = fastnn.MLP([4, 5, 3], seed=0), fastnn.MLP([4, 5, 3], seed=0)

    at_once.fit(X, y, epochs=3)
    for _ in range(3):
        in_parts.fit(X, y)

    assert in_parts.epochs == at_once.epochs == 3
    np.testing.assert_array_equal(flat(in_parts), flat(at_once))


def test_seed_none_draws_one_and_tells_it() -> None:
    one, two = fastnn.MLP([2, 2]), fastnn.MLP([2, 2])

    assert one.seed != two.seed
    np.testing.assert_array_equal(one.params, fastnn.MLP([2, 2], seed=one.seed).params)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "0", np.float64(3)])
def test_a_bad_seed_is_refused(seed: Any) -> None:
    with pytest.raises(fastnn.errors.ArgumentError, match="seed is"):
        checked_seed(seed)
