"""Dropout, penalties, averages, smoothed labels and batch sizes, beside what they mean written out.

Gradients are compared with complex-step differentiation, see test_gradients.py.
"""

import copy
import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import fastnn
from fastnn.errors import ArgumentError, CheckpointError
from fastnn_kernels import reference

pytestmark = pytest.mark.usefixtures("device")

Array = np.ndarray[Any, Any]

STEP = 1e-30
STILL = fastnn.SGD(1e-12)  # learns nothing: a history is then that of the network as it is
X, y = fastnn.datasets.load_iris()
SCALING = fastnn.datasets.standard_scaling(X)


def iris_net(**changes: Any) -> fastnn.MLP:
    return fastnn.MLP([4, 5, 6, 3], "tanh", **{"seed": 0, "input_scaling": SCALING, **changes})


def flat(net: fastnn.MLP) -> Any:
    """net.params in host memory."""
    return net.backend.asnumpy(net.params).copy()


def mask(shape: tuple[int, ...], seed: int, step: int, layer: int, rate: float) -> Array:
    """1 / (1 - rate) where an element is kept, else 0."""
    bits = np.empty(math.prod(shape), np.uint32)
    reference.philox_bits(seed, step, layer, bits)
    return (bits.reshape(shape) >= int(rate * 2**32)) / (1 - rate)


def entropy(p: Any, Y: Any) -> Any:
    return -(Y * np.log(p)).sum(axis=1)


def softmax(Z: Any) -> Any:
    return np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)


def minimized(
    net: fastnn.MLP, params: Array, X: Array, Y: Array, where: tuple[int, int],
    *, l1: float = 0.0, l2: float = 0.0, label_smoothing: float = 0.0, reduction: str = "mean",
) -> Any:  # fmt: skip
    """What a step of a tanh network goes down, in complex numbers; where: (seed, step)."""
    tensors, A, k = net.layout.views(params), (X - SCALING[0]) * SCALING[1], net.sizes[-1]
    penalty: Any = 0.0
    for layer in range(1, len(net.sizes)):
        W = tensors[f"W{layer}"]
        penalty += (l1 * W * np.sign(W.real) + l2 / 2 * W**2).sum()
        Z = A @ W + tensors[f"b{layer}"]
        if layer < len(net.sizes) - 1:
            rate = net.architecture.dropout[layer - 1]
            A = np.tanh(Z) * mask(Z.shape, *where, layer, rate)
    rows = entropy(softmax(Z), (1 - label_smoothing) * Y + label_smoothing / k)
    return penalty + (rows.mean() if reduction == "mean" else rows.sum())


def complex_step(net: fastnn.MLP, params: Array, *arguments: Any, **how: Any) -> Array:
    gradient = np.zeros(params.size)
    for name, start in net.layout.offsets.items():
        for i in range(start, start + math.prod(net.layout.shapes[name])):
            moved = params.astype(complex)
            moved[i] += 1j * STEP
            gradient[i] = minimized(net, moved, *arguments, **how).imag / STEP
    return gradient


@pytest.mark.parametrize("dropout", [0.4, [0.0, 0.5], [0.3, 0.0]], ids=str)
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"l1": 0.01, "l2": 0.1},
        {"reduction": "sum", "l1": 0.01, "l2": 0.1},
        {"label_smoothing": 0.2},
    ],
    ids=str,
)
def test_a_step_follows_the_gradient_of_what_is_minimized(dropout: Any, how: Any) -> None:
    net = iris_net(dropout=dropout, dtype="float64")
    net.fit(X, y, batch_size=50)
    rows, seed, want = np.arange(0, 150, 9)[:17], 11, flat(net)
    assert net.steps == 3
    for step, start in enumerate(range(0, 17, 7)):  # batches of 7, 7 and 3 rows
        part = rows[start : start + 7]
        want -= 0.5 * complex_step(net, want, X[part], np.eye(3)[y[part]], (seed, 3 + step), **how)

    net.fit(X[rows], y[rows], optimizer=fastnn.SGD(0.5), batch_size=7, shuffle=False, seed=seed,
            **how)  # fmt: skip

    np.testing.assert_allclose(flat(net), want, rtol=0, atol=1e-12 * np.abs(want).max())


