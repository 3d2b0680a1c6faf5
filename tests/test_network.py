"""MLP: its parameters, its answers, and what it says of itself."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.errors import ArgumentError, DataError, DTypeError, ShapeError
from fastnn_kernels.face import ELEMENTWISE

pytestmark = pytest.mark.usefixtures("device")

Array = np.ndarray[Any, Any]

rng = np.random.default_rng(0)
X = rng.normal(size=(9, 4))


def flat(net: fastnn.MLP) -> Array:
    """net.params in host memory."""
    return net.backend.asnumpy(net.params)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bias", [True, False])
def test_parameters_are_views_of_one_vector(bias: bool, dtype: str) -> None:
    net = fastnn.MLP([4, 5, 3], bias=bias, dtype=dtype, seed=0)

    assert [W.shape for W in net.weights] == [(4, 5), (5, 3)]
    assert [b.shape for b in net.biases] == ([(5,), (3,)] if bias else [])
    for number, tensor in enumerate((*net.weights, *net.biases), start=7):
        tensor[...] = number
        assert (flat(net) == number).sum() == tensor.size
        assert tensor.dtype == dtype


# Not on the stand-in, whose memory lies where NumPy puts it.
@pytest.mark.parametrize(
    "device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)], indirect=True
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bias", [True, False])
def test_parameters_are_aligned(bias: bool, dtype: str, device: str) -> None:
    net = fastnn.MLP([4, 5, 3], bias=bias, dtype=dtype, seed=0)

    interface = "__array_interface__" if device == "cpu" else "__cuda_array_interface__"
    for tensor in (*net.weights, *net.biases):
        assert getattr(tensor, interface)["data"][0] % 128 == 0


def test_predict_is_the_network_written_out() -> None:
    net = fastnn.MLP([4, 5, 3], ["tanh"], "softmax", dtype="float64", seed=0)
    biases = {"b1": [-2, -1, 0, 1, 2], "b2": [1, -3, 2]}
    net.set_params_dict(net.get_params_dict() | biases)
    W1, b1, W2, b2 = net.get_params_dict().values()

    Z = np.tanh(X @ W1 + b1) @ W2 + b2
    A = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)

    np.testing.assert_allclose(net.logits(X), Z, rtol=1e-13)
    np.testing.assert_allclose(net.predict(X), A, rtol=1e-13)
    np.testing.assert_array_equal(net(X), net.predict(X))
    np.testing.assert_array_equal(net.classify(X), Z.argmax(axis=1))


@pytest.mark.parametrize("output", ["softmax", *ELEMENTWISE])
def test_output_is_the_activation_of_the_logits(output: str) -> None:
    net = fastnn.MLP([4, 3], output=output, seed=0, dtype="float64")

    want = getattr(fastnn.functional, output)(net.logits(X))

    np.testing.assert_allclose(net.predict(X), want, rtol=1e-13, atol=1e-16)


def test_one_sample_and_no_sample() -> None:
    net = fastnn.MLP([4, 5, 3], seed=0)

    assert net.predict(X[0]).shape == (3,)
    np.testing.assert_allclose(net.predict(X[0]), net.predict(X)[0], rtol=1e-6)
    assert net.classify(X[0]) == net.classify(X)[0]
    assert net.predict(X[:0]).shape == (0, 3)
    assert net.classify(X).dtype == np.int64


@pytest.mark.parametrize("batch_size", [1, 4, 9, 100])
def test_batches_of_a_prediction_do_not_matter(batch_size: int) -> None:
    net = fastnn.MLP([4, 5, 3], seed=0, dtype="float64")

    np.testing.assert_allclose(net.predict(X, batch_size), net.predict(X), rtol=1e-14)


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, True])
def test_a_bad_batch_size_of_a_prediction_is_refused(batch_size: Any) -> None:
    with pytest.raises(ArgumentError, match="batch_size is"):
        fastnn.MLP([4, 3]).predict(X, batch_size)


def test_one_output_is_a_threshold_at_zero() -> None:
    net = fastnn.MLP.from_params({"W1": [[1.0]]}, output="sigmoid")

    assert net.classify([[-1.0], [0.0], [1e-9]]).tolist() == [0, 0, 1]
    assert fastnn.MLP([1, 1], output="softmax").classify([[5.0]]).tolist() == [0]


def test_overflow_in_a_prediction_makes_no_warning() -> None:
    net = fastnn.MLP.from_params({"W1": np.full((2, 2), 9, np.float32)}, output="identity")

    assert np.isinf(net.predict([[3e38, 3e38]])).all()


def test_params_dict_round_trip() -> None:
    net, other = fastnn.MLP([4, 5, 3], seed=0), fastnn.MLP([4, 5, 3], seed=1)

    params = net.get_params_dict()
    other.set_params_dict(params)
    params["W1"][...] = 0  # a copy: nobody's network changes

    assert list(params) == ["W1", "b1", "W2", "b2"]
    np.testing.assert_array_equal(flat(other), flat(net))
    assert net.get_params_dict()["W1"].any()


BAD_PARAMS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"b2": None}, ArgumentError, r"params has \['W1', 'W2', 'b1'\], need"),
    ({"W3": np.zeros((3, 3))}, ArgumentError, "need"),
    ({"W2": np.zeros((3, 5))}, ShapeError, r"W2 is \(3, 5\), need \(5, 3\)"),
    ({"b1": np.zeros((5, 1))}, ShapeError, r"b1 is \(5, 1\)"),
    ({"b2": [0, np.nan, 0]}, DataError, "b2 has NaN"),
    ({"W1": np.full((4, 5), 1e39)}, DataError, "beyond float32"),
    ({"W1": np.full((4, 5), "a")}, DTypeError, "W1 is <U1"),
]


@pytest.mark.parametrize(("change", "error", "words"), BAD_PARAMS)
def test_bad_params_are_refused_as_a_whole(
    change: dict[str, Any], error: type[Exception], words: str
) -> None:
    net = fastnn.MLP([4, 5, 3], seed=0)
    before = flat(net).tobytes()
    params = {name: array + 1 for name, array in net.get_params_dict().items()} | change
    params = {name: array for name, array in params.items() if array is not None}

    with pytest.raises(error, match=words):
        net.set_params_dict(params)

    assert flat(net).tobytes() == before


@pytest.mark.parametrize(
    ("dtypes", "dtype"),
    [("ff", "float32"), ("dd", "float64"), ("fd", "float64"), ("ee", "float32"), ("ii", "float64")],
)
def test_from_params_keeps_the_arrays_type(dtypes: str, dtype: str) -> None:
    W1, W2 = np.ones((4, 2), dtypes[0]), np.ones((2, 3), dtypes[1])

    net = fastnn.MLP.from_params({"W1": W1, "W2": W2}, "relu", seed=0)

    assert net.dtype == np.dtype(dtype)
    assert (net.sizes, net.biases) == ((4, 2, 3), [])
    np.testing.assert_array_equal(net.get_params_dict()["W2"], W2)


def test_what_is_assigned_to_params_is_what_predicts_trains_and_is_saved() -> None:
    net, X = fastnn.MLP([3, 4, 2], seed=0), np.ones((5, 3), np.float32)
    twin = fastnn.MLP([3, 4, 2], seed=0)
    weights = net.weights[0]
    net.predict(X)

    net.params = net.params - 0.25
    twin.params -= np.float32(0.25)
    with pytest.raises(ShapeError, match=r"params is \(3,\), need \(\d+,\)"):
        net.params = np.zeros(3)

    np.testing.assert_array_equal(net.predict(X), twin.predict(X))
    np.testing.assert_array_equal(flat(net), flat(twin))
    assert net.backend.asnumpy(weights).tobytes() == net.get_params_dict()["W1"].tobytes()


def test_params_may_be_the_networks_own_views() -> None:
    net = fastnn.MLP([3, 3, 3], bias=False, seed=0)
    before = net.get_params_dict()

    net.set_params_dict({"W1": net.weights[1], "W2": net.weights[0]})

    after = net.get_params_dict()
    np.testing.assert_array_equal(after["W1"], before["W2"])
    np.testing.assert_array_equal(after["W2"], before["W1"])


@pytest.mark.parametrize("params", [None, 5, [np.ones((2, 2))], {1: np.ones((2, 2))}])
def test_params_are_a_dict_by_name(params: Any) -> None:
    with pytest.raises(ArgumentError, match="need a dict of arrays by name"):
        fastnn.MLP.from_params(params)
    with pytest.raises(ArgumentError, match="need a dict of arrays by name"):
        fastnn.MLP([2, 2]).set_params_dict(params)


def test_from_params_takes_a_missing_bias_for_zero() -> None:
    net = fastnn.MLP.from_params({"W1": np.ones((2, 2)), "W2": np.ones((2, 1)), "b2": [3.0]})

    assert [net.backend.asnumpy(b).tolist() for b in net.biases] == [[0, 0], [3]]


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({}, ArgumentError),
        ({"b1": [1]}, ArgumentError),
        ({"W1": np.ones((2, 2)), "W3": np.ones((2, 2))}, ArgumentError),
        ({"W1": np.ones((2, 2)), "c1": [1, 1]}, ArgumentError),
        ({"W1": np.ones(2)}, ShapeError),
        ({"W1": np.ones((2, 2)), "W2": np.ones((3, 2))}, ShapeError),
        ({"W1": np.ones((2, 2)), "b1": np.ones(3)}, ShapeError),
    ],
)
def test_from_params_refuses_what_is_no_network(
    params: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error, match="need"):
        fastnn.MLP.from_params(params)


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_is_a_network_of_its_own(duplicate: Any) -> None:
    net = fastnn.MLP([4, 5, 3], "gelu", seed=0, input_scaling=(1, 2), class_names=["a", "b", "c"])
    net.fit(X, rng.integers(0, 3, 9), epochs=2)

    twin = duplicate(net)

    np.testing.assert_array_equal(twin.predict(X), net.predict(X))
    assert repr(twin) == repr(net)
    assert (twin.epochs, twin.steps, twin.seed) == (2, 2, 0)
    twin.fit(X, np.zeros(9))
    assert not np.array_equal(flat(twin), flat(net))


def test_initializers_have_their_variance() -> None:
    expected = {
        "xavier": 2 / 900, "he": 2 / 400, "lecun": 1 / 400, "normal": 1 / 400,
        "xavier_normal": 2 / 900, "he_normal": 2 / 400, "lecun_uniform": 1 / 400,
    }  # fmt: skip

    for name, variance in expected.items():
        W = fastnn.MLP([400, 500], init=name, seed=0).get_params_dict()["W1"]
        # The variance of 200,000 numbers has a relative standard deviation under 0.0032.
        assert W.var() == pytest.approx(variance, rel=0.016)
        assert abs(W.mean()) < 5 * (variance / W.size) ** 0.5
    bounded = flat(fastnn.MLP([400, 500], init="he_uniform", seed=0))
    assert np.abs(bounded).max() <= (6 / 400) ** 0.5
    assert not fastnn.MLP([3, 2], init="zeros").params.any()


def test_uniform_draws_biases_too_and_the_others_leave_them_at_zero() -> None:
    uniform, xavier = fastnn.MLP([30, 40], init="uniform", seed=0), fastnn.MLP([30, 40], seed=0)

    for tensor in uniform.get_params_dict().values():
        assert 0 <= tensor.min() < tensor.max() < 1
        assert abs(tensor.mean() - 0.5) < 0.2
    assert not xavier.biases[0].any()


def test_init_may_be_a_function() -> None:
    net = fastnn.MLP([2, 3, 1], init=lambda n_in, n_out, _: np.full((n_in, n_out), n_in))

    assert [net.backend.asnumpy(W).tolist() for W in net.weights] == [[[2] * 3] * 2, [[3]] * 3]
    with pytest.raises(ShapeError, match=r"init returned \(2,\), need \(2, 3\)"):
        fastnn.MLP([2, 3], init=lambda n_in, *_: np.zeros(n_in))
    with pytest.raises(DataError, match="a number beyond float32"):
        fastnn.MLP([2, 3], init=lambda n_in, n_out, _: np.full((n_in, n_out), 1e300))
    with pytest.raises(DTypeError, match="what init returned is complex"):
        fastnn.MLP([2, 3], init=lambda n_in, n_out, _: np.full((n_in, n_out), 1j))
    with pytest.raises(DataError, match="init returned NaN"):
        fastnn.MLP([2, 3], init=lambda n_in, n_out, _: np.full((n_in, n_out), np.nan))


def test_summary_and_repr_tell_what_it_is(device: str) -> None:
    net = fastnn.MLP([784, 50, 100, 10], ["relu", "tanh"], seed=0)

    assert repr(net) == (
        "MLP([784, 50, 100, 10], activation=['relu', 'tanh'], output='softmax', dtype='float32', "
        f"device='{device}')"
    )
    assert net.summary() == (
        "layer  shape      activation  parameters\n"
        "1      784 -> 50  relu            39,250\n"
        "2      50 -> 100  tanh             5,100\n"
        "3      100 -> 10  softmax          1,010\n"
        f"45,360 parameters, float32, on {device}"
    )
    assert repr(fastnn.MLP([4, 3], bias=False)).startswith(
        "MLP([4, 3], output='softmax', bias=False,"
    )


def test_a_network_stays_where_it_is_sent(device: str) -> None:
    net = fastnn.MLP([4, 3], seed=0)

    assert net.to(device) is net
    with pytest.raises(fastnn.errors.DeviceUnavailableError):
        net.to("cuda:99")
    assert net.device == device
    assert net.predict(X).shape == (9, 3)


def test_a_network_goes_to_another_device_and_comes_back(device: str) -> None:
    net = fastnn.MLP([4, 5, 3], "gelu", seed=0, dtype="float64", device="cpu")
    net.fit(X, rng.integers(0, 3, 9))
    before, want = flat(net).tobytes(), net.predict(X)

    net.to(device)
    there = net.device, flat(net).tobytes()
    got = net.predict(X)
    net.to("cpu")

    assert there == (device, before)
    np.testing.assert_allclose(got, want, rtol=1e-13)
    assert (net.device, flat(net).tobytes()) == ("cpu", before)
    assert (net.epochs, net.steps, net.seed) == (1, 1, 0)
