"""The fused trainer: what the layers do, in one compiled call."""

import logging
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core import config

import fastnn
from fastnn import compiling, fused, parts, schedules, sparsity, threads
from fastnn.errors import ArgumentError, DivergenceError
from fastnn.inputs import Rows
from fastnn_kernels import cpu_plan, cpu_small, cpu_sparse
from tests.family import CASES, TOLERANCE, check_alike, error, trained

pytestmark = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", CASES)
def test_it_trains_as_the_layers_do(case: str, dtype: str) -> None:
    expected, seen = trained("layers", dtype=dtype, **CASES[case])

    net, history = trained("fused", dtype=dtype, **CASES[case])

    check_alike(case, dtype, net, history, expected, seen)
    gaps = np.ones(net.params.size, bool)
    for start, shape in zip(net.layout.offsets.values(), net.layout.shapes.values(), strict=True):
        gaps[start : start + np.prod(shape)] = False
    assert not net.params[gaps].any()


@pytest.mark.parametrize("case", ["Adam", "dropout", "sparse rows", "no bias", "four layers",
                                  "batches of blocks, sparse", "batches of blocks, dropout",
                                  "rows of 128 numbers", "batches of 2", "one by one, sparse",
                                  "one by one, dense", "one by one, 256 wide"])  # fmt: skip
def test_any_number_of_threads_gives_the_same_bytes(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused, "ALONE", 1.0)
    nets = []
    for count in (1, 2, 3, 7):
        monkeypatch.setenv("FASTNN_NUM_THREADS", str(count))
        nets.append(trained("fused", dtype="float32", **CASES[case])[0])

    for net in nets[1:]:
        assert net.params.tobytes() == nets[0].params.tobytes()