def kept(net: fastnn.MLP, **how: Any) -> list[Array]:
    """Which units of the two hidden layers a step on one row keeps; the network is as before.

    All activations are 1, so that an entry of dW is zero only where a unit is dropped: of dW3
    where it is one of layer 2, of dW2 in each row of layer 1's.
    """
    d, a, b, k = net.sizes
    net.set_params_dict({
        "W1": np.zeros((d, a)), "b1": np.ones(a), "W2": np.zeros((a, b)), "b2": np.ones(b),
        "W3": np.ones((b, k)), "b3": np.zeros(k),
    })  # fmt: skip
    net.fit(np.zeros((1, d)), np.full((1, k), 1e4), optimizer=fastnn.SGD(1e-3), **how)
    after = net.get_params_dict()
    return [(after["W2"] != 0).any(axis=1), (after["W3"] != 1).any(axis=1)]


def wide_net(**changes: Any) -> fastnn.MLP:
    return fastnn.MLP([2, 64, 64, 1], "identity", "identity",
                      **{"seed": 0, "dropout": 0.5, "dtype": "float64", **changes})  # fmt: skip


def test_masks_are_those_of_the_seed_the_step_and_the_layer() -> None:
    net = wide_net(dropout=[0.5, 0.25])

    got = [kept(net), kept(net), kept(net, seed=5)]

    for step, (seed, (first, second)) in enumerate(zip([0, 0, 5], got, strict=True)):
        np.testing.assert_array_equal(first, mask((64,), seed, step, 1, 0.5) > 0)
        np.testing.assert_array_equal(second, mask((64,), seed, step, 2, 0.25) > 0)


def test_masks_differ_between_layers_steps_and_seeds_and_are_repeated() -> None:
    net = wide_net()
    masks = [*kept(net), *kept(net), *kept(net, seed=5), *kept(wide_net(seed=1))]

    again = wide_net()

    assert len({m.tobytes() for m in masks}) == len(masks) == 8
    assert all(10 < m.sum() < 54 for m in masks)  # 32 +- 5.5 standard deviations
    np.testing.assert_array_equal([*kept(again), *kept(again)], masks[:4])


def test_two_fits_are_one_with_dropout() -> None:
    once, twice = iris_net(dropout=0.4), iris_net(dropout=0.4)

    once.fit(X, y, epochs=3)
    twice.fit(X, y)
    twice.fit(X, y, epochs=2)

    assert flat(once).tobytes() == flat(twice).tobytes()


def test_slabs_do_not_change_the_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, cut = iris_net(dropout=0.4), iris_net(dropout=0.4)

    whole.fit(X, y, batch_size=7)
    monkeypatch.setattr(type(cut.backend), "slab_bytes", 100)
    cut.fit(X, y, batch_size=7)

    assert flat(whole).tobytes() == flat(cut).tobytes()


def test_dropout_is_for_training_alone() -> None:
    net, plain = iris_net(dropout=0.5), iris_net()
    net.fit(X, y)
    plain.set_params_dict(net.get_params_dict())

    np.testing.assert_array_equal(net.predict(X), plain.predict(X))
    np.testing.assert_array_equal(net.classify(X), plain.classify(X))
    assert net.evaluate(X, y, metrics=["f1"]) == plain.evaluate(X, y, metrics=["f1"])
    np.testing.assert_array_equal(net.gradient(X, y)[1], plain.gradient(X, y)[1])
    assert net.steps == 5


