"""A run that was stopped, whenever and however, ends with the bytes of one that never was."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import checkpoint, fused, schedules, snapshots
from fastnn.errors import ArgumentError, CheckpointError
from fastnn.progress import Progress

pytestmark = pytest.mark.usefixtures("device", "interruptible", "short_parts")

ROOT = Path(__file__).parent.parent

X, y = fastnn.datasets.load_iris()
SCALING = fastnn.datasets.standard_scaling(X)
STEPS = 40  # of a run of 10 batches in each of 4 epochs

RUNS: dict[str, Callable[[], dict[str, Any]]] = {
    "sgd": lambda: {"optimizer": fastnn.SGD(0.1)},
    "momentum on schedules": lambda: {
        "optimizer": fastnn.SGD(schedules.one_cycle(0.1, STEPS), schedules.cosine(0.9, STEPS, 0.5)),
    },
    "nesterov in the rows' order": lambda: {
        "optimizer": fastnn.SGD(0.05, 0.9, nesterov=True), "shuffle": False,
    },
    "adam averaged": lambda: {"optimizer": fastnn.Adam(0.01, ema=0.9), "validation": 0.2},
    "adamw clipped": lambda: {"optimizer": fastnn.AdamW(0.01, clip_norm=0.1), "patience": 1},
    "rmsprop with penalties": lambda: {"optimizer": fastnn.RMSprop(0.01), "l1": 1e-3, "l2": 1e-3},
    "adagrad on weighted rows": lambda: {
        "optimizer": fastnn.AdaGrad(0.1), "label_smoothing": 0.1, "class_weight": {0: 2},
    },
    "growing batches": lambda: {"batch_size": schedules.step(10, 2, 2.0)},
    "callbacks": lambda: {
        "validation": (X[::3], y[::3]), "metrics": ["f1"],
        "callbacks": [fastnn.EarlyStopping("val_f1", 2), fastnn.LearningRateLogger()],
    },
}  # fmt: skip


@pytest.fixture
def short_parts() -> Iterator[None]:
    """The fused trainer returns after each batch, as if each took half a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused, "SECONDS", 1e-9)
        yield


def iris_net(seed: int = 0) -> fastnn.MLP:
    return fastnn.MLP([4, 6, 5, 3], "tanh", dropout=0.25, seed=seed, input_scaling=SCALING)


def fit(net: fastnn.MLP, name: str, **changes: Any) -> tuple[Any, ...]:
    """What a run made, apart from the time it took."""
    settings = {"epochs": 4, "batch_size": 15, "seed": 0} | RUNS[name]() | changes
    history = net.fit(X, y, **settings)
    figures = {name: x for name, x in history.columns.items() if name != "seconds"}
    return flat(net), net.epochs, net.steps, figures, history.best_epoch, history.stopped


def flat(net: fastnn.MLP) -> bytes:
    return net.backend.asnumpy(net.params).tobytes()


def stopping_at(step: int) -> Callable[..., None]:
    """A Progress.advance that presses Ctrl-C after so many steps."""
    left = step

    def advance(_: Progress, samples: int) -> None:
        nonlocal left
        left -= samples > 0
        if left == 0:
            left = -1
            signal.raise_signal(signal.SIGINT)

    return advance


@pytest.mark.parametrize("name", RUNS)
def test_a_run_interrupted_anywhere_ends_with_the_same_bytes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = iris_net()
    want = fit(whole, name)

    for step in random.Random(name).sample(range(1, whole.steps + 1), 6):
        folder, net = tmp_path / str(step), iris_net()
        with monkeypatch.context() as patch:
            patch.setattr(Progress, "advance", stopping_at(step))
            with pytest.raises(KeyboardInterrupt):
                fit(net, name, checkpoint=folder)
        assert net.steps == step
        again = iris_net(seed=1)  # whose weights are replaced

        assert fit(again, name, checkpoint=folder, resume=True) == want


