"""The fused trainer of a GPU: what the layers do, in a few launches that are replayed.

Without a GPU its kernels are emulated: see tests/standin/cupy/emulation.hpp.
"""

import io
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import replayed, schedules
from fastnn.errors import ArgumentError, DeviceMemoryError, DivergenceError
from fastnn_kernels import cuda_chunks, cuda_plan, cuda_trainer
from tests.family import CASES, ELEMENTWISE, LARGE_ONES, TOLERANCE, check_alike, error, trained

IN_FLOAT32 = ["hidden gelu", "softmax, squared_error", "Adam", "dropout",
              "binary_cross_entropy", "weights of samples"]  # fmt: skip
ALIKE = {  # on a GPU
    *(f"{name}, {loss}" for name in ELEMENTWISE[2:] for loss in ("mean_squared_error", "huber")),
    *(f"batches of {name}" for name in LARGE_ONES if name != "blocks, weighted, Adam"),
}
ODD: dict[str, dict[str, Any]] = {  # rows of no multiple of 16, columns of none of 64
    "wide": {"sizes": (1100, 65, 3), "n": 7, "batch_size": 3},
    "narrow": {"sizes": (784, 5, 1, 200, 10), "n": 40, "batch_size": 33},
    "many outputs": {"sizes": (30, 100, 200), "n": 40, "batch_size": 33},
    "eight layers": {"sizes": (9, *[5] * 7, 3)},
    "parts of a batch": {"sizes": (70, 65, 3), "n": 400, "batch_size": 300},
    **{
        f"a chunk at {width}": {"sizes": (17, width, 3), "n": 70, "batch_size": 1}
        for width in (65, 96, 200, 300)
    },
    **{
        f"batches of {rows}": {"sizes": (17, 33, 3), "n": 130, "batch_size": rows, "epochs": 2}
        for rows in (2, 3, 4)
    },
    "parts of a batch, Adam": {"n": 400, "batch_size": 300, "optimizer": fastnn.Adam(0.01)},
}


def a_plan(kind: type[cuda_plan.Plan], dtype: str, batch_size: int) -> cuda_plan.Plan:
    """Its source is that of all with this type, and of Chunks with this size of a batch."""
    return kind((5, 4, 3), ("sigmoid",), (0.0,), True, "softmax", "softmax_cross_entropy", "sgd",
                0, np.dtype(dtype), batch_size, True, 227 * 2**10)  # fmt: skip


def both(device: str, **case: Any) -> tuple[Any, Any, fastnn.History, fastnn.History]:
    """The network of the layers on a CPU, that of a GPU, and what was seen of each."""
    with fastnn.use_device("cpu"):
        expected, seen = trained("layers", **case)
    with fastnn.use_device(device):
        net, history = trained("fused", **case)
    return expected, net, seen, history


@pytest.mark.parametrize("case", [
    *[(name, "float64") for name in CASES if name not in ALIKE and "sparse" not in name],
    *[(name, "float32") for name in IN_FLOAT32],
], ids=": ".join)  # fmt: skip
def test_it_trains_as_the_layers_do(case: tuple[str, str], on_gpu: fastnn.Backend) -> None:
    name, dtype = case

    expected, net, seen, history = both(on_gpu.device, dtype=dtype, **CASES[name])

    check_alike(name, dtype, net, history, expected, seen)


@pytest.mark.parametrize("case", ODD)
def test_any_sizes_will_do(case: str, on_gpu: fastnn.Backend) -> None:
    expected, net, _, _ = both(on_gpu.device, dtype="float64", **ODD[case])

    assert error(net, expected) < TOLERANCE["float64"]


@pytest.mark.parametrize("scaling", [None, (0, 0.3), (np.arange(17) / 9, 0.4), (1, np.ones(17))])
@pytest.mark.parametrize("kind", ["uint8", "bool", "float64", "float16"])
def test_rows_enter_as_they_are(kind: str, scaling: Any, on_gpu: fastnn.Backend) -> None:
    X = np.random.default_rng(0).integers(0, 2 if kind == "bool" else 4, (30, 17)).astype(kind)
    nets = []
    for device, execution in (("cpu", "layers"), (on_gpu.device, "fused")):
        net = fastnn.MLP([17, 9, 3], input_scaling=scaling, device=device, seed=1)
        net.fit(X, np.arange(30) % 3, batch_size=7, epochs=2, execution=execution)
        nets.append(net)

    assert error(nets[1], nets[0]) < TOLERANCE["float32"]