def test_the_training_loss_has_dropout_and_the_validation_loss_has_not() -> None:
    net = iris_net(dropout=0.5, dtype="float64")
    Z = minimized(net, flat(net), X, np.eye(3)[y], (0, 0))

    history = net.fit(X, y, validation=(X, y), optimizer=STILL, batch_size=None, shuffle=False)

    assert history.loss == [pytest.approx(Z, rel=1e-10)]
    assert history.val_loss == [pytest.approx(iris_net(dtype="float64").evaluate(X, y)["loss"])]
    assert history.loss[0] != pytest.approx(history.val_loss[0], rel=1e-3)


@pytest.mark.parametrize("dropout", [0, 0.0, [0, 0], np.zeros(2)], ids=str)
def test_no_dropout_is_the_network_without(dropout: Any) -> None:
    net, plain = iris_net(dropout=dropout), iris_net()

    net.fit(X, y, epochs=2)
    plain.fit(X, y, epochs=2)

    assert flat(net).tobytes() == flat(plain).tobytes()
    assert net.architecture == plain.architecture
    assert repr(net) == repr(plain)
    assert net.summary() == plain.summary()


def test_a_tiny_rate_drops_nothing_and_one_near_1_nearly_all() -> None:
    everything, nothing = kept(wide_net(dropout=1e-12)), kept(wide_net(dropout=1 - 1e-12))

    assert all(m.all() for m in everything)
    assert not any(m.any() for m in nothing)


@pytest.mark.parametrize("how", ["save", "pickle", "deepcopy", "to"])
def test_dropout_stays_with_the_network(how: str, tmp_path: Path) -> None:
    net, twin = iris_net(dropout=[0.25, 0.0]), iris_net(dropout=[0.25, 0.0])
    net.fit(X, y)
    twin.fit(X, y)

    if how == "save":
        net.save(tmp_path / "net")
        net = fastnn.load(tmp_path / "net")
    elif how == "to":
        net = net.to("cpu").to(twin.device)
    else:
        net = copy.deepcopy(net) if how == "deepcopy" else pickle.loads(pickle.dumps(net))

    assert net.architecture.dropout == (0.25, 0.0)
    assert "dropout=[0.25, 0.0]" in repr(net)
    lines = net.summary().splitlines()
    assert [("dropout 0.25" in line) for line in lines] == [False, True, *[False] * 3]
    net.fit(X, y)
    twin.fit(X, y)
    assert flat(net).tobytes() == flat(twin).tobytes()  # the masks went on


def test_one_rate_for_all_is_shown_once() -> None:
    assert ", dropout=0.3," in repr(iris_net(dropout=[0.3, 0.3]))


BAD_RATES: list[tuple[Any, str]] = [
    (1, r"dropout is 1, need a finite number in \[0, 1\)"),
    (1.0, r"dropout is 1\.0, need"),
    (-0.1, r"dropout is -0\.1, need"),
    (math.nan, "dropout is nan, need"),
    ("0.5", r"dropout is '0\.5', need"),
    (True, "dropout is True, need"),
    (None, "dropout is None, need"),
    ([0.5], r"dropout is \[0\.5\], need a number, or a list of 2 for the hidden layers"),
    ([0.5] * 3, r"need a number, or a list of 2"),
    ([0.5, 1.5], r"dropout is 1\.5, need"),
    ([0.5, None], "dropout is None, need"),
]