def test_a_run_interrupted_again_and_again_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    want = fit(iris_net(), "adam averaged")

    for _ in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(Progress, "advance", stopping_at(8))
            with pytest.raises(KeyboardInterrupt):
                fit(iris_net(), "adam averaged", checkpoint=tmp_path, resume=True)

    assert fit(iris_net(), "adam averaged", checkpoint=tmp_path, resume=True) == want


def test_a_run_that_diverges_ends_where_the_whole_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(**changes: Any) -> tuple[Any, ...]:
        net = fastnn.MLP([1, 1], output="identity", seed=0)
        history = net.fit([[100.0], [1e4]], [1.0, 4.0], epochs=99, batch_size=1, shuffle=False,
                          optimizer=fastnn.SGD(4e-8), callbacks=[fastnn.TerminateOnNaN()],
                          **changes)  # fmt: skip
        return flat(net), net.epochs, net.steps, history.loss, history.stopped

    want = run()
    with monkeypatch.context() as patch:  # in the epoch that its second step spoils
        patch.setattr(Progress, "advance", stopping_at(want[2] + 1))
        with pytest.raises(KeyboardInterrupt):
            run(checkpoint=tmp_path)

    resumed, finished = (run(checkpoint=tmp_path, resume=True) for _ in range(2))

    assert want[-1] == "nan"
    assert resumed == finished == want


def test_a_callback_used_elsewhere_may_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = fastnn.EarlyStopping("loss", 9)
    want = fit(iris_net(), "sgd", callbacks=[fastnn.EarlyStopping("loss", 9)])
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "advance", stopping_at(3))
        with pytest.raises(KeyboardInterrupt):
            fit(iris_net(), "sgd", callbacks=[used], checkpoint=tmp_path)
    fastnn.MLP([4, 3]).fit(X, y, callbacks=[used])  # of which it has the weights now

    got = fit(iris_net(), "sgd", callbacks=[used], checkpoint=tmp_path, resume=True)

    assert got == want


class Stopping(fastnn.Callback):
    """Asks for the end of the run after its second step."""

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.model.stop_training |= self.run.step == 2


def test_a_run_that_was_to_stop_after_the_epoch_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    want = fit(iris_net(), "sgd", callbacks=[Stopping()])
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "advance", stopping_at(5))
        with pytest.raises(KeyboardInterrupt):
            fit(iris_net(), "sgd", callbacks=[Stopping()], checkpoint=tmp_path)

    got = fit(iris_net(), "sgd", callbacks=[Stopping()], checkpoint=tmp_path, resume=True)

    assert got == want
    assert got[-1] == "callback"


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    net = iris_net()
    want = fit(iris_net(), "adamw clipped", checkpoint=tmp_path)

    got = fit(net, "adamw clipped", checkpoint=tmp_path, resume=True)

    assert got == want


def test_a_finished_run_goes_on_for_more_epochs(tmp_path: Path) -> None:
    want = fit(iris_net(), "sgd", epochs=6)
    fit(iris_net(), "sgd", checkpoint=tmp_path)

    assert fit(iris_net(), "sgd", epochs=6, checkpoint=tmp_path, resume=True) == want


def test_resuming_where_nothing_is_begins(tmp_path: Path) -> None:
    folder = tmp_path / "new"

    assert fit(iris_net(), "sgd", checkpoint=folder, resume=True) == fit(iris_net(), "sgd")
    assert len(list(folder.iterdir())) == 1


def test_signals_in_the_middle_of_a_step_wait_for_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net, short = iris_net(), iris_net()
    update = fastnn.SGD.begin

    def begin(*arguments: Any) -> Callable[[int], None]:
        step = update(*arguments)

        def interrupted(t: int) -> None:
            if t == 4:
                signal.raise_signal(signal.SIGINT)
            step(t)
            if t == 4:
                signal.raise_signal(signal.SIGINT)

        return interrupted

    monkeypatch.setattr(fastnn.SGD, "begin", begin)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, batch_size=10, shuffle=False, execution="layers")
    monkeypatch.undo()
    short.fit(X[:50], y[:50], batch_size=10, shuffle=False, execution="layers")

    assert net.steps == short.steps == 5
    assert flat(net) == flat(short)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


