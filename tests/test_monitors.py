"""EarlyStopping, Checkpoint, the loggers and TerminateOnNaN: each against its rule."""

import csv
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import schedules
from fastnn.errors import ArgumentError, DivergenceError
from tests.iris_runs import X, adding, after, calling, fit, iris_net, state, timeless, y

pytestmark = pytest.mark.usefixtures("device")


def scripted(values: list[float]) -> dict[str, Any]:
    """A metric that takes these values, an epoch each, as `score`."""
    left = iter(values)
    return {"score": lambda Y, A: next(left)}


def rule(values: list[float], patience: int, min_delta: float, sign: int) -> tuple[Any, int]:
    """(best epoch, epochs made)."""
    best = None
    for epoch, value in enumerate(values):
        if value == value and (best is None or sign * (value - values[best]) > min_delta):
            best = epoch
        elif epoch - (best or 0) == patience:
            return best, epoch + 1
    return best, len(values)


@pytest.mark.parametrize("restore", [True, False])
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize(("patience", "min_delta"), [(1, 0.0), (2, 0.0), (3, 0.25), (2, 0.75)])
def test_early_stopping_follows_its_rule(
    patience: int, min_delta: float, mode: str, restore: bool
) -> None:
    rng, ends = np.random.default_rng(patience), set()
    stopping = fastnn.EarlyStopping("score", patience, min_delta=min_delta, mode=mode,
                                    restore_best=restore)  # fmt: skip
    for _ in range(8):  # with one object, which begins anew each time
        values = [*map(float, rng.choice([0, 0.25, 0.5, 0.75, 1, 1.25, math.nan], 7))]
        best, epochs = rule(values, patience, min_delta, 1 if mode == "max" else -1)
        net = iris_net()

        history = fit(net, stopping, epochs=7, metrics=scripted(values))

        stopped = "patience" if epochs - 1 - (best or 0) == patience else "epochs"
        assert (len(history), history.stopped) == (epochs, stopped)
        assert history.best_epoch == (best if restore else None)
        weights = epochs if best is None or not restore else best + 1
        assert state(net) == (after(weights)[0], epochs, 3 * epochs)
        ends.add(stopped)
    assert "patience" in ends


def test_early_stopping_is_patience() -> None:
    settings: dict[str, Any] = {"validation": 0.3, "epochs": 40, "optimizer": fastnn.SGD(8.0)}
    one, other = iris_net(), iris_net()

    with_callback = fit(one, fastnn.EarlyStopping("val_loss", 2), **settings)
    with_argument = fit(other, patience=2, **settings)

    assert timeless(with_callback) == timeless(with_argument)
    assert state(one) == state(other)
    assert with_callback.stopped == "patience"


@pytest.mark.parametrize(
    "made", [fastnn.EarlyStopping, lambda m: fastnn.Checkpoint("x", monitor=m)]
)
def test_an_unknown_monitor_is_refused_before_training(made: Any) -> None:
    net = iris_net()

    with pytest.raises(
        ArgumentError, match="monitor is 'val_loss', need one of loss, accuracy, f1"
    ):
        fit(net, made("val_loss"), metrics=["f1"])

    assert state(net) == after(0)


BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: fastnn.EarlyStopping(3), "monitor is 3, need the name"),  # type: ignore[arg-type]
    (lambda: fastnn.EarlyStopping("score"), "'score' is better when larger is known of"),
    (lambda: fastnn.EarlyStopping(patience=0), "patience is 0"),
    (lambda: fastnn.EarlyStopping(min_delta=-1), "min_delta is -1"),
    (lambda: fastnn.EarlyStopping(min_delta=math.nan), "min_delta is nan"),
    (lambda: fastnn.EarlyStopping(mode=""), "mode is '', need one of min, max"),
    (lambda: fastnn.EarlyStopping(restore_best=1), "restore_best is 1"),  # type: ignore[arg-type]
    (lambda: fastnn.Checkpoint("x", every=0), "every is 0"),
    (lambda: fastnn.Checkpoint("x", every=2, mode="up"), "mode is 'up'"),
    (lambda: fastnn.Checkpoint(3), "the path is 3"),  # type: ignore[arg-type]
    (lambda: fastnn.CSVLogger("\0"), "the path is"),
    (lambda: fit(iris_net(), fastnn.CSVLogger), r"callbacks\[0\] is .*: an instance, made by"),
    (lambda: fit(iris_net(), fastnn.TerminateOnNaN(), print), r"callbacks\[1\] is <built-in"),
    (lambda: iris_net().fit(X, y, callbacks=fastnn.TerminateOnNaN()), "need a list"),  # type: ignore[arg-type]
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "words"), BAD)
def test_bad_arguments_are_refused(wrong: Callable[[], Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        wrong()


def test_a_checkpoint_holds_the_best_epoch(tmp_path: Path) -> None:
    values, epochs, path = [0.5, 0.25, 1.0, 0.75, 1.0], [], tmp_path / "{best}" / "net"
    path.parent.mkdir()
    checkpoint = fastnn.Checkpoint(path, monitor="score", mode="max")
    look = calling(lambda *_: epochs.append(fastnn.load(path).epochs), "on_epoch_end")

    fit(iris_net(), checkpoint, look, epochs=5, metrics=scripted(values))

    assert epochs == [1, 1, 3, 3, 3]
    assert state(fastnn.load(path)) == after(3)


def test_a_checkpoint_is_named_by_epoch_and_figures(tmp_path: Path) -> None:
    every = fastnn.Checkpoint(tmp_path / "{epoch:03d} {val_loss:.3f}", every=2)

    history = fit(iris_net(), every, epochs=5, validation=(X, y))

    names = [f"{n:03d} {history.val_loss[n - 1]:.3f}" for n in (2, 4)]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for n, name in zip((2, 4), names, strict=True):
        assert state(fastnn.load(tmp_path / name)) == after(n)


@pytest.mark.parametrize("field", ["{val_loss}", "{}", "{0}", "{epoch:x", "{loss:d}", "{epoch.no}"])
def test_an_unknown_field_is_refused_before_training(field: str, tmp_path: Path) -> None:
    net = iris_net()

    with pytest.raises(ArgumentError, match="need no fields but epoch, loss, accuracy: "):
        fit(net, fastnn.Checkpoint(tmp_path / field, every=1))

    assert state(net) == after(0)


@pytest.mark.parametrize("made", [fastnn.CSVLogger, lambda p: fastnn.Checkpoint(p, every=9)])
def test_a_missing_folder_is_refused_before_training(made: Any, tmp_path: Path) -> None:
    net = iris_net()

    with pytest.raises(FileNotFoundError, match="there is no folder"):
        fit(net, made(tmp_path / "no" / "file"))

    assert state(net) == after(0)


def test_a_log_that_may_not_be_written_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, net = tmp_path / "log.csv", iris_net()
    path.write_text("precious")
    may = os.access  # root may write anything
    monkeypatch.setattr(os, "access", lambda name, mode: Path(name) != path and may(name, mode))

    with pytest.raises(PermissionError, match=r"log\.csv: it is not writable"):
        fit(net, fastnn.CSVLogger(path))

    assert state(net) == after(0)
    assert path.read_text() == "precious"


def table(path: Path) -> dict[str, list[float]]:
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def test_the_csv_file_is_the_history(tmp_path: Path) -> None:
    logger, rate, path = (
        fastnn.CSVLogger(tmp_path / "a"),
        fastnn.LearningRateLogger(),
        tmp_path / "a",
    )
    fit(iris_net(), logger, epochs=5)

    history = fit(iris_net(), rate, adding("late", None, 1, None), logger, epochs=3, validation=0.2)

    found = table(path)
    assert found.pop("epoch") == [0, 1, 2]
    np.testing.assert_equal(found, {name: x for name, x in history.columns.items() if x})


def test_the_learning_rate_is_that_of_the_last_step() -> None:
    rate = schedules.cosine(0.1, 9)

    history = fit(iris_net(), fastnn.LearningRateLogger(), epochs=3, optimizer=fastnn.SGD(rate))

    assert history["learning_rate"] == [rate(2), rate(5), rate(8)]


def exploding(net: fastnn.MLP, *callbacks: Any, **changes: Any) -> fastnn.History:
    """A fit whose loss overflows after some epochs."""
    settings: dict[str, Any] = {"epochs": 99, "batch_size": 1, "shuffle": False}
    settings |= {"optimizer": fastnn.SGD(4e-8), "callbacks": callbacks, **changes}
    return net.fit([[100.0], [1e4]], [1.0, 4.0], **settings)


def line_net() -> fastnn.MLP:
    return fastnn.MLP([1, 1], output="identity", seed=0)


def test_a_run_that_stops_being_finite_ends_at_its_epochs_start() -> None:
    net, other, short, seen = line_net(), line_net(), line_net(), list[str]()
    look = calling(lambda _, hook, __: seen.append(hook), "on_train_end")

    history = exploding(net, fastnn.TerminateOnNaN(), look)
    with pytest.raises(DivergenceError, match=rf"in epoch {len(history) + 1}, step 2"):
        exploding(other, look)
    short_run = exploding(short, epochs=len(history))

    assert history.stopped == "nan"
    assert np.isfinite(history.loss).all()
    assert timeless(history) == timeless(short_run) | {"stopped": "nan"}
    assert state(net) == state(other) == state(short)
    assert seen == ["on_train_end"]
