"""Callbacks: when they are called, with what, and what is left when one raises."""

import copy
import csv
import gc
import itertools
import math
import pickle
import signal
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.errors import ArgumentError
from tests.iris_runs import X, adding, after, calling, fit, iris_net, state, timeless, y

pytestmark = pytest.mark.usefixtures("device", "interruptible")

HOOKS = ["on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end",
         "on_epoch_end", "on_train_end"]  # fmt: skip


def raising(hook: str, error: type[BaseException], *turns: int) -> Any:
    """A callback that raises when hook is called for these times, the first being 0."""
    turn = itertools.count()

    def enough(*_: Any) -> None:
        if next(turn) in turns:
            raise error("enough")

    return calling(enough, hook)


@pytest.mark.parametrize("hooks", [HOOKS, [h for h in HOOKS if "batch" not in h]], ids=len)
def test_hooks_are_called_in_order_with_the_figures(hooks: list[str]) -> None:
    seen: list[Any] = []
    hooked = "on_train_batch_begin", "on_train_batch_end"
    batches = [(hook, batch) for batch in range(3) for hook in hooked]
    epochs = [[("on_epoch_begin", i), *batches, ("on_epoch_end", i)] for i in (0, 1)]
    calls = [("on_train_begin",), *epochs[0], *epochs[1], ("on_train_end",)]
    watching = calling(lambda _, hook, values: seen.append((hook, *copy.copy(values))), *hooks)

    history = fit(iris_net(), watching, validation=(X, y))

    assert [(h, *(v for v in values if isinstance(v, int))) for h, *values in seen] == [
        call for call in calls if call[0] in hooks
    ]
    assert [call[2] for call in seen if call[0] == "on_epoch_end"] == list(history)
    assert list(history[0]) == ["loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    assert watching.watches_batches is (hooks is HOOKS)


def test_a_batchs_logs_are_the_means_so_far() -> None:
    logs: list[Any] = []
    watching = calling(lambda _, hook, values: logs.append(values[1]), "on_train_batch_end")

    fit(iris_net(), watching, epochs=1, shuffle=False, optimizer=fastnn.SGD(1e-12))

    assert logs == [pytest.approx(iris_net().evaluate(X[:n], y[:n])) for n in (50, 100, 150)]


def test_numbers_added_to_the_logs_become_columns() -> None:
    history = fit(iris_net(), adding("late", None, np.float32(0.5)), adding("early", 3, None))

    np.testing.assert_array_equal(history["late"], [math.nan, 0.5])
    np.testing.assert_array_equal(history["early"], [3, math.nan])
    assert {type(x) for column in history.columns.values() for x in column} == {float}


@pytest.mark.parametrize(
    "value", ["0.5", True, 1j, [1.0], np.ones(1), 10**400], ids=lambda x: repr(x)[:9]
)
def test_what_is_no_number_is_refused_after_the_epoch(value: Any) -> None:
    net = iris_net()

    with pytest.raises(ArgumentError, match=r"the figure 'more' is .*, need a number"):
        fit(net, adding("more", 1, value), epochs=3)

    assert state(net) == after(2)


def test_a_run_is_stopped_after_the_epoch_and_the_next_begins_anew() -> None:
    def stop(callback: Any, hook: str, arguments: Any) -> None:
        callback.model.stop_training = True

    net = iris_net()

    history = fit(net, calling(stop, "on_train_batch_begin"), epochs=9)

    assert (len(history), history.stopped, state(net)) == (1, "callback", after(1))
    assert fit(net).stopped == "epochs"
    assert net.epochs == 3


@pytest.mark.parametrize(
    ("hook", "turn", "epochs"),
    [
        ("on_train_begin", 0, 0),
        ("on_epoch_begin", 1, 1),
        ("on_train_batch_begin", 4, 1),
        ("on_train_batch_end", 5, 1),
        ("on_epoch_end", 1, 2),
        ("on_train_end", 0, 3),
    ],
)
def test_an_exception_leaves_whole_epochs(hook: str, turn: int, epochs: int) -> None:
    net = iris_net(dropout=0.5)
    whole = iris_net(dropout=0.5)
    if epochs:
        fit(whole, epochs=epochs)

    with pytest.raises(ZeroDivisionError, match="enough"):
        fit(net, raising(hook, ZeroDivisionError, turn), epochs=3)

    assert state(net) == state(whole)


TURNS = {  # epoch 8 is the best, epoch 10 the last
    "on_train_begin": (0, 1), "on_epoch_begin": (0, 2, 9), "on_train_batch_begin": (0, 1, 6, 28),
    "on_train_batch_end": (0, 3, 5, 27), "on_epoch_end": (0, 9, 12), "on_train_end": (0, 1),
}  # fmt: skip


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("hook", HOOKS)
def test_a_run_interrupted_in_a_hook_ends_with_the_same_bytes(
    hook: str, turned: bool, tmp_path: Path
) -> None:
    def run(net: fastnn.MLP, stranger: Any, **changes: Any) -> fastnn.History:
        own = fastnn.EarlyStopping(patience=2), fastnn.CSVLogger(tmp_path / "csv")
        callbacks = [fastnn.LearningRateLogger(), *own, stranger]
        return fit(net, *(callbacks[::-1] if turned else callbacks), epochs=12, validation=0.3,
                   metrics=["f1"], optimizer=fastnn.Adam(0.4, ema=0.2), **changes)  # fmt: skip

    net, got, times = iris_net(dropout=0.25), None, 0
    want = run(net, raising(hook, KeyboardInterrupt))
    stranger = raising(hook, KeyboardInterrupt, *TURNS[hook])
    while got is None:
        other = iris_net(dropout=0.25)
        try:
            got = run(other, stranger, checkpoint=tmp_path / "run", resume=True)
        except KeyboardInterrupt:
            times += 1

    assert times == len(TURNS[hook])
    assert timeless(got) == timeless(want)
    assert state(other) == state(net)
    assert (len(want), want.best_epoch, want.stopped) == (11, 8, "patience")
    with open(tmp_path / "csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_loss"]) for row in rows] == got.val_loss
    assert [float(row["seconds"]) for row in rows] == got.seconds