@pytest.mark.parametrize(
    "case", ["Adam", "dropout", "sparse rows", "momentum", "one by one, sparse"]
)
def test_parts_of_an_epoch_change_nothing(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = trained("fused", **CASES[case])
    monkeypatch.setattr(fused, "SECONDS", 1e-9)  # a batch a part

    net, history = trained("fused", **CASES[case])

    assert net.params.tobytes() == whole.params.tobytes()
    assert len(history.loss) == 3


@pytest.mark.parametrize(
    "case", ["AdamW by a schedule", "dropout", "sparse rows", "weights of samples", "one output",
             "batches of 52", "one by one, sparse", "batches of blocks, dropout"]
)  # fmt: skip
def test_several_epochs_at_once_change_nothing(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net, history = trained("fused", **CASES[case] | {"epochs": 7})
    monkeypatch.setattr(parts, "MOST", 0)

    alone, seen = trained("fused", **CASES[case] | {"epochs": 7})

    assert net.params.tobytes() == alone.params.tobytes()
    assert (net.epochs, net.steps) == (alone.epochs, alone.steps)
    assert (history.loss, history.accuracy) == (seen.loss, seen.accuracy)


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("then", [1e306, schedules.polynomial(0.1, 2, end=-1.0)])
def test_a_run_of_several_epochs_fails_in_the_one_that_does(
    then: Any, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = np.random.default_rng(0).normal(size=(30, 5))
    ends = []
    for most in (parts.MOST, 0):
        monkeypatch.setattr(parts, "MOST", most)
        net = fastnn.MLP([5, 20, 3], "relu", seed=1, dtype="float64")
        rate = schedules.joined([(133 // batch_size, 0.1), then])
        with pytest.raises((DivergenceError, ArgumentError)) as raised:
            net.fit(X, np.arange(30) % 3, batch_size=batch_size, epochs=9, execution="fused",
                    optimizer=fastnn.SGD(rate))  # fmt: skip
        ends.append((str(raised.value), net.params.tobytes(), net.epochs, net.steps))

    assert ends[0] == ends[1]
    assert net.epochs == 4


def test_a_function_as_a_schedule_sees_each_epoch_begin() -> None:
    ends = []
    for execution in ("layers", "fused"):
        net = fastnn.MLP([5, 20, 3], "relu", seed=1, dtype="float64")
        rate = schedules.joined([(2, 0.1), lambda _, net=net: 0.5 / (1 + net.epochs)])
        X = np.random.default_rng(0).normal(size=(30, 5))
        net.fit(X, np.arange(30) % 3, batch_size=7, epochs=9, execution=execution,
                optimizer=fastnn.SGD(rate))  # fmt: skip
        ends.append(net)

    assert error(ends[1], ends[0]) < TOLERANCE["float64"]


def test_losses_whose_mean_is_infinite_are_a_divergence() -> None:
    X, Y = np.ones((40, 3)), np.full((40, 1), 2e153)
    net = fastnn.MLP([3, 1], output="identity", bias=False, seed=0, dtype="float64")
    growing = fastnn.SGD(2.05 / 3)  # each batch makes what is missing 1.05 times as much

    with pytest.raises(DivergenceError):
        net.fit(X, Y, loss="squared_error", batch_size=10, epochs=6, execution="fused",
                optimizer=growing)  # fmt: skip

    assert net.epochs == 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("d", [1, 8, 16, 37, 100])  # whole vectors and parts of one
def test_sparse_rows_are_the_numbers_that_are_not_zero_in_order(dtype: str, d: int) -> None:
    rng = np.random.default_rng(d)
    X = (rng.normal(size=(50, d)) * (rng.random((50, d)) < 0.3)).astype(dtype)
    X[3], X[4], X[5, -1], X[6, 0] = 0, 1, np.nan, -0.0

    starts, columns, values = cpu_sparse.compressed([X[:20], X[20:21], X[21:]], 50, 10)

    i, j = np.nonzero(X)
    assert list(starts) == [0, *np.cumsum(np.bincount(i, minlength=50))]
    assert list(columns[: len(j)]) == list(j)
    np.testing.assert_array_equal(values[: len(j)], X[i, j])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sparse_rows_need_no_more_room_than_dense_ones(dtype: str) -> None:
    X = np.ones((3, 37), dtype)
    columns, values = np.full(X.size + 64, -1, np.int32), np.full(X.size + 64, -1, dtype)

    cpu_sparse.compress(X, np.zeros(4, np.int64), columns, values)

    assert (columns[X.size :] == -1).all()
    assert (values[X.size :] == -1).all()
    assert list(columns[: X.size]) == 3 * list(range(37))


def test_the_density_is_looked_for_in_few_rows_of_many_columns() -> None:
    X = np.zeros((20, 200_000), np.float32)
    X[:, ::4] = 1
    X[7] = 0
    backend = fastnn.get_backend("cpu")

    assert sparsity.density(Rows(X, X.shape[1], None, backend)) == 0.25
    assert sparsity.density(Rows(X[7:8], X.shape[1], None, backend)) == 0


def test_400_steps_on_mnist_end_where_those_of_the_layers_do(mnist: Any) -> None:
    (X, y), _ = mnist
    for optimizer, dtype, tolerance in (
        (fastnn.SGD(0.1, momentum=0.9), "float64", 1e-12), (fastnn.SGD(0.1), "float32", 5e-6),
        (fastnn.Adam(), "float64", 1e-12), (fastnn.Adam(), "float32", 1e-4),
    ):  # fmt: skip
        nets = [fastnn.MLP([784, 50, 100, 10], dtype=dtype, seed=0) for _ in range(2)]
        for net, execution in zip(nets, ("layers", "fused"), strict=True):
            net.fit(X[:12_000], y[:12_000], optimizer=optimizer, batch_size=30, execution=execution)

        assert error(nets[1], nets[0]) < tolerance, (optimizer, dtype)


def test_what_it_cannot_do_is_refused_by_name_and_left_to_the_layers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked: dict[str, Any] = {"optimizer": fastnn.SGD(0.1, clip_norm=1.0), "l2": 0.1}
    with pytest.raises(ArgumentError, match="execution='fused' cannot do l2, clip_norm; use"):
        trained("fused", **asked)

    with caplog.at_level(logging.INFO, "fastnn"):
        net, _ = trained("auto", **asked)

    assert "layers, because fused cannot do l2, clip_norm" in caplog.text
    expected, _ = trained("layers", **asked)
    assert net.params.tobytes() == expected.params.tobytes()


def test_one_by_one_survives_numbers_whose_squares_do_not() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(32, 5)).astype(np.float32)
    X[[3, 4, 9, 20], 2] = 9.96921e36  # what some files have for nothing
    losses = []
    for execution in ("layers", "fused"):
        net = fastnn.MLP([5, 20, 3], "tanh", seed=1)
        losses.append(
            net.fit(X, np.arange(32) % 3, batch_size=1, epochs=3, execution=execution).loss
        )

    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_fails_ends_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastnn_kernels.cpu_batches import Batches

    call = Batches.call

    def failing(trainer: Any, thread: int, *arguments: Any) -> None:
        if thread:
            raise MemoryError
        call(trainer, thread, *arguments)

    monkeypatch.setattr(fused, "ALONE", 1.0)
    monkeypatch.setenv("FASTNN_NUM_THREADS", "2")
    monkeypatch.setattr(Batches, "call", failing)

    with pytest.raises(RuntimeError, match="a thread of the trainer failed"):
        trained("fused")


def test_labels_changed_during_a_fit_change_nothing() -> None:
    X, y = np.random.default_rng(0).normal(size=(60, 5)), np.arange(60) % 3

    class Changing(fastnn.Callback):
        def on_epoch_end(self, epoch: int, figures: dict[str, float]) -> None:
            y[...] = 200_000

    nets = [fastnn.MLP([5, 20, 3], seed=1) for _ in range(2)]
    nets[0].fit(X, y.copy(), batch_size=10, epochs=4, execution="fused")
    nets[1].fit(X, y, batch_size=10, epochs=4, execution="fused", callbacks=[Changing()])

    assert nets[1].params.tobytes() == nets[0].params.tobytes()


def test_a_run_goes_on_in_the_same_form_for_more_epochs(tmp_path: Path) -> None:
    for index, sizes in enumerate(([1, 4], [40, 4], [64, 512])):
        for dtype in TOLERANCE:
            nets = [fastnn.MLP([5, 8, 3], seed=1, dtype=dtype) for _ in range(2)]
            X = np.random.default_rng(0).normal(size=(600 if index == 2 else 40, 5))
            settings: dict[str, Any] = {
                "batch_size": lambda epoch, sizes=sizes: sizes[epoch > 2], "execution": "fused",
            }  # fmt: skip
            y, folder = np.arange(len(X)) % 3, tmp_path / f"{index}{dtype}"

            nets[0].fit(X, y, epochs=6, **settings)
            nets[1].fit(X, y, epochs=3, checkpoint=folder, **settings)
            nets[1] = fastnn.MLP([5, 8, 3], seed=1, dtype=dtype)
            nets[1].fit(X, y, epochs=6, checkpoint=folder, resume=True, **settings)

            assert nets[1].params.tobytes() == nets[0].params.tobytes()


@pytest.mark.parametrize("batch_size", [10, None])
def test_the_bar_says_when_it_compiles(
    batch_size: int | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {"sizes": (5, 6, 3), "batch_size": batch_size, "progress": True}
    trained("fused", **asked)
    capsys.readouterr()
    trained("fused", **asked)
    assert "compiling" not in capsys.readouterr().err
    for plan in (cpu_plan.Plan, cpu_small.Plan):
        monkeypatch.setattr(plan, "is_compiled", False)

    trained("fused", **asked)

    assert "compiling" in capsys.readouterr().err


def test_callbacks_that_watch_batches_are_served_by_layers() -> None:
    class Watching(fastnn.Callback):
        batches = 0

        def on_train_batch_end(self, batch: int, figures: dict[str, float]) -> None:
            self.batches += 1

    watching = Watching()

    trained("auto", callbacks=[watching])

    assert watching.batches == 18


def test_a_run_that_diverges_leaves_the_network_as_the_epoch_began() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(100, 4)) * 1e3, rng.normal(size=(100, 2))
    net = fastnn.MLP([4, 8, 2], "relu", "identity", seed=0)
    before = net.params.copy()

    with pytest.raises(DivergenceError, match="in epoch 1, step"):
        net.fit(X, Y, optimizer=fastnn.SGD(1e3), batch_size=10, execution="fused")

    assert net.params.tobytes() == before.tobytes()
    assert (net.epochs, net.steps) == (0, 0)


def test_early_stopping_and_callbacks_between_epochs_see_the_weights() -> None:
    class Doubling(fastnn.Callback):
        def on_epoch_end(self, epoch: int, figures: dict[str, float]) -> None:
            self.model.params *= 2

    expected, seen = trained("layers", callbacks=[Doubling()], validation=0.2)

    net, history = trained("fused", callbacks=[Doubling()], validation=0.2)

    assert error(net, expected) < TOLERANCE["float64"]
    np.testing.assert_allclose(history.val_loss, seen.val_loss, rtol=1e-12)


NARROW = """
import sys
import numpy as np, fastnn
X = np.random.default_rng(0).normal(size=(64, 40))
for dtype in sys.argv[1:]:
    nets = [fastnn.MLP([40, 21, 19, 3], "tanh", dtype=dtype, seed=0, dropout=0.2) for _ in range(2)]
    for net, execution in zip(nets, ("layers", "fused")):
        net.fit(X, np.arange(64) % 3, batch_size=10, epochs=3, execution=execution,
                optimizer=fastnn.Adam(0.01))
    off = np.abs(nets[0].params - nets[1].params).max()
    print(off < {"float32": 1e-4, "float64": 1e-13}[dtype])
from fastnn_kernels import simd
print(simd.BYTES, simd.TILE)
"""


def environment(**changes: str) -> dict[str, str]:
    """Of a new process that finds this package."""
    return os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'kernels'}"} | changes


@pytest.mark.skipif(config.CPU_NAME is not None, reason="the machine is restricted already")
@pytest.mark.parametrize(
    ("features", "width", "dtype"), [("avx2", "32 12", "float32"), ("", "16 12", "float64")]
)
def test_machines_with_narrower_vectors_train_alike(
    features: str, width: str, dtype: str, tmp_path: Path
) -> None:
    if not os.uname().machine.startswith("x86"):
        pytest.skip("the features are those of x86")
    done = subprocess.run(
        [sys.executable, "-c", NARROW, dtype],
        capture_output=True, text=True, timeout=300, check=True,
        env=environment(
            FASTNN_CACHE=str(tmp_path), NUMBA_CPU_NAME="haswell" if features else "generic",
            NUMBA_CPU_FEATURES="+avx2,+fma,+avx,+sse4.2" if features else "",
        ),
    )  # fmt: skip

    assert done.stdout.split("\n")[:2] == ["True", width]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_all_that_a_network_needs_is_compiled_ahead(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastnn.prediction import planned
    from fastnn_kernels import cpu_catalogue

    known, needed = {*cpu_catalogue.functions()}, set[Any]()
    make = fused.Fused.__init__

    def noting(way: fused.Fused, run: Any) -> None:
        make(way, run)
        needed.update(way.plan.all_functions())

    monkeypatch.setattr(fused.Fused, "__init__", noting)
    for case in ("hidden silu", "gelu, huber", "Adam", "one by one, 256 wide", "dropout"):
        net, _ = trained("auto", dtype=dtype, epochs=1, **CASES[case])
        needed.update(planned(net, net.output).all_functions())

    assert len(needed) > 10
    assert needed <= known


def test_blas_takes_as_many_threads_as_the_process_may() -> None:
    ask = ("import fastnn, numpy, threadpoolctl; fastnn.get_backend();"
           "print({p['num_threads'] for p in threadpoolctl.threadpool_info()})")  # fmt: skip

    for count in ("1", "3"):
        done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True,
                              check=True, env=environment(FASTNN_NUM_THREADS=count))  # fmt: skip

        assert done.stdout == f"{{{count}}}\n"


def test_the_number_of_threads_is_what_the_process_may_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("FASTNN_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "_CGROUP", tmp_path)
    monkeypatch.setattr(threads, "_cores", lambda: 8)
    assert threads.thread_count() == 8
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert threads.thread_count() == 8
    (tmp_path / "cpu.max").write_text("250000 100000\n")
    assert threads.thread_count() == 3

    for set_to, count in (("5", 5), ("", 3)):
        monkeypatch.setenv("FASTNN_NUM_THREADS", set_to)
        assert threads.thread_count() == count
    for wrong in ("0", "two", "-1", " "):
        monkeypatch.setenv("FASTNN_NUM_THREADS", wrong)
        with pytest.raises(ArgumentError, match=f"FASTNN_NUM_THREADS is '{wrong}', need"):
            threads.thread_count()


def test_auto_compiles_once_layers_have_taken_as_long(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "fastnn")
    monkeypatch.setattr(compiling, "_spent", defaultdict(float))
    monkeypatch.setattr(cpu_plan.Plan, "is_compiled", False)
    job: dict[str, Any] = {"sizes": (5, 6, 3), "batch_size": 10}
    trained("auto", **job)
    ((plan, seconds),) = compiling._spent.items()
    monkeypatch.setattr(compiling, "SECONDS", 3.5 * seconds)

    for _ in range(4):
        trained("auto", **job)

    ways = [record.getMessage().split()[2] for record in caplog.records]
    assert ways == ["layers,", "layers,", "layers,", "the", "the"]
    assert compiling._spent.keys() == {plan}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("batch_size", [7, None])  # None: along the lanes
def test_validation_sees_what_the_layers_see(batch_size: int | None, dtype: str) -> None:
    rng = np.random.default_rng(0)
    X, y, held = rng.normal(size=(60, 5)), np.arange(60) % 3, slice(0, 40)
    histories = []
    for execution in ("layers", "fused"):
        net = fastnn.MLP([5, 12, 3], seed=1, dtype=dtype, input_scaling=(0.1, 2.0))
        histories.append(
            net.fit(X, y, batch_size=batch_size, epochs=3, execution=execution, metrics=["f1"],
                    validation=(X[held], y[held]))
        )  # fmt: skip

    for name, column in histories[0].columns.items():
        if name != "seconds":
            np.testing.assert_allclose(histories[1][name], column, rtol=10 * TOLERANCE[dtype])
    figures = net.evaluate(X[held], y[held], metrics=["f1"])
    assert figures["loss"] == pytest.approx(histories[1].val_loss[-1], rel=10 * TOLERANCE[dtype])


def test_validation_survives_logits_that_are_not_finite() -> None:
    X, y = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32), np.arange(60) % 3
    far = X.copy()
    far[3] = 3e38
    net = fastnn.MLP([5, 12, 3], "relu", seed=1)

    history = net.fit(X, y, epochs=2, batch_size=10, validation=(far, y), execution="fused")

    assert not np.isfinite(history.val_loss).any()
    assert np.isfinite(net.params).all()


def test_auto_does_not_compile_for_a_short_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = np.random.default_rng(0).normal(size=(60, 5)), np.arange(60) % 3
    seen: list[str] = []

    class Seeing(fastnn.Callback):
        def on_train_end(self, _: dict[str, float] | None = None) -> None:
            seen.append(self.run.way.execution)

    def fit(execution: str, validation: float | None) -> None:
        net = fastnn.MLP([5, 12, 3], seed=1)
        net.fit(X, y, batch_size=7, epochs=2, execution=execution, validation=validation,
                callbacks=[Seeing()])  # fmt: skip

    fit("fused", 0.2)  # compiles
    fit("auto", 0.2)
    monkeypatch.setattr("fastnn.execution.is_uncompiled", lambda *_: True)
    fit("auto", None)
    fit("auto", 0.2)

    assert seen == ["fused", "fused", "fused", "layers"]
