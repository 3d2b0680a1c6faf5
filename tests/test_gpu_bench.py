"""bench/gpu.sh without a GPU: it stops; its parts run on the stand-in; its sources compile."""

import ast
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from bench.gpu import (
    accuracy,
    calls,
    launches,
    machine,
    operations,
    predictions,
    rule,
    sources,
    steps,
    throughput,
    trainings,
)
from bench.gpu.record import Record
from bench.gpu.summary import summary
from fastnn.workloads import WORKLOADS
from fastnn_kernels import face
from fastnn_kernels.cuda_jit import Kernel

Array = np.ndarray[Any, Any]

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "bench" / "gpu.sh"
PARTS = ["machine", "accuracy", "throughput", "steps", "predictions", "launches", "operations",
         "barriers"]  # fmt: skip


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(SCRIPT), str(folder)], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHON": sys.executable, **environment},
    )  # fmt: skip


def rows_of(record: Record) -> list[dict[str, Any]]:
    """As they are on disk."""
    return list(json.loads(record.path.read_text())["rows"])


def noise(n: int, d: int = 6) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    return rng.random((n, d), np.float32), rng.integers(0, 10, n)


def test_without_a_gpu_it_stops_at_once_and_says_why(tmp_path: Path) -> None:
    stopped = run(tmp_path / "new", CUDA_VISIBLE_DEVICES="")

    assert stopped.returncode == 69
    assert stopped.stderr.startswith("bench/gpu.sh needs a GPU: device 'cuda' ")
    assert stopped.stdout == ""
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["log.txt"]


def test_a_part_that_fails_never_stops_the_later_ones(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho ran $*\ncase $* in *accuracy*) exit 3;; esac\n")
    python.chmod(0o700)

    ended = run(tmp_path, PYTHON=str(python), FASTNN_DATA=str(tmp_path))

    log = (tmp_path / "log.txt").read_text()
    assert ended.returncode == 1
    assert "== accuracy: failed with exit code 3" in ended.stdout
    for part in PARTS:
        assert f"ran -m bench.gpu.{part} {tmp_path}" in log
    assert "-m pytest -m gpu" in log
    assert f"ran -m bench.gpu.summary {tmp_path}" in ended.stdout