@pytest.mark.parametrize("case", [
    {"batch_size": 1}, {"batch_size": 4}, {"batch_size": 50, "optimizer": fastnn.Adam(0.001)},
    {"batch_size": 50, "dropout": 0.3},
])  # fmt: skip
def test_graphs_go_on_where_they_were(
    case: Any, on_gpu: fastnn.Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch of three turns, and two in one call, which are three graphs of two."""
    trainers: list[Any] = []
    make = cuda_trainer.Trainer.__init__

    def noting(trainer: Any, *arguments: Any) -> None:
        trainers.append(trainer)
        make(trainer, *arguments)

    monkeypatch.setattr(cuda_trainer.Trainer, "__init__", noting)
    monkeypatch.setattr(cuda_trainer, "GRAPH", 2)
    monkeypatch.setattr(replayed, "SECONDS", 100.0)

    expected, net, seen, history = both(
        on_gpu.device, sizes=(5, 6, 3), dtype="float64", n=130, epochs=3, **case
    )

    assert trainers[0].graph is not None
    assert error(net, expected) < 10 * TOLERANCE["float64"]  # up to 22 times as many steps
    np.testing.assert_allclose(history.loss, seen.loss, rtol=1e-11)


@pytest.mark.parametrize("case", [
    {"dropout": 0.3, "optimizer": fastnn.Adam(0.01)}, {"n": 150, "batch_size": 3},
])  # fmt: skip
def test_parts_of_any_length_give_the_same_bytes(
    case: Any, on_gpu: fastnn.Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = []
    for seconds in (100.0, 1e-9):
        monkeypatch.setattr(replayed, "SECONDS", seconds)
        with fastnn.use_device(on_gpu.device):
            net, history = trained("fused", epochs=3, **case)
        ends.append((on_gpu.asnumpy(net.params).tobytes(), history.loss, history.accuracy))

    assert ends[0] == ends[1]


@pytest.mark.parametrize("order", ["1", "2"])
def test_any_order_of_threads_gives_the_same_bytes(
    order: str, standin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    case: dict[str, Any] = {"sizes": (70, 65, 30, 3), "n": 200, "batch_size": 150, "epochs": 1}
    with fastnn.use_device("cuda"):
        net, _ = trained("fused", **case)
        monkeypatch.setenv("EMULATION_ORDER", order)
        other, _ = trained("fused", **case)

    assert net.params.get().tobytes() == other.params.get().tobytes()


@pytest.mark.parametrize(("plan", "n", "batch_size", "count"), [
    (cuda_plan.Plan, 200, 150, 8), (cuda_chunks.Chunks, 12, 3, 12),
])  # fmt: skip
def test_no_barrier_can_be_left_out(
    plan: type[cuda_plan.Plan], n: int, batch_size: int, count: int, standin: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A test of the tests: without it, some order of the threads gives something else.

    But for those that order memory between blocks, which the emulation runs one after the other.
    """
    code = a_plan(plan, "float32", 3).source(np.dtype("float32")).splitlines()
    end_of_own = next(i for i, line in enumerate(code) if line.startswith("// Gradient: "))
    if plan is cuda_chunks.Chunks:  # whose gradients are of one part
        code = code[:end_of_own]
    barriers = [line for line in code if "__syncthreads()" in line]

    def end(order: str) -> bytes:
        monkeypatch.setenv("EMULATION_ORDER", order)
        try:
            net, _ = trained("fused", dtype="float32", sizes=(600, 65, 5, 3), n=n,
                             batch_size=batch_size, epochs=1)  # fmt: skip
        except DivergenceError:
            return b""
        return bytes(net.params.get().tobytes())

    with fastnn.use_device("cuda"):
        right, unnoticed = end("0"), []
        for number, line in enumerate(barriers):
            monkeypatch.setenv("EMULATION_WITHOUT", str(number))
            if right == end("0") == end("1"):
                unnoticed.append(line)

    assert len(barriers) == count
    assert all("between blocks" in line for line in unnoticed), unnoticed


def test_float32_is_never_widened() -> None:
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason="numba-cuda is not installed")
    options = [b"--gpu-architecture=compute_80", b"--std=c++17"]
    for plan, kernel in ((cuda_plan.Plan, b"rows_step"), (cuda_chunks.Chunks, b"chunk_steps")):
        code = a_plan(plan, "float32", 1).source(np.dtype("uint8")).encode()

        _, program = nvrtc.nvrtcCreateProgram(code, b"", 0, [], [])
        (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
        ptx = b" " * nvrtc.nvrtcGetPTXSize(program)[1]
        nvrtc.nvrtcGetPTX(program, ptx)

        assert status == 0
        assert b".entry " + kernel in ptx
        assert b".f64" not in ptx
        assert not re.search(rb"\b(atom|red)\.\S*f32", ptx)  # no order of arrival


BYTES = "float32", "uint8"
WIDE = "float64", "float64"


@pytest.mark.parametrize(("kind", "capability"), [
    *[((*BYTES, plan, 1), capability)
      for plan in (cuda_plan.Plan, cuda_chunks.Chunks) for capability in ("80", "90", "100")],
    ((*WIDE, cuda_plan.Plan, 1), "90"), ((*WIDE, cuda_chunks.Chunks, 4), "90"),
])  # fmt: skip
def test_it_compiles_without_a_gpu(kind: Any, capability: str) -> None:
    core = pytest.importorskip("cuda.core", reason="numba-cuda is not installed")
    real, inputs, plan, rows = kind
    code = a_plan(plan, real, rows).source(np.dtype(inputs))
    options = core.ProgramOptions(arch=f"sm_{capability}", std="c++17", ptxas_options="-v")
    log = io.StringIO()

    core.Program(code, "c++", options).compile("cubin", logs=log)

    told = log.getvalue()
    assert not re.search("warning #(?!177)", told)  # 177: a name that one of the kernels uses
    assert len(re.findall("Compiling entry function", told)) in (4, 5)
    assert set(re.findall(r"(\d+) bytes spill", told)) == {"0"}


def test_auto_leaves_a_gpu_to_the_layers(
    on_gpu: fastnn.Backend, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "fastnn"), fastnn.use_device(on_gpu.device):
        trained("auto")

    assert "layers, because on a GPU fused is not measured yet" in caplog.text


@pytest.mark.parametrize(("rows", "execution"), [(10, "fused"), (11, "layers")])
def test_auto_goes_by_the_operations_of_a_step(
    rows: int, execution: str, on_gpu: fastnn.Backend, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    net = fastnn.MLP([4, 3], seed=0, device=on_gpu.device)
    monkeypatch.setattr(replayed, "MOST", 6.0 * 15 * 10)

    with caplog.at_level(logging.INFO, "fastnn"):
        net.fit(np.ones((22, 4)), np.arange(22) % 3, batch_size=rows)

    is_fused = "the fused trainer" in caplog.text
    assert is_fused == (execution == "fused")
    assert ("beyond 900 operations a step" in caplog.text) != is_fused


@pytest.mark.parametrize(("case", "what"), [
    ({"sizes": (17, 4000, 3)}, "so many units: 722,400 bytes of shared memory of"),
    ({"sizes": (17, *[4] * 8, 3)}, "9 layers, more than 8"),
    ({"output": "sigmoid", "loss": "textbook"}, "loss 'textbook'"),
    ({"l2": 0.1}, "l2"),
    ({"sizes": (1, 1000, 1000, 1), "output": "sigmoid", "n": 400_000, "batch_size": None,
      "dtype": "float32"}, "batches of 400,000"),
])  # fmt: skip
def test_what_it_cannot_do_is_refused(case: Any, what: str, on_gpu: fastnn.Backend) -> None:
    with (
        fastnn.use_device(on_gpu.device),
        pytest.raises(ArgumentError, match=f"execution='fused' cannot do {what}"),
    ):
        trained("fused", **case)


def test_rows_that_the_gpu_cannot_hold_are_refused(standin: Any) -> None:
    X, y = np.random.default_rng(0).normal(size=(4000, 20)), np.arange(4000) % 3
    net = fastnn.MLP([20, 5, 3], seed=1, device="cuda")

    with (
        standin.cuda.limit(1_000_000),
        pytest.raises(ArgumentError, match="cannot do an X that stays in host memory"),
    ):
        net.fit(X, y, execution="fused")


def test_targets_may_lie_there_in_any_way(on_gpu: fastnn.Backend) -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(40, 5)), rng.random((40, 3))
    xp, ends = on_gpu.xp, []
    with on_gpu.active():
        inputs, there = xp.asarray(X), xp.asarray(Y)
        flipped = xp.asarray(Y[::-1].copy())[::-1]
        for targets in (there, xp.asarray(Y.T.copy()).T, flipped):
            net = fastnn.MLP([5, 8, 3], output="sigmoid", seed=1, dtype="float64",
                             device=on_gpu.device)  # fmt: skip
            net.fit(inputs, targets, batch_size=7, epochs=2, execution="fused")
            ends.append(net)

    assert error(ends[1], ends[0]) == error(ends[2], ends[0]) == 0


def test_a_fit_within_a_fit_takes_nothing_from_it(on_gpu: fastnn.Backend) -> None:
    X, y = np.random.default_rng(0).normal(size=(40, 5)), np.arange(40) % 3
    nets = [fastnn.MLP([5, 900, 3], seed=1, device=on_gpu.device) for _ in range(2)]

    class Fitting(fastnn.Callback):
        def on_epoch_end(self, epoch: int, figures: dict[str, float]) -> None:
            small = fastnn.MLP([5, 4, 3], seed=1, device=on_gpu.device)
            small.fit(X, y, epochs=1, execution="fused", progress=False)

    nets[0].fit(X, y, epochs=3, execution="fused")
    nets[1].fit(X, y, epochs=3, execution="fused", callbacks=[Fitting()])

    assert error(nets[1], nets[0]) == 0


def test_a_perceptron_is_left_to_the_layers(on_gpu: fastnn.Backend) -> None:
    net = fastnn.MLP([4, 1], output="step", device=on_gpu.device)
    net.fit(np.ones((8, 4)), np.ones((8, 1)), epochs=1)

    with pytest.raises(ArgumentError, match="cannot do loss 'perceptron'"):
        net.fit(np.ones((8, 4)), np.ones((8, 1)), epochs=1, execution="fused")


def test_a_run_that_diverges_goes_back(on_gpu: fastnn.Backend) -> None:
    ends = []
    for device, execution in (("cpu", "layers"), (on_gpu.device, "fused")):
        net = fastnn.MLP([5, 20, 3], "relu", seed=1, dtype="float64", device=device)
        rate = schedules.joined([(19, 0.1), 1e306])
        X = np.random.default_rng(0).normal(size=(30, 5))
        with pytest.raises(DivergenceError) as raised:
            net.fit(X, np.arange(30) % 3, batch_size=7, epochs=9, execution=execution,
                    optimizer=fastnn.SGD(rate))  # fmt: skip
        ends.append((str(raised.value), net.epochs, net.steps))
        assert np.isfinite(on_gpu.asnumpy(net.params) if device != "cpu" else net.params).all()

    assert ends[0] == ends[1]


def test_a_run_that_goes_on_ends_with_the_same_bytes(
    on_gpu: fastnn.Backend, tmp_path: Path
) -> None:
    X, y = np.random.default_rng(0).normal(size=(40, 5)), np.arange(40) % 3
    settings: dict[str, Any] = {"batch_size": 7, "execution": "fused", "optimizer": fastnn.Adam()}
    nets = [fastnn.MLP([5, 8, 3], seed=1, dropout=0.2, device=on_gpu.device) for _ in range(3)]

    nets[0].fit(X, y, epochs=6, **settings)
    nets[1].fit(X, y, epochs=3, checkpoint=tmp_path / "run", **settings)
    nets[2].fit(X, y, epochs=6, checkpoint=tmp_path / "run", resume=True, **settings)

    assert error(nets[2], nets[0]) == 0


def test_callbacks_and_validation_see_each_epoch(on_gpu: fastnn.Backend) -> None:
    X, y = np.random.default_rng(0).normal(size=(40, 5)), np.arange(40) % 3
    net = fastnn.MLP([5, 8, 3], seed=1, device=on_gpu.device)
    net.fit(X, y, epochs=2, execution="fused")  # so that a change here is seen there

    class Halving(fastnn.Callback):
        def on_epoch_end(self, epoch: int, figures: dict[str, float]) -> None:
            self.model.params[...] = self.model.params * np.float32(0.5)

    halved = fastnn.MLP([5, 8, 3], seed=1, device=on_gpu.device)
    history = halved.fit(X, y, epochs=2, execution="fused", validation=(X, y),
                         callbacks=[Halving()])  # fmt: skip

    assert len(history.val_loss) == 2
    assert error(halved, net) > 0.3


def test_a_gpu_without_room_changes_nothing(standin: Any) -> None:
    X, y = np.random.default_rng(0).normal(size=(400, 5)), np.arange(400) % 3
    net = fastnn.MLP([5, 80, 3], seed=1, device="cuda")
    before = net.params.get().tobytes()

    with standin.cuda.limit(200_000), pytest.raises(DeviceMemoryError, match="smaller batch_size"):
        net.fit(X, y, batch_size=400, execution="fused")

    assert net.params.get().tobytes() == before
    assert (net.epochs, net.steps) == (0, 0)