@pytest.mark.parametrize(("dropout", "words"), BAD_RATES, ids=str)
def test_a_bad_rate_is_refused(dropout: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        iris_net(dropout=dropout)


def rewrite(path: Path, dropout: Any) -> None:
    """Let a saved network say another dropout."""
    with safetensors.safe_open(path, "numpy") as file:
        record = json.loads(file.metadata()["fastnn"])
    assert "dropout" in record["architecture"]
    record["architecture"]["dropout"] = dropout
    safetensors.numpy.save_file(
        safetensors.numpy.load_file(path), path, {"fastnn": json.dumps(record)}
    )


@pytest.mark.parametrize(
    "dropout", [1, -0.5, "0.5", [0.5], [0.5, 2.0], None, {}, [[0.5]] * 2], ids=str
)
def test_an_unknown_dropout_in_a_file_is_refused(dropout: Any, tmp_path: Path) -> None:
    path = tmp_path / "net"
    iris_net(dropout=0.5).save(path)
    rewrite(path, [0.5, 0.25])
    assert fastnn.load(path).architecture.dropout == (0.5, 0.25)

    rewrite(path, dropout)

    with pytest.raises(CheckpointError, match="dropout is"):
        fastnn.load(path)


def test_penalties_are_of_weights_and_not_of_biases() -> None:
    net = fastnn.MLP([3, 4, 2], "tanh", "identity", dtype="float64", seed=0)
    for b in net.biases:
        b[...] = 0.5
    rest, before = np.zeros((6, 3)), net.get_params_dict()
    want = np.tanh(before["b1"]) @ before["W2"] + before["b2"]

    net.fit(rest, np.tile(want, (6, 1)), optimizer=fastnn.SGD(0.5), l1=0.01, l2=0.1)  # loss 0

    after = net.get_params_dict()
    for name, p in before.items():
        step = 0.5 * (0.01 * np.sign(p) + 0.1 * p) if name.startswith("W") else 0
        np.testing.assert_allclose(after[name], p - step, rtol=0, atol=1e-15)


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-6), ("float64", 1e-14)])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_l2_is_weight_decay_where_there_are_no_biases(
    momentum: float, dtype: str, bound: float
) -> None:
    """A product is rounded once more in one of them: 15 steps of half an ulp of 1."""
    penalized, decayed = (iris_net(bias=False, dtype=dtype) for _ in range(2))

    penalized.fit(X, y, optimizer=fastnn.SGD(0.1, momentum), l2=0.05, epochs=3)
    decayed.fit(X, y, optimizer=fastnn.SGD(0.1, momentum, weight_decay=0.05), epochs=3)

    np.testing.assert_allclose(flat(penalized), flat(decayed), rtol=0, atol=bound)


def test_histories_are_without_penalties() -> None:
    net = iris_net(dtype="float64")
    worth = net.evaluate(X, y)["loss"]

    history = net.fit(X, y, optimizer=STILL, l1=1.0, l2=1.0, validation=(X, y))

    assert history.loss == [pytest.approx(worth, rel=1e-9)]
    assert history.val_loss == [pytest.approx(worth, rel=1e-9)]


def test_penalties_are_clipped_as_part_of_the_gradient() -> None:
    net = iris_net(dtype="float64")
    before = flat(net)

    net.fit(X, y, l1=100.0, l2=100.0, optimizer=fastnn.SGD(1.0, clip_norm=0.01), batch_size=None)

    # PyTorch's clip_grad_norm_ divides by the norm + 1e-6; it is at least 100 here
    assert np.linalg.norm(flat(net) - before) == pytest.approx(0.01, rel=1e-7)


class Watching(fastnn.Callback):
    """Remembers the parameters after each step."""

    def __init__(self) -> None:
        self.steps: list[Array] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.steps.append(flat(self.model))


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99, lambda t: t / (t + 1)])
@pytest.mark.parametrize("optimizer", [fastnn.SGD, fastnn.Adam])
def test_the_average_is_of_the_parameters_of_a_plain_run(optimizer: Any, decay: Any) -> None:
    net, plain, watching = iris_net(dtype="float64"), iris_net(dtype="float64"), Watching()

    plain.fit(X, y, optimizer=optimizer(), epochs=3, callbacks=[watching])
    net.fit(X, y, optimizer=optimizer(ema=decay), epochs=3)

    first, *others = watching.steps
    average = first
    for t, p in enumerate(others, start=1):
        keep = decay(t) if callable(decay) else decay
        average = keep * average + (1 - keep) * p
    assert len(watching.steps) == 15
    np.testing.assert_allclose(flat(net), average, rtol=0, atol=1e-14)


