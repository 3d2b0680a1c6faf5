"""Very small networks on the whole batch: what the layers do, many epochs in a compiled call."""

import logging
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core import config

import fastnn
from fastnn import fused, lanes, schedules
from fastnn.errors import ArgumentError, DivergenceError
from tests.family import ADAPTIVE, COMMON, TOLERANCE, error, trained
from tests.test_fused import ROOT

pytestmark = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")

SMALL: dict[str, Any] = {"sizes": (4, 6, 5, 3), "batch_size": None, "epochs": 10}
CASES: dict[str, dict[str, Any]] = {
    **COMMON,
    "the rows' own order": {"shuffle": False},
    "one layer": {"sizes": (4, 3)},
    "one input": {"sizes": (1, 5, 3)},
    "one output": {"sizes": (4, 6, 1), "output": "sigmoid", "loss": "binary_cross_entropy"},
    "the widest": {"sizes": (15, 15, 15)},
    "the widest, one row": {"sizes": (15, 15, 15), "n": 1},
    "four layers": {"sizes": (4, 3, 9, 7, 3)},
    **{f"{n} rows": {"n": n} for n in (1, 2, 16, 512, 513, 1200)},
}  # fmt: skip


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The epochs of each call that made some."""
    made: list[int] = []
    epochs = lanes.Lanes.epochs

    def counted(way: Any, bar: Any) -> int:
        made.append(epochs(way, bar))
        return made[-1]

    monkeypatch.setattr(lanes.Lanes, "epochs", counted)
    return made


def columns(history: fastnn.History) -> dict[str, list[float]]:
    return {name: x for name, x in history.columns.items() if name != "seconds"}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", CASES)
def test_it_trains_as_the_layers_do(case: str, dtype: str, calls: list[int]) -> None:
    expected, seen = trained("layers", dtype=dtype, **SMALL | CASES[case])

    net, history = trained("fused", dtype=dtype, **SMALL | CASES[case])

    optimizer = CASES[case].get("optimizer", fastnn.SGD())
    is_wild = dtype == "float32" and not isinstance(optimizer, fastnn.SGD)
    tolerance = ADAPTIVE if is_wild else TOLERANCE[dtype]
    assert calls == [10]
    assert error(net, expected) < tolerance
    np.testing.assert_allclose(history.loss, seen.loss, rtol=10 * tolerance)
    np.testing.assert_allclose(history.accuracy, seen.accuracy, atol=1 / 53)  # one row of them
    assert {name: len(x) for name, x in columns(history).items()} == {
        name: len(x) for name, x in columns(seen).items()
    }
    assert len(history.seconds) == 10
    assert (net.epochs, net.steps) == (expected.epochs, expected.steps) == (10, 10)
    gaps = np.ones(net.params.size, bool)
    for start, shape in zip(net.layout.offsets.values(), net.layout.shapes.values(), strict=True):
        gaps[start : start + np.prod(shape)] = False
    assert not net.params[gaps].any()


@pytest.mark.parametrize("case", ["Adam", "a schedule", "momentum", "1200 rows"])
def test_calls_of_any_length_give_the_same_bytes(
    case: str, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, seen = trained("fused", **SMALL | CASES[case])
    lengths = []
    for most in (1, 3, 7):
        monkeypatch.setattr(lanes, "MOST", most)
        calls.clear()

        net, history = trained("fused", **SMALL | CASES[case])

        lengths.append([*calls])
        assert net.params.tobytes() == whole.params.tobytes()
        assert columns(history) == columns(seen)
    assert lengths == [[1] * 10, [3, 3, 3, 1], [7, 3]]


@pytest.mark.parametrize("watching", [
    {"validation": 0.2}, {"metrics": ["f1"]}, {"patience": 3},
    {"callbacks": [fastnn.LearningRateLogger()]},
])  # fmt: skip
def test_epochs_that_somebody_looks_on_at_are_made_one_by_one(
    watching: dict[str, Any], calls: list[int]
) -> None:
    expected, seen = trained("layers", **SMALL, **watching)

    net, history = trained("fused", **SMALL, **watching)

    assert calls == []
    assert error(net, expected) < TOLERANCE["float64"]
    figures, wanted = columns(history), columns(seen)
    assert figures.keys() == wanted.keys()
    for name in figures:
        np.testing.assert_allclose(figures[name], wanted[name], rtol=1e-12)


def test_a_method_of_the_object_alone_looks_on_too() -> None:
    callback, seen = fastnn.Callback(), list[int]()
    callback.on_epoch_end = lambda epoch, logs: seen.append(epoch)  # type: ignore[method-assign]

    trained("fused", callbacks=[callback], **SMALL)

    assert seen == [*range(10)]


def test_a_schedule_that_goes_wrong_ends_the_run_at_its_epoch() -> None:
    ends = []
    for execution in ("layers", "fused"):
        X, y = fastnn.datasets.load_iris()
        net = fastnn.MLP([4, 5, 3], seed=0, dtype="float64")
        with pytest.raises(ArgumentError, match="learning_rate"):
            net.fit(X, y, epochs=9, batch_size=None, execution=execution,
                    optimizer=fastnn.SGD(lambda step: 0.1 if step < 5 else -1.0))  # fmt: skip
        ends.append(net)

    assert (ends[1].epochs, ends[1].steps) == (ends[0].epochs, ends[0].steps) == (5, 5)
    assert error(ends[1], ends[0]) < TOLERANCE["float64"]


def test_it_stops_at_the_target_as_the_layers_do(calls: list[int]) -> None:
    asked = SMALL | {"epochs": 500, "optimizer": fastnn.Adam(0.01)}
    _, whole = trained("layers", **asked)
    target = whole.loss[123] + 1e-9
    assert min(whole.loss[:123]) > target
    expected, seen = trained("layers", target_loss=target, **asked)

    net, history = trained("fused", target_loss=target, **asked)

    assert calls == [124]
    assert (net.epochs, net.steps, history.stopped) == (124, 124, "target_loss")
    assert (expected.epochs, len(seen)) == (124, 124)
    np.testing.assert_allclose(net.params, expected.params, atol=1e-9)


@pytest.mark.parametrize(("rate", "what"), [(1e3, "the loss"), (1e307, "a parameter")])
def test_a_run_that_diverges_leaves_the_network_as_the_epoch_began(rate: float, what: str) -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(100, 4)) * 1e3, rng.normal(size=(100, 2))
    asked: dict[str, Any] = {"optimizer": fastnn.SGD(rate), "batch_size": None, "epochs": 50}
    ends = []
    for execution in ("layers", "fused"):
        nets = [fastnn.MLP([4, 8, 2], "relu", "identity", seed=0, dtype="float64") for _ in "ab"]
        with pytest.raises(DivergenceError, match=what) as raised:
            nets[0].fit(X, Y, execution=execution, **asked)
        history = nets[1].fit(
            X, Y, execution=execution, callbacks=[fastnn.TerminateOnNaN()], **asked
        )
        assert (history.stopped, len(history)) == ("nan", nets[1].epochs)
        assert nets[0].params.tobytes() == nets[1].params.tobytes()
        assert nets[0].epochs == nets[0].steps == nets[1].epochs == nets[1].steps
        ends.append((str(raised.value), nets[0]))

    assert ends[0][0] == ends[1][0]
    assert ends[0][1].epochs == ends[1][1].epochs
    np.testing.assert_allclose(ends[1][1].params, ends[0][1].params, rtol=1e-9)


def test_a_run_goes_on_from_its_snapshot(tmp_path: Path, calls: list[int]) -> None:
    for optimizer in (fastnn.Adam(0.01), fastnn.SGD(schedules.cosine(0.1, 20), momentum=0.9)):
        asked = SMALL | {"optimizer": optimizer}
        whole, seen = trained("fused", **asked | {"epochs": 20})
        folder = tmp_path / type(optimizer).__name__

        trained("fused", checkpoint=folder, **asked)
        net, history = trained("auto", checkpoint=folder, resume=True, **asked | {"epochs": 20})

        assert net.params.tobytes() == whole.params.tobytes()
        assert (net.epochs, net.steps, columns(history)) == (20, 20, columns(seen))


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_waits_for_whole_epochs(
    tmp_path: Path, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastnn_kernels.cpu_small import Trainer

    asked = SMALL | {"optimizer": fastnn.Adam(0.01)}
    whole, seen = trained("fused", **asked)
    monkeypatch.setattr(lanes, "MOST", 3)
    calls.clear()
    train = Trainer.train

    def interrupted(*arguments: Any) -> Any:
        if len(calls) == 1:
            signal.raise_signal(signal.SIGINT)
        return train(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            trained("fused", checkpoint=tmp_path, **asked)
    assert calls == [3]  # and three that it did not live to count

    net, history = trained("fused", checkpoint=tmp_path, resume=True, **asked)

    assert calls == [3, 3, 1]
    assert net.params.tobytes() == whole.params.tobytes()
    assert columns(history) == columns(seen)


def test_a_second_fit_begins_where_the_first_ended() -> None:
    X, y = fastnn.datasets.load_iris()
    nets = [fastnn.MLP([4, 5, 3], seed=0, dtype="float64") for _ in range(2)]

    for execution, net in zip(("layers", "fused"), nets, strict=True):
        for _ in range(2):
            net.fit(X, y, epochs=5, batch_size=None, execution=execution)

    assert (nets[1].epochs, nets[1].steps) == (10, 10)
    assert error(nets[1], nets[0]) < TOLERANCE["float64"]


@pytest.mark.parametrize("outside", [
    {"batch_size": 10}, {"dropout": 0.2}, {"sizes": (4, 16, 3)}, {"sizes": (16, 3)},
])  # fmt: skip
def test_the_rest_is_left_to_the_other_trainer(
    outside: dict[str, Any], calls: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "fastnn"):
        trained("fused", **SMALL | outside)

    assert calls == []
    assert "the fused trainer, 1 thread, zeros of X multiplied" in caplog.text


def test_what_fills_a_vector_does_not_spoil_the_samples() -> None:
    """One row is far from 0, so that a row of zeros would be another one."""
    X, Y = np.full((1, 2), 500.0), np.ones((1, 1))
    nets = [fastnn.MLP([2, 3, 1], "softplus", "identity", seed=0) for _ in range(2)]
    for execution, net in zip(("layers", "fused"), nets, strict=True):
        net.fit(X, Y, epochs=3, batch_size=None, optimizer=fastnn.SGD(1e-7), execution=execution)

    assert error(nets[1], nets[0]) < TOLERANCE["float32"]
    assert math.isfinite(float(nets[1].params.sum()))


def test_a_call_takes_about_half_a_second(calls: list[int], monkeypatch: Any) -> None:
    monkeypatch.setattr(fused, "SECONDS", 0.01)

    trained("fused", **SMALL | {"epochs": 60_000})

    assert sum(calls) == 60_000
    assert len(calls) > 3


NARROW = """
import numpy as np, fastnn
X = np.random.default_rng(0).normal(size=(53, 4))
for dtype in ("float32", "float64"):
    nets = [fastnn.MLP([4, 7, 5, 3], "tanh", dtype=dtype, seed=0) for _ in range(2)]
    for net, execution in zip(nets, ("layers", "fused")):
        net.fit(X, np.arange(53) % 3, batch_size=None, epochs=5, execution=execution)
    off = np.abs(nets[0].params - nets[1].params).max()
    print(off < {"float32": 5e-6, "float64": 1e-13}[dtype])
"""


@pytest.mark.skipif(config.CPU_NAME is not None, reason="the machine is restricted already")
@pytest.mark.parametrize("features", ["avx2"])  # those of tests/test_fused.py are of both
def test_machines_with_narrower_vectors_train_alike(features: str, tmp_path: Path) -> None:
    if not os.uname().machine.startswith("x86"):
        pytest.skip("the features are those of x86")

    done = subprocess.run(
        [sys.executable, "-c", NARROW], capture_output=True, text=True, timeout=300, check=True,
        env=os.environ | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")]),
            "FASTNN_CACHE": str(tmp_path), "NUMBA_CPU_NAME": "haswell" if features else "generic",
            "NUMBA_CPU_FEATURES": "+avx2,+fma,+avx,+sse4.2" if features else "",
        },
    )  # fmt: skip

    assert done.stdout.split() == ["True", "True"]