OTHERS: list[tuple[dict[str, Any], str]] = [
    ({"batch_size": 16}, "batch_size is 15 there and 16 here"),
    ({"optimizer": fastnn.SGD(0.2)}, r"optimizer is SGD\(.*learning_rate=0.1.*learning_rate=0.2"),
    ({"optimizer": fastnn.Adam()}, r"optimizer is SGD\(.*Adam\("),
    ({"shuffle": False}, "shuffle is True there and False here"),
    ({"seed": 7}, "seed is 0 there and 7 here"),
    ({"l2": 0.1}, r"l2 is 0.0 there and 0.1 here"),
    ({"class_weight": {1: 2}}, "other training data"),
    ({"validation": 0.5}, "other training data; other validation data"),
    ({"optimizer": fastnn.SGD(lambda _: 0.1)}, r"numbers of the first step is \[\] there"),
    ({"epochs": 3}, "it is in epoch 4, and this one is to have 3"),
]


@pytest.mark.parametrize(("changes", "words"), OTHERS)
def test_another_run_is_refused(changes: Any, words: str, tmp_path: Path) -> None:
    fit(iris_net(), "sgd", checkpoint=tmp_path)
    files, net = sorted(tmp_path.iterdir()), iris_net()
    before = flat(net)

    with pytest.raises(ArgumentError, match=f"has another run: .*{words}"):
        fit(net, "sgd", checkpoint=tmp_path, resume=True, **changes)

    assert flat(net) == before
    assert sorted(tmp_path.iterdir()) == files


def test_another_function_as_a_schedule_is_refused(tmp_path: Path) -> None:
    def fit_at(rate: float, **resume: Any) -> None:
        fit(iris_net(), "sgd", optimizer=fastnn.SGD(lambda step: rate / (1 + step)),
            checkpoint=tmp_path, **resume)  # fmt: skip

    fit_at(0.1)

    with pytest.raises(ArgumentError, match=r"is \[0.1\] there and \[0.2\] here"):
        fit_at(0.2, resume=True)


def test_callbacks_and_metrics_may_come_and_go(tmp_path: Path) -> None:
    fit(iris_net(), "callbacks", checkpoint=tmp_path)
    watched: dict[str, Any] = {"callbacks": [fastnn.CSVLogger(tmp_path / "log.csv")]}

    params, epochs, _, figures, _, _ = fit(
        iris_net(), "callbacks", checkpoint=tmp_path, resume=True, epochs=6, metrics=["top_2"],
        **watched,
    )  # fmt: skip

    plain: dict[str, Any] = {"metrics": [], "callbacks": []}
    assert (params, epochs) == fit(iris_net(), "callbacks", epochs=6, **plain)[:2]
    assert np.isnan(figures["top_2"]).tolist() == [True] * 4 + [False] * 2
    assert np.isnan(figures["learning_rate"]).tolist() == [False] * 4 + [True] * 2
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 7


def test_a_run_that_ran_out_of_patience_goes_on_with_more(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"optimizer": fastnn.SGD(3.0), "epochs": 30}
    short = fit(iris_net(), "sgd", patience=1, checkpoint=tmp_path, **settings)
    assert short[-1] == "patience"

    assert fit(iris_net(), "sgd", patience=1, checkpoint=tmp_path, resume=True, **settings) == short
    longer = fit(iris_net(), "sgd", patience=4, checkpoint=tmp_path, resume=True, **settings)
    assert longer == fit(iris_net(), "sgd", patience=4, **settings)


