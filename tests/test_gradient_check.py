"""gradient_check: it passes what is right, and names the entry that is wrong."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.errors import ArgumentError, DataError, DeviceError, DTypeError, ShapeError
from fastnn_kernels.face import ELEMENTWISE

Array = np.ndarray[Any, Any]

N, D, H, K = 7, 5, 6, 3
LOSSES = ["cross_entropy", "binary_cross_entropy", "squared_error", "mean_squared_error", "huber"]
ACTIVATIONS = [name for name in ELEMENTWISE if name != "step"]
FITTING = [
    (output, loss) for output in [*ACTIVATIONS, "softmax"] for loss in LOSSES
    if {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}.get(loss, output) == output
]  # fmt: skip


def net_and_data(**settings: Any) -> tuple[fastnn.MLP, Array, Array]:
    rng = np.random.default_rng(5)
    ready: dict[str, Any] = {"activation": "tanh", "seed": 1} | settings
    net = fastnn.MLP([D, H, K], **ready)
    return net, rng.normal(0, 1, (N, D)), rng.integers(0, K, N)


def own_gradient(net: fastnn.MLP, X: Array, y: Array) -> dict[str, Array]:
    """Of cross-entropy after one tanh layer, written out in float64."""
    W1, b1, W2, b2 = (x.astype(np.float64) for x in net.get_params_dict().values())
    A = np.tanh(X @ W1 + b1)
    P = np.exp(A @ W2 + b2)
    dZ2 = (P / P.sum(axis=1, keepdims=True) - np.eye(K)[y]) / len(X)
    dZ1 = dZ2 @ W2.T * (1 - A**2)
    return {"W1": X.T @ dZ1, "b1": dZ1.sum(axis=0), "W2": A.T @ dZ2, "b2": dZ2.sum(axis=0)}


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("output", "loss"), FITTING)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_output_and_loss_passes(
    activation: str, output: str, loss: str, reduction: str
) -> None:
    net, X, y = net_and_data(activation=activation, output=output)
    Y = y if loss != "binary_cross_entropy" else np.eye(K)[y]

    result = fastnn.gradient_check(net, X, Y, loss, reduction=reduction)

    assert result.ok, str(result)
    assert result.checked == result.size == net.layout.count
    assert result.error < 1e-6  # ten times less than is allowed: the allowance is for worse nets


@pytest.mark.parametrize("settings", [
    {"bias": False}, {"dtype": "float64"}, {"init": "uniform"},
    {"input_scaling": (0.5, 2.0)}, {"input_scaling": (np.arange(D), np.ones(D))},
])  # fmt: skip
def test_every_kind_of_network_passes(settings: dict[str, Any]) -> None:
    net, X, y = net_and_data(**settings)

    assert fastnn.gradient_check(net, X, y)
    assert fastnn.gradient_check(net, X.tolist(), y.tolist())


def test_large_inputs_and_parameters_pass() -> None:
    net, X, y = net_and_data(activation="softplus")
    net.set_params_dict({name: 30 * x for name, x in net.get_params_dict().items()})

    assert fastnn.gradient_check(net, 100 * X, y)


def test_a_loss_of_zero_with_no_slope_passes() -> None:
    net = fastnn.MLP([2, 2], output="identity", init="zeros")

    assert fastnn.gradient_check(net, np.ones((3, 2)), np.zeros((3, 2))).error == 0


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_network_is_unchanged(dtype: str) -> None:
    net, X, y = net_and_data(dtype=dtype)
    before, params = net.get_params_dict(), net.params

    assert fastnn.gradient_check(net, X, y)

    assert net.params is params
    assert (net.epochs, net.steps, str(net.dtype)) == (0, 0, dtype)
    for name, x in net.get_params_dict().items():
        assert x.tobytes() == before[name].tobytes()


def test_data_and_gradient_may_be_on_the_networks_gpu(on_gpu: fastnn.Backend) -> None:
    net, X, y = net_and_data(device=on_gpu.device, dtype="float64")
    there = on_gpu.xp.asarray(X), on_gpu.xp.asarray(y)
    _, flat = net.gradient(*there)

    assert fastnn.gradient_check(net, *there, gradient=flat)
    with pytest.raises(DeviceError):
        fastnn.gradient_check(net_and_data()[0], *there)


@pytest.mark.parametrize("dtype", ["float32", "float64"])  # their layouts have other gaps
def test_ones_own_gradient_may_be_flat_or_by_name(dtype: str) -> None:
    net, X, y = net_and_data(dtype=dtype)
    mine = own_gradient(net, X, y)
    flat = np.zeros(net.params.shape)
    for name, part in net.layout.views(flat).items():
        part[...] = mine[name]

    assert fastnn.gradient_check(net, X, y, gradient=mine)
    assert fastnn.gradient_check(net, X, y, gradient=flat)
    assert fastnn.gradient_check(net, X, y, gradient={n: g.tolist() for n, g in mine.items()})


@pytest.mark.parametrize("wrong", [1.1, 1.0001, -1.0, 0.0])
@pytest.mark.parametrize(("name", "index"), [("W1", (4, 0)), ("b1", (5,)), ("W2", (3, 1)),
                                             ("b2", (0,))])  # fmt: skip
def test_one_wrong_entry_is_named(name: str, index: tuple[int, ...], wrong: float) -> None:
    net, X, y = net_and_data()
    mine = own_gradient(net, X, y)
    right = float(mine[name][index])
    mine[name][index] *= wrong

    result = fastnn.gradient_check(net, X, y, gradient=mine)

    assert not result.ok
    assert not result
    assert (result.tensor, result.index, result.wrong) == (name, index, 1)
    assert result.entry == f"{name}[{', '.join(map(str, index))}]"
    assert result.analytic == right * wrong
    assert result.numeric == pytest.approx(right, rel=1e-6)
    scale = max(abs(right), abs(right * wrong))
    assert result.error == pytest.approx(abs(right * wrong - right) / scale, rel=1e-2)


def test_a_gradient_of_the_sum_is_wrong_as_that_of_the_mean() -> None:
    net, X, y = net_and_data(dtype="float64")
    _, of_sum = net.gradient(X, y, reduction="sum")

    assert fastnn.gradient_check(net, X, y, gradient=of_sum, reduction="sum")
    result = fastnn.gradient_check(net, X, y, gradient=of_sum)
    assert result.wrong == result.size
    assert result.analytic == pytest.approx(N * result.numeric, rel=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_the_worst(bad: float) -> None:
    net, X, y = net_and_data()
    mine = own_gradient(net, X, y)
    mine["W1"] *= 2
    mine["b1"][2] = bad

    result = fastnn.gradient_check(net, X, y, gradient=mine)

    assert result.entry == "b1[2]"
    assert math.isnan(result.error)


def test_str_says_it_in_one_line() -> None:
    net, X, y = net_and_data()
    mine = own_gradient(net, X, y)
    right = str(fastnn.gradient_check(net, X, y, gradient=mine))
    mine["W2"][3, 1] += 1

    wrong = str(fastnn.gradient_check(net, X, y, gradient=mine, entries=18))

    assert right.startswith("right (57 of 57 entries checked); worst is ")
    assert wrong.startswith("wrong at 1 (45 of 57 entries checked); worst is W2[3, 1]: ")
    assert wrong.endswith("(at most 1e-05)")
    assert "\n" not in right + wrong


def test_a_sample_is_drawn_by_its_seed() -> None:
    net, X, y = net_and_data()

    def checked(**settings: Any) -> Any:
        return fastnn.gradient_check(net, X, y, entries=2, **settings)

    assert checked().checked == 8
    assert checked() == checked(seed=0)
    assert len({checked(seed=seed).entry for seed in range(9)}) > 1
    assert fastnn.gradient_check(net, X, y, entries=None) == fastnn.gradient_check(net, X, y)


def test_tolerance_decides() -> None:
    net, X, y = net_and_data()

    assert not fastnn.gradient_check(net, X, y, tolerance=1e-16)


def test_a_float32_gradient_passes_with_its_tolerance() -> None:
    net, X, y = net_and_data(dtype="float32")

    assert fastnn.gradient_check(net, X, y, gradient=net.gradient(X, y)[1], tolerance=1e-3)


def test_a_kink_is_the_limit() -> None:
    net = fastnn.MLP.from_params({"W1": [[1.0]], "b1": [0.0]}, output="relu")

    result = fastnn.gradient_check(net, [[0.0]], [[-1.0]], "squared_error")

    assert result.entry == "b1[0]"
    assert result.analytic == 0  # relu's slope at 0 is 0 here
    assert result.numeric == pytest.approx(0.5, abs=1e-5)  # between 0 on the left and 1


@pytest.mark.parametrize(
    ("gradient", "error", "reason"),
    [
        (np.zeros(57), ShapeError, r"gradient is \(57,\), need \(128,\) as net.params is, or a "),
        ({"W1": np.zeros((D, H))}, ArgumentError, r"gradient has \['W1'\], need \['W1', 'b1'"),
        ({"W1": np.zeros((H, D)), "b1": np.zeros(H), "W2": np.zeros((H, K)), "b2": np.zeros(K)},
         ShapeError, r"gradient W1 is \(6, 5\), need \(5, 6\)"),
        ({"W1": "a", "b1": 0, "W2": 0, "b2": 0}, DTypeError, "gradient W1"),
    ],
)  # fmt: skip
def test_a_gradient_that_does_not_fit_is_refused(
    gradient: Any, error: type[Exception], reason: str
) -> None:
    net, X, y = net_and_data()

    with pytest.raises(error, match=reason):
        fastnn.gradient_check(net, X, y, gradient=gradient)


def test_bad_arguments_are_refused() -> None:
    net, X, y = net_and_data()

    for settings in ({"entries": 0}, {"tolerance": 0}, {"seed": -1}, {"loss": "hinge"},
                     {"reduction": "max"}):  # fmt: skip
        with pytest.raises(ArgumentError, match=next(iter(settings))):
            fastnn.gradient_check(net, X, y, **settings)
    with pytest.raises(ShapeError):
        fastnn.gradient_check(net, X[:, 1:], y)
    net.params[...] = np.nan
    with pytest.raises(DataError):
        fastnn.gradient_check(net, X, y)


def test_a_result_is_frozen() -> None:
    result = fastnn.gradient_check(*net_and_data())

    with pytest.raises(dataclasses.FrozenInstanceError):
        result.error = 0.0  # type: ignore[misc]