def test_an_average_that_keeps_nothing_is_the_plain_run() -> None:
    net, plain = iris_net(dropout=0.2), iris_net(dropout=0.2)

    how: dict[str, Any] = {"epochs": 3, "validation": 0.2, "execution": "layers"}

    with_average = net.fit(X, y, optimizer=fastnn.Adam(ema=0.0), **how)
    without = plain.fit(X, y, optimizer=fastnn.Adam(), **how)

    assert flat(net).tobytes() == flat(plain).tobytes()
    assert with_average.val_loss == without.val_loss


def test_what_is_validated_is_the_average() -> None:
    net, plain = iris_net(), iris_net()
    how: dict[str, Any] = {"epochs": 4, "validation": (X, y), "metrics": ["mse"],
                           "execution": "layers"}  # fmt: skip

    history = net.fit(X, y, optimizer=fastnn.SGD(0.5, ema=0.9), **how)
    without = plain.fit(X, y, optimizer=fastnn.SGD(0.5), **how)

    now = net.evaluate(X, y, metrics=["mse"])
    assert history.loss == without.loss  # of what is trained
    assert history.val_loss[-1] == now["loss"] != without.val_loss[-1]
    assert history["val_mse"][-1] == history["mse"][-1] == now["mse"]
    assert history.val_accuracy[-1] == now["accuracy"]


def test_patience_restores_the_best_average() -> None:
    rng = np.random.default_rng(0)
    noise, coin = rng.normal(size=(60, 20)), rng.integers(0, 2, 60)
    net, short = (fastnn.MLP([20, 30, 2], "tanh", seed=0) for _ in range(2))
    how: dict[str, Any] = {"validation": (noise[40:], coin[40:]), "execution": "layers",
                           "optimizer": fastnn.SGD(0.3, ema=0.7)}  # fmt: skip

    history = net.fit(noise[:40], coin[:40], epochs=300, patience=5, **how)

    best = int(np.argmin(history.val_loss))
    short.fit(noise[:40], coin[:40], epochs=best + 1, **how)
    assert (history.stopped, history.best_epoch) == ("patience", best)
    assert len(history) == best + 1 + 5
    assert flat(net).tobytes() == flat(short).tobytes()
    # By other sums, where the prediction is compiled; the next epoch's is 2 % off.
    now = net.evaluate(noise[40:], coin[40:])
    assert now["loss"] == pytest.approx(min(history.val_loss), rel=1e-6)


def test_a_diverged_run_leaves_the_average_of_the_epochs_start() -> None:
    net, short = iris_net(), iris_net()
    rates = fastnn.schedules.joined([(10, 0.1), 1e38])

    with pytest.raises(fastnn.errors.DivergenceError, match="in epoch 3"):
        net.fit(X, y, epochs=5, optimizer=fastnn.SGD(rates, ema=0.9))
    short.fit(X, y, epochs=2, optimizer=fastnn.SGD(0.1, ema=0.9))

    assert flat(net).tobytes() == flat(short).tobytes()
    assert (net.epochs, net.steps) == (short.epochs, short.steps)


def smoothed_loss(net: fastnn.MLP, Y: Array, amount: float) -> Any:
    """Per row, of net's predictions, by Szegedy et al. (2016), 7."""
    A = net.predict(X)
    if net.output == "softmax":
        return entropy(A, (1 - amount) * Y + amount / net.sizes[-1])
    Y = (1 - amount) * Y + amount / 2
    return -(Y * np.log(A) + (1 - Y) * np.log(1 - A)).sum(axis=1)


