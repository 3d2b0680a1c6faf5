"""fit: what it promises about batches, stopping, divergence, interruption and history."""

import dataclasses
import io
import itertools
import sys
import threading
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.errors import DivergenceError
from fastnn.progress import Progress

pytestmark = pytest.mark.usefixtures("device")

X, y = fastnn.datasets.load_iris()
SCALING = fastnn.datasets.standard_scaling(X)


def iris_net(**changes: Any) -> fastnn.MLP:
    return fastnn.MLP([4, 5, 3], **{"seed": 0, "input_scaling": SCALING, **changes})


def flat(net: fastnn.MLP) -> Any:
    """net.params in host memory."""
    return net.backend.asnumpy(net.params)


def by_hand(net: fastnn.MLP, order: Any, batch: int, lr: float, reduction: str) -> Any:
    """One epoch of plain SGD by net.gradient, on a copy."""
    twin = fastnn.MLP.from_params(
        net.get_params_dict(), "sigmoid", "softmax", input_scaling=SCALING, seed=0
    )
    for i in range(0, len(order), batch):
        rows = order[i : i + batch]
        _, gradient = twin.gradient(X[rows], y[rows], reduction=reduction)
        twin.params[...] -= lr * twin.backend.asarray(gradient)
    return flat(twin)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("batch_size", [1, 7, 32, 149, 150, 1000, None])
def test_every_row_is_used_once_an_epoch(batch_size: int | None, reduction: str) -> None:
    net = iris_net(dtype="float64")
    want = by_hand(net, np.arange(150), min(batch_size or 150, 150), 0.01, reduction)

    net.fit(X, y, optimizer=fastnn.SGD(0.01), batch_size=batch_size, shuffle=False,
            reduction=reduction)  # fmt: skip

    np.testing.assert_allclose(flat(net), want, rtol=0, atol=1e-14)
    assert net.steps == -(-150 // min(batch_size or 150, 150))


@pytest.mark.parametrize("integer", [np.int8, np.uint8, np.int16, np.int64])
def test_numbers_of_numpy_are_numbers(integer: Any) -> None:
    small, plain = iris_net(), iris_net()

    small.fit(X, y, epochs=integer(3), batch_size=integer(100))
    plain.fit(X, y, epochs=3, batch_size=100)

    np.testing.assert_array_equal(flat(small), flat(plain))
    np.testing.assert_array_equal(small.predict(X, integer(100)), plain.predict(X, 100))


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "relu", "gelu", "silu", "identity"])
def test_accuracy_is_how_often_classify_is_right(output: str) -> None:
    net = iris_net(output=output)

    history = net.fit(X, y, loss="squared_error", batch_size=None, optimizer=fastnn.SGD(1e-12))

    share = float((net.classify(X) == y).mean())
    assert net.evaluate(X, y, "squared_error")["accuracy"] == share
    assert history.accuracy == [share]


def test_samples_are_shuffled_not_batches() -> None:
    net = iris_net(dtype="float64")
    order = fastnn.streams.generator(0, fastnn.streams.Purpose.ORDER, 0).permutation(150)
    want = by_hand(net, order, 32, 0.1, "mean")

    net.fit(X, y, batch_size=32)

    np.testing.assert_allclose(flat(net), want, rtol=0, atol=1e-14)


def test_slabs_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, cut = iris_net(), iris_net()

    whole.fit(X, y, epochs=2, batch_size=7)
    monkeypatch.setattr(type(cut.backend), "slab_bytes", 100)
    cut.fit(X, y, epochs=2, batch_size=7)

    np.testing.assert_array_equal(flat(whole), flat(cut))


def test_history_holds_means_per_row() -> None:
    net, still = iris_net(dtype="float64"), iris_net(dtype="float64")

    history = net.fit(X, y, batch_size=32, optimizer=fastnn.SGD(1e-12), reduction="sum",
                      validation=(X[:50], y[:50]))  # fmt: skip

    on_all, on_part = still.evaluate(X, y), still.evaluate(X[:50], y[:50])
    assert history.loss == [pytest.approx(on_all["loss"], rel=1e-9)]
    assert history.accuracy == [on_all["accuracy"]]
    assert history.val_loss == [pytest.approx(on_part["loss"], rel=1e-9)]
    assert history["val_accuracy"] == [on_part["accuracy"]]
    assert len(history) == len(history.seconds) == 1
    assert "1 epochs, loss=" in repr(history)
    with pytest.raises(KeyError):
        history["los"]


