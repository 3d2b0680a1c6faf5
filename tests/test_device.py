"""Networks on a GPU: what is copied and when, where results are, and what is refused.

`standin` counts; `on_gpu` is a real GPU too, where there is one.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import cli
from fastnn.errors import DataError, DeviceError, DeviceMemoryError, DTypeError
from fastnn_kernels import face

rng = np.random.default_rng(0)
IMAGES = rng.integers(0, 256, (1000, 20), np.uint8)
LABELS = (IMAGES[:, 0] > 127).astype(np.uint8)


def image_net(device: str, **changes: Any) -> fastnn.MLP:
    settings = {"seed": 0, "input_scaling": (0, 1 / 255), "dtype": "float64", **changes}
    return fastnn.MLP([20, 8, 2], "tanh", device=device, **settings)


def params(net: fastnn.MLP) -> Any:
    return net.backend.asnumpy(net.params)


def test_data_are_copied_once_and_raw(standin: Any) -> None:
    net = image_net("cuda")
    standin.uploads.clear()

    net.fit(IMAGES, LABELS, epochs=5)

    X, y, scaling = (np.dtype("u1"), 20_000), (np.dtype("u1"), 1000), (np.dtype("f8"), 8)
    order = (np.dtype("i8"), 8000)
    assert standin.uploads == [X, scaling, scaling, y, *[order] * 5]


def test_an_epoch_waits_once(standin: Any) -> None:
    few, many = image_net("cuda"), image_net("cuda")

    standin.waits.clear()
    few.fit(IMAGES, LABELS, epochs=2, batch_size=7)
    at_few = len(standin.waits)
    many.fit(IMAGES, LABELS, epochs=9, batch_size=7)

    assert len(standin.waits) - at_few == at_few + 7


def test_an_epoch_gathers_once(standin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    def take(X: Any, rows: Any, axis: int) -> Any:
        taken.append(len(rows))
        return standin.ndarray(X.memory.take(rows.memory, axis))

    monkeypatch.setattr(standin.ndarray, "take", take, raising=False)

    image_net("cuda").fit(IMAGES, LABELS, epochs=3, batch_size=7)

    assert taken == [1000, 1000, 1000]


def test_arrays_on_the_gpu_stay_there(standin: Any) -> None:
    net, X, y = image_net("cuda"), standin.asarray(IMAGES), standin.asarray(LABELS)
    standin.uploads.clear()
    standin.waits.clear()

    answers = net.predict(X), net.logits(X), net.classify(X)

    assert all(isinstance(answer, standin.ndarray) for answer in answers)
    assert all(size < 100 for _, size in standin.uploads)  # the scaling alone
    assert "get" not in standin.waits
    net.fit(X, y, epochs=1)
    assert [size for _, size in standin.uploads if size > 100] == [8000]  # the order


def test_results_are_where_the_input_is(on_gpu: fastnn.Backend) -> None:
    net, twin = image_net("cuda"), image_net("cpu")
    X, y = on_gpu.xp.asarray(IMAGES), on_gpu.xp.asarray(LABELS)

    for ask in (fastnn.MLP.predict, fastnn.MLP.logits, fastnn.MLP.classify):
        on_host, on_device, want = ask(net, IMAGES), ask(net, X), ask(twin, IMAGES)
        assert type(on_host) is np.ndarray
        assert type(on_device) is on_gpu.xp.ndarray
        # A logit near 0 is a difference of products near 1, summed in another order.
        np.testing.assert_allclose(on_host, want, rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(on_gpu.asnumpy(on_device), want, rtol=1e-13, atol=1e-14)
    assert net.predict(X[0]).shape == (2,)
    assert type(net.gradient(IMAGES, LABELS)[1]) is np.ndarray
    assert type(net.gradient(X, y)[1]) is on_gpu.xp.ndarray


def test_training_is_the_same_from_either_side(on_gpu: fastnn.Backend) -> None:
    from_host, from_device, twin = image_net("cuda"), image_net("cuda"), image_net("cpu")
    pair = on_gpu.xp.asarray(IMAGES), on_gpu.xp.asarray(LABELS)

    histories = [
        from_host.fit(IMAGES, LABELS, epochs=3, validation=0.25),
        from_device.fit(*pair, epochs=3, validation=0.25),
        twin.fit(IMAGES, LABELS, epochs=3, validation=0.25),
    ]

    assert params(from_host).tobytes() == params(from_device).tobytes()
    np.testing.assert_allclose(params(from_host), twin.params, rtol=0, atol=1e-12)
    for history in histories[:2]:
        np.testing.assert_allclose(history.val_loss, histories[2].val_loss, rtol=1e-11)
        assert history.val_accuracy == histories[2].val_accuracy
    assert from_host.evaluate(*pair) == from_host.evaluate(IMAGES, LABELS)


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "identity"])
@pytest.mark.parametrize("loss", [None, "mean_squared_error"])
def test_targets_may_live_on_the_gpu(on_gpu: fastnn.Backend, output: str, loss: str | None) -> None:
    net, twin = (image_net(device, output=output) for device in ("cuda", "cpu"))
    for Y in (LABELS, np.eye(2)[LABELS]):
        if output == "sigmoid" and loss is None and Y.ndim == 1:
            continue
        there = on_gpu.xp.asarray(Y)

        history = net.fit(on_gpu.xp.asarray(IMAGES), there, loss=loss, epochs=2)
        want = twin.fit(IMAGES, Y, loss=loss, epochs=2)

        np.testing.assert_allclose(history.loss, want.loss, rtol=1e-11)
        assert history.accuracy == want.accuracy


def test_sides_are_not_mixed(on_gpu: fastnn.Backend) -> None:
    net, at_home = image_net("cuda"), image_net("cpu")
    X, y = on_gpu.xp.asarray(IMAGES), on_gpu.xp.asarray(LABELS)
    before = params(net).tobytes()

    for use in (net.fit, net.evaluate, net.gradient):
        with pytest.raises(DeviceError, match=r"X is on cuda:0, Y on cpu: move one of them, for "
                                              r"example Y = net.backend.asarray\(Y\)"):  # fmt: skip
            use(X, LABELS)
        with pytest.raises(DeviceError, match="X is on cpu, Y on cuda:0"):
            use(IMAGES, y)
    with pytest.raises(DeviceError, match=r"for example Y = cupy\.asnumpy\(Y\)"):
        at_home.fit(IMAGES, y)
    with pytest.raises(DeviceError, match="of the validation data: X is on cpu, Y on cuda:0"):
        net.fit(X, y, validation=(IMAGES, y))
    for ask in (at_home.predict, at_home.classify):
        with pytest.raises(DeviceError, match=r"X is on cuda:0, the network on cpu: .*net\.to"):
            ask(X)
    with pytest.raises(DeviceError, match="W1 is on cuda:0, the network on cpu"):
        at_home.set_params_dict(at_home.get_params_dict() | {"W1": net.weights[0]})

    assert params(net).tobytes() == before


def test_weights_on_another_side_are_refused(on_gpu: fastnn.Backend) -> None:
    net, weights = image_net("cuda"), np.ones(1000)
    X, y = on_gpu.xp.asarray(IMAGES), on_gpu.xp.asarray(LABELS)
    before = params(net).tobytes()

    with pytest.raises(
        DeviceError,
        match=r"X is on cpu, sample_weight on cuda:0: move one of them"
        r".* sample_weight = cupy\.asnumpy\(sample_weight\)",
    ):
        net.fit(IMAGES, LABELS, sample_weight=on_gpu.xp.asarray(weights))
    with pytest.raises(DeviceError, match=r"X is on cuda:0, sample_weight on cpu: .*net\.backend"):
        net.fit(X, y, sample_weight=weights)

    assert (params(net).tobytes(), net.epochs, net.steps) == (before, 0, 0)


def test_weights_may_live_on_the_gpu(on_gpu: fastnn.Backend) -> None:
    weights, there = rng.uniform(0, 2, 1000), on_gpu.xp.asarray
    from_host, from_device, twin = image_net("cuda"), image_net("cuda"), image_net("cpu")
    how: Any = {"class_weight": "balanced", "epochs": 2, "validation": 0.25}

    from_host.fit(IMAGES, LABELS, sample_weight=weights, **how)
    from_device.fit(there(IMAGES), there(LABELS), sample_weight=there(weights), **how)
    twin.fit(IMAGES, LABELS, sample_weight=weights, **how)

    assert params(from_host).tobytes() == params(from_device).tobytes()
    np.testing.assert_allclose(params(from_host), twin.params, rtol=0, atol=1e-12)


def test_bad_content_on_the_gpu_is_refused(on_gpu: fastnn.Backend) -> None:
    net = fastnn.MLP([2, 2], device="cuda", seed=0)
    y = on_gpu.xp.asarray([0, 1])
    before = params(net).tobytes()

    with pytest.raises(DataError, match=r"X\[1, 0\] is nan, need finite"):
        net.fit(on_gpu.xp.asarray([[1, 2], [np.nan, 3]]), y)
    with pytest.raises(DataError, match=r"Y has label 2, need 0 to 1 .*first at row 1\)"):
        net.fit(on_gpu.xp.ones((2, 2)), y * 2)
    with pytest.raises(DTypeError, match="X is complex64"):
        net.predict(on_gpu.xp.ones((2, 2), "complex64"))

    assert params(net).tobytes() == before


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble", ">f4", "?"])
def test_any_real_type_is_taken(dtype: str, on_gpu: fastnn.Backend) -> None:
    X = (IMAGES[:40] > 100).astype(dtype)

    got = image_net("cuda").predict(X)

    np.testing.assert_allclose(got, image_net("cpu").predict(X), rtol=1e-13)


def test_parameters_come_from_either_side(on_gpu: fastnn.Backend) -> None:
    net, other = image_net("cuda", seed=1), image_net("cuda", seed=2)
    there = {"W1": net.weights[0], "b1": net.biases[0], "W2": net.weights[1], "b2": net.biases[1]}

    other.set_params_dict(there)
    same = fastnn.MLP.from_params(there, "tanh", device="cuda")
    home = fastnn.MLP.from_params(net.get_params_dict(), "tanh", device="cpu")

    assert same.dtype == np.float64
    for twin in (other, same, home):
        assert params(twin).tobytes() == params(net).tobytes()


@pytest.mark.parametrize("name", [*face.ELEMENTWISE, "softmax", "log_softmax"])
def test_functional_takes_arrays_on_the_gpu(name: str, on_gpu: fastnn.Backend) -> None:
    Z = rng.normal(size=(3, 4)).astype(np.float32)
    there, function = on_gpu.xp.asarray(Z), getattr(fastnn.functional, name)

    A = function(there)

    assert type(A) is on_gpu.xp.ndarray
    assert A.dtype == np.float32
    np.testing.assert_allclose(on_gpu.asnumpy(A), function(Z), rtol=3e-7, atol=1e-9)
    if name != "log_softmax":
        grad = getattr(fastnn.functional, f"{name}_grad")
        got = on_gpu.asnumpy(grad(A, there))
        np.testing.assert_allclose(got, grad(function(Z), Z), rtol=1e-5, atol=1e-6)


class Tensor:
    """Another library's array on a GPU: an interface, and a device with an index."""

    def __init__(self, array: Any, index: int) -> None:
        self.__cuda_array_interface__ = array.__cuda_array_interface__
        self.device = type("device", (), {"index": index})
        self.array = array