TARGETS: list[tuple[str, int, Any, Array]] = [
    ("softmax", 3, y, np.eye(3)[y]),
    ("softmax", 3, np.eye(3)[y], np.eye(3)[y]),
    ("softmax", 3, np.tile([0.2, 0.3, 0.5], (150, 1)), np.tile([0.2, 0.3, 0.5], (150, 1))),
    ("sigmoid", 1, y == 1, (y == 1)[:, None] * 1.0),
    ("sigmoid", 3, np.stack([y == 0, y >= 1, X[:, 0] > 5.8], 1),
     np.stack([y == 0, y >= 1, X[:, 0] > 5.8], 1) * 1.0),
]  # fmt: skip


@pytest.mark.parametrize(("output", "k", "targets", "rows"), TARGETS, ids=lambda v: str(v)[:12])
def test_smoothed_losses_by_formula(output: str, k: int, targets: Any, rows: Array) -> None:
    net = fastnn.MLP([4, 5, k], "tanh", output, dtype="float64", seed=0, input_scaling=SCALING)
    weights = np.linspace(0, 2, 150)
    want, worth = smoothed_loss(net, rows, 0.2), net.evaluate(X, targets)

    smooth = net.fit(X, targets, optimizer=STILL, label_smoothing=0.2, validation=(X, targets))
    weighted = net.fit(X, targets, optimizer=STILL, label_smoothing=0.2, sample_weight=weights)

    assert smooth.loss == [pytest.approx(want.mean(), rel=1e-9)]
    assert weighted.loss == [pytest.approx((weights * want).mean(), rel=1e-9)]
    assert smooth.val_loss == [pytest.approx(worth["loss"], rel=1e-9)]  # not smoothed
    accuracy = [worth["accuracy"]] if "accuracy" in worth else []
    assert smooth.accuracy == smooth.val_accuracy == weighted.accuracy == accuracy
    assert bool(accuracy) is not (output == "sigmoid" and k == 3)


def test_smoothed_labels_are_smoothed_rows() -> None:
    of_labels, of_rows, by_hand = iris_net(), iris_net(), iris_net()

    first = of_labels.fit(X, y, epochs=3, label_smoothing=0.25)
    second = of_rows.fit(X, np.eye(3)[y], epochs=3, label_smoothing=0.25)
    third = by_hand.fit(X, 0.75 * np.eye(3)[y] + 0.25 / 3, epochs=3)

    assert flat(of_labels).tobytes() == flat(of_rows).tobytes()
    np.testing.assert_allclose(flat(by_hand), flat(of_rows), rtol=0, atol=1e-5)
    assert first.accuracy == second.accuracy == third.accuracy
    assert first.loss == second.loss == pytest.approx(third.loss, rel=1e-5)


def test_class_weights_are_of_the_labels_before_they_are_smoothed() -> None:
    by_class, by_sample = iris_net(), iris_net()

    by_class.fit(X, y, label_smoothing=0.3, class_weight={0: 2.0, 2: 0.5})
    by_sample.fit(X, y, label_smoothing=0.3, sample_weight=np.array([2.0, 1.0, 0.5])[y])

    assert flat(by_class).tobytes() == flat(by_sample).tobytes()


@pytest.mark.parametrize("loss", ["squared_error", "mean_squared_error", "huber"])
def test_other_losses_have_no_labels_to_smooth(loss: str) -> None:
    net = iris_net(output="sigmoid")
    before = flat(net).tobytes()

    with pytest.raises(ArgumentError, match=r"label_smoothing=0\.1 needs loss cross_entropy or "
                                            f"binary_cross_entropy, not '{loss}'"):  # fmt: skip
        net.fit(X, y, loss=loss, label_smoothing=0.1)

    assert (flat(net).tobytes(), net.epochs, net.steps) == (before, 0, 0)
    net.fit(X, y, loss=loss, label_smoothing=0.0)