def test_a_regression_has_no_accuracy() -> None:
    net = fastnn.MLP([3, 4, 1], "tanh", "identity", seed=0, input_scaling=(3, 0.5))

    history = net.fit(X[:, :3], X[:, 3], epochs=50, validation=0.2)

    assert history.accuracy == history.val_accuracy == []
    assert history.val_loss[-1] < 0.1
    assert set(net.evaluate(X[:, :3], X[:, 3])) == {"loss"}


@pytest.mark.parametrize(
    ("output", "loss", "targets", "has_classes"),
    [
        ("softmax", None, y, True),
        ("softmax", None, np.full((150, 3), 1 / 3), True),
        ("sigmoid", None, np.eye(3)[y], True),
        ("sigmoid", None, np.full((150, 3), 0.5), False),
        ("sigmoid", "mean_squared_error", y, True),
        ("identity", None, X[:, :3], False),
    ],
)
def test_accuracy_is_there_where_classes_are(
    output: str, loss: str | None, targets: Any, has_classes: bool
) -> None:
    net = iris_net(output=output)

    history = net.fit(X, targets, loss=loss)

    assert bool(history.accuracy) is has_classes
    assert ("accuracy" in net.evaluate(X, targets, loss)) is has_classes


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "squared_error"])
def test_one_sigmoid_names_two_classes(loss: str) -> None:
    net = fastnn.MLP([4, 1], output="sigmoid", seed=0, input_scaling=SCALING)

    history = net.fit(X, y == 0, loss=loss, epochs=60, optimizer=fastnn.SGD(0.5, 0.9))

    assert history.accuracy[-1] == 1
    np.testing.assert_array_equal(net.classify(X), y == 0)
    assert net.evaluate(X, y == 0, loss)["accuracy"] == 1


def test_a_fraction_holds_out_rows_that_are_not_trained_on() -> None:
    marked = np.vstack([X, X[:1] + 1])
    net = iris_net()

    history = net.fit(marked, np.append(y, 0), validation=0.25, batch_size=None)

    assert net.steps == 1
    assert history.accuracy[0] * 113 == pytest.approx(round(history.accuracy[0] * 113))
    assert history.val_accuracy[0] * 38 == pytest.approx(round(history.val_accuracy[0] * 38))


def test_target_loss_stops_the_run() -> None:
    history = iris_net().fit(X, y, epochs=10**15, target_loss=0.2)

    assert history.stopped == "target_loss"
    assert history.loss[-1] <= 0.2 < history.loss[-2]
    assert len(history) < 500


def test_patience_stops_and_restores_the_best_weights() -> None:
    rng = np.random.default_rng(0)
    noise, coin = rng.normal(size=(60, 20)), rng.integers(0, 2, 60)
    net = fastnn.MLP([20, 30, 2], "tanh", seed=0)

    history = net.fit(noise[:40], coin[:40], epochs=300, patience=5,
                      validation=(noise[40:], coin[40:]))  # fmt: skip

    best = int(np.argmin(history.val_loss))
    assert history.stopped == "patience"
    assert history.best_epoch == best
    assert len(history) == best + 1 + 5
    now = net.evaluate(noise[40:], coin[40:])
    assert now["loss"] == pytest.approx(history.val_loss[best], rel=1e-6)


def test_patience_restores_the_best_weights_at_the_last_epoch_too() -> None:
    net = iris_net()

    history = net.fit(X, y, epochs=3, patience=50, optimizer=fastnn.SGD(20.0), validation=(X, y))

    assert history.stopped == "epochs"
    assert history.best_epoch == int(np.argmin(history.val_loss))
    assert net.evaluate(X, y)["loss"] == pytest.approx(min(history.val_loss), rel=1e-6)


def test_patience_looks_at_the_training_loss_without_validation() -> None:
    history = iris_net().fit(X, y, epochs=200, patience=1, optimizer=fastnn.SGD(3.0), batch_size=5)

    assert history.stopped == "patience"
    assert history.loss[-1] >= history.loss[-2]