def test_weights_that_another_monitor_kept_are_not_restored(tmp_path: Path) -> None:
    fit(iris_net(), "sgd", callbacks=[fastnn.EarlyStopping("loss", 9)], checkpoint=tmp_path)
    last, *_ = fit(iris_net(), "sgd", epochs=5)
    first: Any = fastnn.EarlyStopping("loss", 9, mode="max")  # the best is the first epoch
    none: Any = fastnn.EarlyStopping("loss", 9, restore_best=False)

    with pytest.warns(RuntimeWarning, match="the weights of epoch 0, the best by loss, were not"):
        params, *_, best_epoch, _ = fit(iris_net(), "sgd", callbacks=[first], epochs=5,
                                        checkpoint=tmp_path, resume=True)  # fmt: skip
    again, *_, without, _ = fit(iris_net(), "sgd", callbacks=[none], epochs=5,
                                checkpoint=tmp_path, resume=True)  # fmt: skip

    assert params == again == last
    assert best_epoch is without is None


class Counting(fastnn.Callback):
    """Counts its epochs, and stops after five."""

    def __init__(self) -> None:
        self.seen, self.has_begun = 0, False

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.seen, self.has_begun = self.seen + 1, True
        self.model.stop_training = self.seen == 5

    def state(self) -> dict[str, Any]:
        return {"seen": self.seen, "has_begun": self.has_begun}

    def restore(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]
        assert state["has_begun"] is True


def test_a_callback_has_its_numbers_back(tmp_path: Path) -> None:
    fit(iris_net(), "sgd", callbacks=[Counting()], checkpoint=tmp_path, epochs=3)

    *_, figures, _, stopped = fit(iris_net(), "sgd", callbacks=[Counting()], checkpoint=tmp_path,
                                  resume=True, epochs=9)  # fmt: skip

    assert len(figures["loss"]) == 5
    assert stopped == "callback"


@pytest.mark.parametrize(
    "bad", ["text", None, np.zeros(3), np.zeros_like(iris_net().params, np.float16), [1]], ids=str
)
def test_a_state_that_no_snapshot_can_hold_is_refused_before_training(
    bad: Any, tmp_path: Path
) -> None:
    class Bad(fastnn.Callback):
        def state(self) -> dict[str, Any]:
            return {"seen": bad}

    net = iris_net()

    with pytest.raises(ArgumentError, match=r"state of Bad.0 has seen=.*need int, float or a vec"):
        fit(net, "sgd", callbacks=[Bad()], checkpoint=tmp_path)
    assert net.steps == 0


def test_another_network_is_refused(tmp_path: Path) -> None:
    fit(iris_net(), "sgd", checkpoint=tmp_path)
    net = fastnn.MLP([4, 7, 3], seed=0)

    with pytest.raises(ArgumentError, match=r"sizes is \[4, 6, 5, 3\] there and \[4, 7, 3\] here"):
        fit(net, "sgd", checkpoint=tmp_path, resume=True)


def test_a_run_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    fit(iris_net(), "sgd", checkpoint=tmp_path)

    with pytest.raises(ArgumentError, match="has a run already: give resume=True"):
        fit(iris_net(), "sgd", checkpoint=tmp_path)


def test_resuming_needs_a_folder() -> None:
    with pytest.raises(ArgumentError, match="resume=True needs checkpoint=FOLDER"):
        fit(iris_net(), "sgd", resume=True)


def test_a_folder_that_cannot_be_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    net = iris_net()

    for folder in (tmp_path / "file", tmp_path / "no" / "folder"):
        with pytest.raises(OSError, match=r"not a folder|No such"):
            fit(net, "sgd", checkpoint=folder)
    with pytest.raises(ArgumentError, match="the path is 3"):
        fit(net, "sgd", checkpoint=3)
    assert net.steps == 0


def test_the_last_two_are_kept_and_a_damaged_one_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "SECONDS", 0.0)
    monkeypatch.setattr(snapshots, "SHARE", 0)
    want = fit(iris_net(), "adam averaged", checkpoint=tmp_path)
    _, last = sorted(tmp_path.iterdir())
    last.write_bytes(last.read_bytes()[:-7])

    with pytest.warns(RuntimeWarning, match="damaged or foreign.*going on from the one before"):
        got = fit(iris_net(), "adam averaged", checkpoint=tmp_path, resume=True)

    assert got == want
    for path in tmp_path.iterdir():
        path.write_bytes(b"nothing")
    with pytest.raises(CheckpointError), pytest.warns(RuntimeWarning):
        fit(iris_net(), "adam averaged", checkpoint=tmp_path, resume=True)