def test_a_schedule_of_batch_sizes_is_a_fit_for_each() -> None:
    scheduled, apart = iris_net(dropout=0.3), iris_net(dropout=0.3)
    sizes = [5, 40, 1000, 33]

    history = scheduled.fit(X, y, epochs=4, batch_size=lambda epoch: sizes[epoch],
                            execution="layers")  # fmt: skip
    losses = [apart.fit(X, y, batch_size=size, execution="layers").loss[0] for size in sizes]

    assert flat(scheduled).tobytes() == flat(apart).tobytes()
    assert history.loss == losses
    assert scheduled.steps == 30 + 4 + 1 + 5
    assert scheduled.epochs == 4


@pytest.mark.parametrize(
    ("schedule", "size"),
    [
        (fastnn.schedules.constant(32), 32),
        (lambda epoch: np.int64(32), 32),
        (lambda epoch: 31.6, 32),
        (lambda epoch: 1e300, None),
        (lambda epoch: 1, 1),
    ],
)
def test_a_constant_schedule_is_its_size(schedule: Any, size: int | None) -> None:
    scheduled, plain = iris_net(), iris_net()

    how: dict[str, Any] = {"epochs": 2, "optimizer": fastnn.SGD(0.1, 0.9), "execution": "layers"}

    scheduled.fit(X, y, batch_size=schedule, **how)
    plain.fit(X, y, batch_size=size, **how)

    assert flat(scheduled).tobytes() == flat(plain).tobytes()


def at_3(value: Any) -> Any:
    return lambda epoch: value if epoch == 3 else 32


BAD: list[tuple[dict[str, Any], str]] = [
    ({"l1": -1e-9}, "l1 is -1e-09, need a finite number >= 0"),
    ({"l1": math.nan}, "l1 is nan, need"),
    ({"l2": -1}, "l2 is -1, need"),
    ({"l2": math.inf}, "l2 is inf, need"),
    ({"l2": "0.1"}, r"l2 is '0\.1', need"),
    ({"l2": None}, "l2 is None, need"),
    ({"label_smoothing": 1}, r"label_smoothing is 1, need a finite number in \[0, 1\)"),
    ({"label_smoothing": -0.1}, r"label_smoothing is -0\.1, need"),
    ({"label_smoothing": math.nan}, "label_smoothing is nan, need"),
    ({"label_smoothing": True}, "label_smoothing is True, need"),
    ({"batch_size": at_3(0)}, "batch_size at epoch 3 is 0, need a finite number >= 1"),
    ({"batch_size": at_3(0.6)}, r"batch_size at epoch 3 is 0\.6, need"),
    ({"batch_size": at_3(-5)}, "batch_size at epoch 3 is -5, need"),
    ({"batch_size": at_3(math.nan)}, "batch_size at epoch 3 is nan, need"),
    ({"batch_size": at_3(math.inf)}, "batch_size at epoch 3 is inf, need"),
    ({"batch_size": at_3(None)}, "batch_size at epoch 3 is None, need"),
    ({"batch_size": at_3("32")}, "batch_size at epoch 3 is '32', need"),
    ({"batch_size": int}, "batch_size is <class 'int'>, need an integer >= 1"),
]


@pytest.mark.parametrize(("how", "words"), BAD, ids=lambda v: str(v)[:30])
def test_bad_settings_change_nothing(how: dict[str, Any], words: str) -> None:
    net = iris_net()
    before = flat(net).tobytes()

    with pytest.raises(ArgumentError, match=words):
        net.fit(X, y, epochs=5, **how)

    assert (flat(net).tobytes(), net.epochs, net.steps) == (before, 0, 0)


@pytest.mark.parametrize("ema", [1, 1.0, -0.1, math.nan, "0.9", True, lambda t: 1.0])
def test_an_average_that_keeps_all_is_refused(ema: Any) -> None:
    with pytest.raises(ArgumentError, match=r"ema( at step 0)? is .*, need a finite number in"):
        fastnn.Adam(ema=ema)