def exploding() -> tuple[Any, Any]:
    return np.array([[1.0], [2.0], [3.0], [1e4]]), np.array([1.0, 2.0, 3.0, 4.0])


def test_divergence_says_where_and_restores_the_epochs_start() -> None:
    X, Y = exploding()
    net = fastnn.MLP([1, 1], output="identity", seed=0)
    net.fit(X[:3], Y[:3], optimizer=fastnn.SGD(0.01), shuffle=False)
    before = flat(net).tobytes(), net.epochs, net.steps

    with pytest.raises(DivergenceError) as caught:
        net.fit(np.tile(X, (10, 1)), np.tile(Y, 10), optimizer=fastnn.SGD(0.1), batch_size=1,
                shuffle=False)  # fmt: skip

    assert (flat(net).tobytes(), net.epochs, net.steps) == before
    message = str(caught.value)
    assert "the loss stopped being finite in epoch 1, step " in message
    assert "at learning rate 0.1 (last finite loss: " in message
    step = int(message.split("step ")[1].split(",")[0])
    twin = fastnn.MLP.from_params(net.get_params_dict(), output="identity")
    with np.errstate(all="ignore"):
        twin.fit(np.tile(X, (10, 1))[: step - 1], np.tile(Y, 10)[: step - 1],
                 optimizer=fastnn.SGD(0.1), batch_size=1, shuffle=False)  # fmt: skip
    assert np.isfinite(flat(twin)).all()  # all steps before the named one were sound


def test_divergence_in_a_later_epoch_keeps_what_the_earlier_ones_learned() -> None:
    X, Y = exploding()
    one_epoch, many = (fastnn.MLP([1, 1], output="identity", seed=0) for _ in range(2))
    settings: dict[str, Any] = {"optimizer": fastnn.SGD(1e-3), "batch_size": None}

    with pytest.raises(DivergenceError, match=r"epoch (\d+), step 1") as caught:
        many.fit(X, Y, epochs=100, **settings)

    done = int(str(caught.value).split("epoch ")[1].split(",")[0]) - 1
    assert done == many.epochs == many.steps > 1
    one_epoch.fit(X, Y, epochs=done, **settings)
    assert flat(one_epoch).tobytes() == flat(many).tobytes()


def test_a_parameter_may_diverge_before_the_loss() -> None:
    net = fastnn.MLP([1, 1], output="identity", seed=0, init="zeros")

    with pytest.raises(
        DivergenceError, match="a parameter stopped being finite in epoch 1, step 1,"
    ):
        net.fit([[1e10]], [1e10], loss="squared_error", optimizer=fastnn.SGD(1e30))

    assert not flat(net).any()


def test_a_network_that_was_not_finite_is_not_told_to_learn_slower() -> None:
    net = iris_net()
    net.params[3] = np.nan

    with pytest.raises(
        DivergenceError, match=r"epoch 1, step 1,.* were not finite even then: make"
    ):
        net.fit(X, y)