def test_a_callback_may_fit_another_network() -> None:
    net, inner, seen = iris_net(), iris_net(seed=1), []

    def train(*_: Any) -> None:
        before = signal.getsignal(signal.SIGINT)
        fit(inner, epochs=1)
        seen.append(signal.getsignal(signal.SIGINT) == before != signal.default_int_handler)

    fit(net, calling(train, "on_epoch_end"))

    alone = iris_net(seed=1)
    fit(alone, epochs=1)
    fit(alone, epochs=1)
    assert (state(net), state(inner), seen) == (after(2), state(alone), [True, True])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_run_in_another_thread_is_the_same() -> None:
    net = iris_net()
    seen: list[str] = []
    look = calling(lambda _, hook, __: seen.append(hook), *HOOKS)
    thread = threading.Thread(target=fit, args=(net, look))

    thread.start()
    thread.join()

    assert state(net) == after(2)
    assert seen[-1] == "on_train_end"


def test_nothing_holds_a_run_that_is_over() -> None:
    net, plain = iris_net(), iris_net()
    runs: list[Any] = []
    look = calling(lambda callback, *_: runs.append(weakref.ref(callback.run)), *HOOKS)
    stopping = fastnn.EarlyStopping("loss")
    fit(plain)

    fit(net, look, stopping)

    assert len(pickle.dumps(net)) == len(pickle.dumps(plain))
    for twin in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        np.testing.assert_array_equal(twin.predict(X), net.predict(X))
    gc.collect()
    assert [run() for run in runs] == [None] * len(runs)
    assert pickle.loads(pickle.dumps(stopping)).best == stopping.best