def test_without_mnist_only_what_needs_it_is_left_out(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho ran $*\n")
    python.chmod(0o700)

    ended = run(tmp_path, PYTHON=str(python), FASTNN_DATA="")

    assert ended.returncode == 0
    assert "== accuracy: not run, FASTNN_DATA names no folder with MNIST" in ended.stdout
    assert "bench.gpu.accuracy" not in (tmp_path / "log.txt").read_text()
    assert "bench.gpu.throughput" in (tmp_path / "log.txt").read_text()


def test_a_record_is_whole_after_each_row(tmp_path: Path) -> None:
    record = Record(tmp_path, "some")

    with record.row(case=1) as row:
        row["us"] = 2.5
    with record.row(case=2):
        raise ValueError("no")
    kept = json.loads(record.path.read_text())

    assert [row.get("us") for row in kept["rows"]] == [2.5, None]
    assert kept["rows"][1]["error"] == "ValueError: no"
    assert not kept["complete"]
    assert record.close() == 1
    assert json.loads(record.path.read_text())["complete"]
    with pytest.raises(KeyboardInterrupt), record.row():
        raise KeyboardInterrupt


def test_the_machine_is_described(tmp_path: Path, standin: Any) -> None:
    record = Record(tmp_path, "machine")

    machine.describe(record, fastnn.get_backend("cuda"), size=2, times=1)

    rows = {row["what"]: row for row in rows_of(record)}
    assert rows["software"]["numpy"] == np.__version__
    assert rows["processor"]["cores"] == os.cpu_count()
    assert rows["device"]["driver"] == 13000


def test_accuracy_compares_the_gpu_with_the_cpu(tmp_path: Path, standin: Any) -> None:
    record = Record(tmp_path, "accuracy")

    accuracy.agreement(record, *noise(20), steps=5, batch_size=4)
    accuracy.training(record, WORKLOADS["iris"], seeds=[0, 1], epochs=2)

    agreement, training = rows_of(record)[:-2], rows_of(record)[-2:]
    assert record.close() == 0
    assert len(agreement) == 20
    of_layers = {row["difference"] for row in agreement if row["execution"] == "layers"}
    assert of_layers == {0}  # the stand-in's kernels are the CPU's
    for row in training:
        assert row["cuda"]["device"] == "cuda:0"
        assert row["cpu"]["device"] == "cpu"
        assert row["cuda"]["sha256"] == row["cuda again"]["sha256"] == row["cpu"]["sha256"]


def test_accuracy_tells_when_the_gpu_differs(
    tmp_path: Path, standin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, flat = Record(tmp_path, "accuracy"), accuracy._flat
    monkeypatch.setattr(accuracy, "_flat", lambda net: flat(net) + (net.device != "cpu") * 1e-4)

    accuracy.agreement(record, *noise(8), steps=2, batch_size=4)

    assert record.close() == 1
    assert all("of the largest parameter" in row["error"] for row in rows_of(record))


def test_throughput_is_of_equal_trainings(tmp_path: Path, standin: Any) -> None:
    record = Record(tmp_path, "throughput")

    throughput.compare(record, *noise(50), nets=[((6, 5, 10), "relu")], steps={4: 3, 50: 2},
                       turns=2)  # fmt: skip

    small, large = rows_of(record)
    assert record.close() == 0
    assert (small["rows"], small["epochs"]) == (12, 1)
    assert (large["rows"], large["epochs"]) == (50, 2)
    for row in (small, large):
        names = list(row["samples_per_second"])
        assert names[:3] == ["fastnn cuda layers", "fastnn cuda fused", "fastnn cpu fused"]
        assert row["apart"] < 1e-5  # a few steps' rounding, PyTorch's where it is installed


def test_steps_are_timed_in_both_forms(tmp_path: Path, standin: Any) -> None:
    record = Record(tmp_path, "steps")

    steps.steps(record, *noise(50), nets=[((6, 5, 10), "relu")], sizes=(1, 10), turns=3)

    few, many = rows_of(record)
    assert record.close() == 0
    assert few["way"].startswith("64 steps in three kernels")
    assert many["way"].startswith("steps of two kernels")
    assert many["us"]["median"] > many["first_kernel_us"]["median"] / 10


def test_predictions_are_timed_and_alike(tmp_path: Path, standin: Any) -> None:
    record = Record(tmp_path, "predictions")

    predictions.predictions(record, noise(50)[0], [(6, 5, 10)], (1, 40), seconds=1e-3)

    rows = rows_of(record)
    assert record.close() == 0
    assert [(row["rows"], row["place"]) for row in rows] == [
        (1, "host"), (1, "gpu"), (40, "host"), (40, "gpu"),
    ]  # fmt: skip
    assert all(row["apart"] < 1e-6 and row["fused"]["median"] > 0 for row in rows)
    assert "40 rows, gpu: layers " in "\n".join(summary(tmp_path))


@pytest.mark.parametrize(("speeds", "most"), [
    ([(10, 2), (100, 3), (1000, 0.5)], 100), ([(10, 0.5), (100, 3), (1000, 0.5)], 100),
    ([(10, 0.5), (100, 1.5)], 0), ([(10, 2)], 10), ([], 0),
])  # fmt: skip
def test_the_rule_divides_where_the_speeds_cross(
    speeds: list[tuple[int, float]], most: int
) -> None:
    rows = [
        {"net": "1-1", "batch_size": n,
         "samples_per_second": {"a": {"median": x}, "b": {"median": 1.0}}}
        for n, x in speeds
    ]  # fmt: skip
    assert rule.threshold(rows, "a", "b") == 12 * most
    assert rule.threshold(rows, "a", "another") == 0


def test_small_networks_are_trained_for_a_memory_checker(
    standin: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainings, "ROWS", 20)

    trainings.main()

    assert capsys.readouterr().out == f"{2 * len(trainings.CASES)} trainings\n"


def test_operations_know_their_bytes(tmp_path: Path, standin: Any) -> None:
    record, backend = Record(tmp_path, "operations"), fastnn.get_backend("cuda")

    with standin.cuda.Stream(non_blocking=True):
        operations.copies(record, standin, sizes=(64,))
        gb_s = operations.bandwidth(record, standin, size=64)
        operations.products(record, backend, [(1, 3, 2), (4, 3, 2)])
        operations.kernels(record, backend, gb_s, rows=(1, 5), columns=(3,))

    kernels = [row for row in rows_of(record) if row["what"] == "kernel"]
    size = {row["kernel"]: row["bytes"] for row in kernels if row["rows"] == 5}
    assert record.close() == 0
    assert len(kernels) == 2 * len(inspect.get_annotations(face.Kernels))
    assert size["bias_relu"] == 4 * (15 + 3 + 15)
    assert size["softmax_cross_entropy_labels"] == 4 * (15 + 5 + 15 + 5) + 8 * 5
    assert size["sgd_momentum"] == 4 * 5 * 15  # p and v there and back, g there
    assert size["philox_bits"] == 4 * 15


def test_all_kernels_are_launched_for_a_memory_checker(
    standin: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    calls.main()

    count = 2 * len(calls.SHAPES) * len(inspect.get_annotations(face.Kernels))
    assert capsys.readouterr().out == f"{count} launches\n"


@pytest.mark.parametrize("apart", [0.5, float("nan")])
def test_the_summary_says_who_did_something_else(tmp_path: Path, apart: float) -> None:
    speeds = {name: {"median": speed, "least": 1.0, "most": 9.0} for name, speed in
              (("fastnn cuda fused", 4.0), ("fastnn cuda layers", 2.0))}  # fmt: skip
    record = Record(tmp_path, "throughput")
    for batch_size, far in ((10, 1e-6), (100, apart)):
        with record.row(net="6-10", batch_size=batch_size) as row:
            row.update(apart=far, samples_per_second=speeds)

    page = list(summary(tmp_path))

    (same,), (other,) = ([line for line in page if f" {n} a batch" in line] for n in (10, 100))
    assert "NOT THE SAME" not in same
    assert other.endswith(f"NOT THE SAME: {apart:.1e} apart")
    assert any(line.startswith("the rule: fused up to 4.20e+03 operations") for line in page)


def test_the_summary_tells_what_is_there_and_what_is_not(tmp_path: Path, standin: Any) -> None:
    record = Record(tmp_path, "throughput")
    throughput.compare(record, *noise(8), nets=[((6, 10), "relu")], steps={4: 2}, turns=2)
    with record.row(net="6-10", batch_size=7):
        raise ValueError("too odd")
    record.close()
    Record(tmp_path, "barriers")
    us = {"median": 2.0, "least": 1.0, "most": 3.0}
    record = Record(tmp_path, "launches")
    with record.row(what="launch", way="CuPy", host_us=us, back_to_back_us=us):
        pass
    record.close()

    page = "\n".join(summary(tmp_path))

    assert "fastnn cuda" in page
    assert "throughput FAILED: 6-10 7: ValueError: too odd" in page
    assert "launch by CuPy: 2.0 us of the host" in page
    assert "barriers: cut short" in page
    assert "operations: nothing written" in page
    assert "tests: nothing written" in page


@pytest.mark.parametrize("capability", ["90", "100"])
def test_the_sources_compile_without_a_gpu(capability: str) -> None:
    pytest.importorskip("cuda.core", reason="numba-cuda is not installed")
    named = {
        "add": sources.ADD, "count_up": sources.COUNT_UP, "grid_barrier": sources.GRID_BARRIER,
        "cluster_barrier": sources.cluster_barrier(16),
    }  # fmt: skip
    vector = np.ndarray, np.dtype(np.float32)

    for name, source in named.items():
        code = bytes(sources.compiled(source, capability).code)
        assert code.startswith(b"\x7fELF")
        assert b".text." + name.encode() in code
    ptx = Kernel(launches.add).ptx((vector, vector, vector), capability)
    assert f".target sm_{capability}" in ptx


def test_the_real_cupy_has_every_name_that_is_used() -> None:
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")

    used = {name for path in (ROOT / "bench" / "gpu").glob("*.py") for name in names_of(path)}

    assert {"cuda.Stream", "cuda.get_elapsed_time", "RawKernel", "matmul"} <= used
    for name in used:
        found = cupy
        for part in name.split("."):
            found = getattr(found, part, None)
            assert found is not None, name


def names_of(path: Path) -> Iterator[str]:
    """What a file takes from CuPy, which is `cupy`, `xp` or `backend.xp` there."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            for root in ("cupy.", "xp.", "backend.xp."):
                if name.startswith(root) and "(" not in name:
                    yield name.removeprefix(root)