class Exploding(fastnn.Callback):
    """Fits another network after each epoch, which diverges."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        X, Y = exploding()
        fastnn.MLP([1, 1], output="identity").fit(X, Y, epochs=9, optimizer=fastnn.SGD(0.1))


def test_another_runs_divergence_is_not_this_ones() -> None:
    net, one_epoch = iris_net(), iris_net()

    with pytest.raises(DivergenceError):
        net.fit(X, y, epochs=2, callbacks=[fastnn.TerminateOnNaN(), Exploding()])
    one_epoch.fit(X, y)

    np.testing.assert_array_equal(flat(net), flat(one_epoch))
    assert (net.epochs, net.steps) == (one_epoch.epochs, one_epoch.steps)


class Interrupting(fastnn.Callback):
    """Presses Ctrl-C after eight steps."""

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        if batch == 7:
            raise KeyboardInterrupt


def test_ctrl_c_keeps_the_whole_steps() -> None:
    interrupted, short = iris_net(), iris_net()

    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(X, y, batch_size=10, shuffle=False, optimizer=fastnn.SGD(0.1, 0.9),
                        callbacks=[Interrupting()])  # fmt: skip
    short.fit(X[:80], y[:80], batch_size=10, shuffle=False, optimizer=fastnn.SGD(0.1, 0.9),
              execution="layers")  # fmt: skip

    np.testing.assert_array_equal(flat(interrupted), flat(short))


def test_each_fit_begins_with_fresh_momentum() -> None:
    twice, once = iris_net(), iris_net()
    optimizer = fastnn.SGD(0.1, 0.9)

    twice.fit(X, y, optimizer=optimizer, shuffle=False)
    once.set_params_dict(twice.get_params_dict())
    twice.fit(X, y, optimizer=optimizer, shuffle=False)
    once.fit(X, y, optimizer=fastnn.SGD(0.1, 0.9), shuffle=False)

    np.testing.assert_array_equal(flat(twice), flat(once))


def test_the_gaps_of_the_flat_vector_stay_zero() -> None:
    net = iris_net()

    net.fit(X, y, epochs=3, optimizer=fastnn.SGD(0.1, 0.9, nesterov=True, weight_decay=0.01))

    weighty = sum(np.abs(t).sum() for t in net.get_params_dict().values())
    assert np.abs(flat(net)).sum() == pytest.approx(weighty, rel=1e-6)
    assert net.params.size > net.layout.count


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("device", ["cpu"], indirect=True)  # a GPU may take a second to begin
@pytest.mark.parametrize(("show", "terminal", "is_shown"), [
    (None, True, False), (None, False, False), (True, False, True), (False, True, False),
])  # fmt: skip
def test_the_bar_is_for_people(
    show: bool | None, terminal: bool, is_shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)

    iris_net().fit(X, y, epochs=3, progress=show, validation=0.2)  # well under a second

    assert bool(stream.getvalue()) is is_shown
    if is_shown:
        assert "epoch 3/3" in stream.getvalue()
        assert "val_accuracy=" in stream.getvalue()
        assert "samples" in stream.getvalue()


def test_a_long_epoch_reports_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, reports = itertools.count(), []
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr("fastnn.progress.time.monotonic", lambda: next(clock))  # a second a look
    monkeypatch.setattr(Progress, "report", lambda _, epoch, figures: reports.append(figures))

    history = iris_net().fit(X, y, batch_size=50, shuffle=False, progress=True,
                             optimizer=fastnn.SGD(1e-12), execution="layers")  # fmt: skip

    first, second, third, whole = reports
    assert first == pytest.approx(iris_net().evaluate(X[:50], y[:50]))
    assert second == pytest.approx(iris_net().evaluate(X[:100], y[:100]))
    assert third == whole == history.last()


def test_input_scaling_is_as_good_as_scaling_before() -> None:
    scaled = fastnn.datasets.standardize(X)
    inside, outside = iris_net(dtype="float64"), iris_net(dtype="float64", input_scaling=None)

    inside.fit(X, y, epochs=3)
    outside.fit(scaled, y, epochs=3)

    np.testing.assert_array_equal(flat(inside), flat(outside))
    np.testing.assert_array_equal(inside.predict(X), outside.predict(scaled))


def test_predict_in_many_threads_gives_the_same_bytes() -> None:
    net = iris_net()
    want, got = net.predict(X), [np.empty(0)] * 8

    def work(i: int) -> None:
        for _ in range(50):
            got[i] = net.predict(X)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(g.tobytes() == want.tobytes() for g in got)


# Not on the stand-in, which learns as the CPU does and takes as long.
@pytest.mark.parametrize(
    "device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)], indirect=True
)
@pytest.mark.parametrize(
    ("name", "hidden", "floor"),
    [
        ("mnist", (50, 100), 0.970),
        ("mnist", (200,), 0.980),
        ("mnist-wide", (512, 512), 0.984),
    ],
)
def test_mnist_is_learned(name: str, hidden: tuple[int, ...], floor: float, mnist: Any) -> None:
    ((X, y), test), work = mnist, fastnn.workloads.WORKLOADS[name]
    work = dataclasses.replace(work, sizes=(784, *hidden, 10), scaling=lambda _: (0, 1))
    net = work.network(X, seed=0)

    net.fit(X, y, **work.training)

    assert net.evaluate(*test)["accuracy"] >= floor