def test_arrays_of_other_libraries_tell_their_device(on_gpu: fastnn.Backend) -> None:
    array = on_gpu.xp.asarray(IMAGES)

    assert fastnn.backend.device_of(Tensor(array, 1)) == "cuda:1"
    assert fastnn.backend.device_of(array) == "cuda:0"
    assert fastnn.backend.device_of(IMAGES) == fastnn.backend.device_of([1]) == "cpu"
    with pytest.raises(DeviceError, match="X is on cuda:1, the network on cuda:0"):
        image_net("cuda").predict(Tensor(array, 1))


def test_a_network_keeps_to_its_gpu(standin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standin.cuda.runtime, "count", 2)

    net = image_net("cuda:1")
    net.fit(IMAGES, LABELS, validation=0.1)
    with standin.cuda.Device(1):
        X = standin.asarray(IMAGES)

    assert {W.device.id for W in net.weights} == {1}
    assert net.backend.asarray([1]).device.id == net.backend.zeros(1).device.id == 1
    assert net.predict(X).device.id == 1
    with pytest.raises(DeviceError, match="X is on cuda:1, the network on cuda:0"):
        image_net("cuda:0").predict(X)
    assert params(net.to("cuda:0")).shape == net.params.shape


def test_data_beyond_the_gpu_stream_through_it(
    standin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = rng.normal(size=(5000, 20))
    y = (X[:, 0] > 0).astype(int)
    nets = [image_net(device, input_scaling=None) for device in ("cuda", "cpu")]
    for net in nets:  # BLAS may add up the same products of other blocks in another order
        monkeypatch.setattr(type(net.backend), "block", lambda backend, width: 128)

    with standin.cuda.limit(400_000):  # X alone has 800,000 bytes
        standin.uploads.clear()
        history = nets[0].fit(X, y, epochs=2, batch_size=16, validation=0.2, execution="layers")
        slabs = [size for dtype, size in standin.uploads if dtype == np.float64]
        outputs = nets[0].predict(X)
    want = nets[1].fit(X, y, epochs=2, batch_size=16, validation=0.2, execution="layers")

    assert params(nets[0]).tobytes() == nets[1].params.tobytes()
    assert history.val_loss == want.val_loss
    np.testing.assert_array_equal(outputs, nets[1].predict(X, execution="layers"))
    assert max(slabs) < 400_000
    assert not any(stream.pending for stream in standin.cuda.Stream.made)


def test_streamed_integers_travel_as_they_are(standin: Any) -> None:
    wide = np.tile(IMAGES, 10)
    streamed, resident = (
        fastnn.MLP([200, 2], device="cuda", seed=0, input_scaling=(0, 1 / 255)) for _ in range(2)
    )
    resident.fit(wide, LABELS, epochs=2)

    with standin.cuda.limit(300_000):
        standin.uploads.clear()
        streamed.fit(wide, LABELS, epochs=2)

    raw = [size for dtype, size in standin.uploads if dtype == np.uint8 and size != LABELS.nbytes]
    assert len(raw) > 4
    assert sum(raw) == 3 * wide.nbytes  # looked at once, and used in two epochs
    assert params(streamed).tobytes() == params(resident).tobytes()


def test_streamed_rows_keep_their_weights(standin: Any) -> None:
    X = rng.normal(size=(5000, 20))
    y, weights = (X[:, 0] > 0).astype(int), rng.uniform(0, 2, 5000)
    nets = [image_net(device, input_scaling=None) for device in ("cuda", "cpu")]
    how: Any = {
        "sample_weight": weights,
        "class_weight": {1: 3},
        "epochs": 2,
        "batch_size": 16,
        "execution": "layers",
    }

    with standin.cuda.limit(500_000):  # X alone has 800,000 bytes
        standin.uploads.clear()
        history = nets[0].fit(X, y, **how)
        slabs = [size for _, size in standin.uploads]
    want = nets[1].fit(X, y, **how)

    assert max(slabs) < 500_000
    assert params(nets[0]).tobytes() == nets[1].params.tobytes()
    assert history.loss == want.loss


def test_out_of_memory_names_bytes_and_keeps_the_network(standin: Any) -> None:
    net = image_net("cuda")
    net.fit(IMAGES, LABELS)
    before = params(net).tobytes(), net.epochs, net.steps

    words = r"cuda:0 has not enough memory: .* [\d,]+ bytes.*; [\d,]+ bytes are free"
    for spare in (0, 1000, 9000, 20_000, 40_000):
        with standin.cuda.limit(spare), pytest.raises(DeviceMemoryError, match=words) as caught:
            net.fit(IMAGES, LABELS, batch_size=None)
        assert isinstance(caught.value, MemoryError)
        assert (params(net).tobytes(), net.epochs, net.steps) == before
    net.fit(IMAGES, LABELS, batch_size=10)


class CUBLASError(RuntimeError):
    """As CuPy has it."""

    __module__ = "cupy_backends.cuda.libs.cublas"


SPOILT: dict[str, Any] = {
    "memory": (lambda cuda: cuda.memory.take(2**40), DeviceMemoryError, "Out of memory"),
    "pinned memory": (
        lambda cuda: cuda.runtime.CUDARuntimeError(2, "cudaErrorMemoryAllocation: out of memory"),
        DeviceMemoryError, "has not enough memory: cudaErrorMemoryAllocation",
    ),
    "memory of cuBLAS": (
        lambda _: CUBLASError("CUBLAS_STATUS_ALLOC_FAILED"),
        DeviceMemoryError, "has not enough memory: CUBLAS_STATUS_ALLOC_FAILED",
    ),
    "cuBLAS": (lambda _: CUBLASError("CUBLAS_STATUS_EXECUTION_FAILED"), DeviceError, "failed: CUB"),
    "an address": (
        lambda cuda: cuda.runtime.CUDARuntimeError(700, "cudaErrorIllegalAddress"),
        DeviceError, r"cuda:0 failed: cudaErrorIllegalAddress.*start a new one",
    ),
    "the driver": (
        lambda cuda: cuda.driver.CUDADriverError("CUDA_ERROR_ILLEGAL_ADDRESS"),
        DeviceError, r"cuda:0 failed: CUDA_ERROR_ILLEGAL_ADDRESS",
    ),
    "somebody else": (lambda _: RuntimeError("mine"), RuntimeError, "^mine$"),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_a_fault_in_the_middle_restores_the_epochs_start(name: str, standin: Any) -> None:
    happen, error, words = SPOILT[name]
    net = image_net("cuda")
    before = params(net).tobytes()
    steps = iter(range(100))

    class Faulty(fastnn.Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            if next(steps) == 9:
                raise happen(standin.cuda)

    with pytest.raises(error, match=words) as caught:
        net.fit(IMAGES, LABELS, callbacks=[Faulty()])

    assert type(caught.value) is error
    assert params(net).tobytes() == before
    assert (net.epochs, net.steps) == (0, 0)


def test_a_network_that_does_not_fit_stays_where_it_was(standin: Any) -> None:
    net = image_net("cpu")
    weights = net.weights[0]
    fastnn.get_backend("cuda")

    with standin.cuda.limit(100), pytest.raises(DeviceMemoryError):
        net.to("cuda")

    assert net.device == "cpu"
    assert net.weights[0] is not None
    assert np.shares_memory(net.weights[0], weights)


def test_a_network_moves_there_and_back(on_gpu: fastnn.Backend) -> None:
    net = image_net("cpu", class_names=("dark", "light"))
    want, before = net.predict(IMAGES), net.params.tobytes()

    assert net.to("cuda") is net
    assert net.device == "cuda:0"
    np.testing.assert_allclose(net.predict(IMAGES), want, rtol=1e-13)
    assert net.to("cuda:0").to("cpu").params.tobytes() == before
    assert (net.class_names, net.seed) == (("dark", "light"), 0)
    np.testing.assert_array_equal(net.predict(IMAGES), want)


def test_repeats_on_the_gpu_are_bit_equal(on_gpu: fastnn.Backend) -> None:
    nets = [image_net("cuda", dtype="float32") for _ in range(3)]

    for net in nets:
        net.fit(IMAGES, LABELS, epochs=4, batch_size=33, optimizer=fastnn.SGD(0.1, 0.9))

    assert len({params(net).tobytes() for net in nets}) == 1


HOST_ONLY: dict[str, Any] = {
    "input_scaling": lambda X: fastnn.MLP([20, 2], input_scaling=(X[0], 1.0)),
    "split": lambda X: fastnn.datasets.split(X, X[:, 0]),
    "standard_scaling": lambda X: fastnn.datasets.standard_scaling(X),
    "one_hot": lambda X: fastnn.datasets.one_hot(X[:, 0], 256),
    "init": lambda X: fastnn.MLP([20, 2], init=lambda *_: X[:20, :2]),
    "a list": lambda X: fastnn.MLP([20, 2]).predict([X[0], X[1]]),
}


@pytest.mark.parametrize("name", HOST_ONLY)
def test_what_works_on_the_host_says_so(name: str, on_gpu: fastnn.Backend) -> None:
    with pytest.raises(fastnn.errors.FastnnError, match=r"cupy\.asnumpy|to a NumPy array"):
        HOST_ONLY[name](on_gpu.xp.asarray(IMAGES))


def test_a_tensor_that_does_not_show_itself_is_refused() -> None:
    class NeedsGradient:
        @property
        def __cuda_array_interface__(self) -> Any:
            raise RuntimeError("use tensor.detach()")

    with pytest.raises(DTypeError, match=r"does not show itself: use tensor\.detach\(\)"):
        fastnn.MLP([2, 2]).predict(NeedsGradient())


@pytest.mark.parametrize("device", ["cuda:0", "cuda:1"])
def test_a_quantity_is_learned_on_the_gpu_too(
    device: str, standin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standin.cuda.runtime, "count", 2)
    X, _ = fastnn.datasets.load_iris()
    np.savetxt(tmp_path / "iris.csv", X * 100, delimiter=",", fmt="%.6g")
    train = ["train", str(tmp_path / "iris.csv"), "--loss", "mean_squared_error", "--epochs", "5",
             "--seed", "3", "--execution", "layers", "--save"]  # fmt: skip

    assert cli.main([*train, str(tmp_path / "there"), "--device", device]) == 0
    assert cli.main([*train, str(tmp_path / "here"), "--device", "cpu"]) == 0

    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()


def test_a_gpu_without_memory_ends_the_command(
    standin: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fastnn.get_backend("cuda")

    with standin.cuda.limit(1000):
        code = cli.main(["train", "iris", "--device", "cuda"])

    assert code == 74
    assert "fastnn: cuda:0 has not enough memory" in capsys.readouterr().err