@pytest.mark.parametrize("place", ["tensors", "record"])
def test_a_changed_byte_is_seen(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "SECONDS", 0.0)
    monkeypatch.setattr(snapshots, "SHARE", 0)
    want = fit(iris_net(), "sgd", checkpoint=tmp_path)
    last = max(tmp_path.iterdir())
    content = bytearray(last.read_bytes())
    content[-1 if place == "tensors" else content.index(b"first_step") + 15] ^= 1
    last.write_bytes(content)

    with pytest.warns(RuntimeWarning, match="going on from the one before"):
        assert fit(iris_net(), "sgd", checkpoint=tmp_path, resume=True) == want


def test_other_files_in_the_folder_stay(tmp_path: Path) -> None:
    names = ["step-5.safetensors", "step-6.safetensors", ".step-mine.part", "notes"]
    for name in names:
        (tmp_path / name).write_text("mine")

    want = fit(iris_net(), "sgd", checkpoint=tmp_path, resume=True)

    assert [(tmp_path / name).read_text() for name in names] == ["mine"] * 4
    assert fit(iris_net(), "sgd", checkpoint=tmp_path, resume=True) == want


@pytest.mark.skipif(os.name != "posix", reason="there are no locks of folders")
def test_a_folder_has_one_run_at_a_time(tmp_path: Path) -> None:
    other = snapshots.Snapshots(tmp_path, resume=True)

    with pytest.raises(ArgumentError, match="another run is at work in"):
        fit(iris_net(), "sgd", checkpoint=tmp_path, resume=True)
    other.close()

    fit(iris_net(), "sgd", checkpoint=tmp_path, resume=True)


def test_a_refusal_on_resuming_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    fit(iris_net(), "sgd", checkpoint=tmp_path)
    net = iris_net(seed=1)
    before = flat(net), net.epochs, net.steps

    with pytest.raises(ArgumentError, match="monitor is 'f1'"):
        fit(net, "sgd", callbacks=[fastnn.EarlyStopping("f1")], checkpoint=tmp_path, resume=True)

    assert (flat(net), net.epochs, net.steps) == before


def test_a_snapshot_that_cannot_be_written_does_not_stop_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write", full)

    with pytest.warns(RuntimeWarning, match="no snapshot of step 40: .*No space left"):
        got = fit(iris_net(), "sgd", checkpoint=tmp_path)

    assert got == fit(iris_net(), "sgd")


def test_a_snapshot_is_no_network_and_a_network_no_snapshot(tmp_path: Path) -> None:
    net = iris_net()
    fit(net, "sgd", checkpoint=tmp_path)
    (path,) = tmp_path.iterdir()

    with pytest.raises(CheckpointError, match="it is the state of a run, for fit"):
        fastnn.load(path)
    net.save(path)
    with pytest.raises(CheckpointError, match="it is no state of a run"):
        fit(net, "sgd", checkpoint=tmp_path, resume=True)


@pytest.mark.parametrize("device", ["cpu"], indirect=True)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_nothing_is_lost_when_runs_and_writers_are_killed() -> None:
    run = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "killing.py"), "300", "50"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert run.returncode == 0, run.stderr[-2000:]
    assert "300 writers killed, nothing lost" in run.stdout
    assert "the same bytes in the end" in run.stdout


def test_the_fingerprint_sees_any_number(tmp_path: Path) -> None:
    other = X.copy()
    other[149, 3] += 1e-12

    fit(iris_net(), "sgd", checkpoint=tmp_path)

    with pytest.raises(ArgumentError, match="other training data"):
        iris_net().fit(other, y, epochs=4, batch_size=15, optimizer=fastnn.SGD(0.1),
                       checkpoint=tmp_path, resume=True)  # fmt: skip
