"""Accuracy: the GPU trains to what the CPU does, step by step and in the end, and repeats itself.

First, 400 steps of SGD with the same weights and batches: the parameters differ by rounding
alone.  Then whole trainings of a workload: their test accuracy, how long they take from arrays
in host memory to a trained network, and whether a second one gives the same bytes.
"""

import hashlib
import os
import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

import fastnn
from bench.gpu.clocks import rounded
from bench.gpu.record import Record
from fastnn.workloads import WORKLOADS, Workload

Array = np.ndarray[Any, Any]

EPOCHS = 8  # of the workload's 20: enough for 98 % of MNIST
LIMITS = {"float32": 5e-6, "float64": 1e-12}  # of the largest parameter: rounding in 400 steps
RUNS: dict[str, tuple[str, dict[str, str]]] = {
    "cuda": ("cuda", {"execution": "layers"}),
    "cuda again": ("cuda", {"execution": "layers"}),
    "fused": ("cuda", {"execution": "fused"}),
    "fused again": ("cuda", {"execution": "fused"}),
    "tf32": ("cuda", {"execution": "layers", "precision": "tf32"}),
    "bf16": ("cuda", {"execution": "layers", "precision": "bf16"}),
    "cpu": ("cpu", {"execution": "layers"}),
}
OPTIMIZERS = [
    fastnn.SGD(0.1),
    fastnn.SGD(0.1, weight_decay=1e-3),
    fastnn.SGD(0.01, momentum=0.9),
    fastnn.SGD(0.01, momentum=0.9, nesterov=True),
    fastnn.SGD(0.01, momentum=0.9, nesterov=True, weight_decay=1e-3),
]


def agreement(record: Record, X: Array, y: Array, steps: int = 400, batch_size: int = 32) -> None:
    """The parameters after so many steps on a GPU beside those on the CPU."""
    X, y = X[: steps * batch_size], y[: steps * batch_size]
    for dtype, limit in LIMITS.items():
        for optimizer in OPTIMIZERS:
            theirs = _stepped("cpu", "layers", dtype, optimizer, X, y, batch_size)
            for execution in ("layers", "fused"):
                case = {"dtype": dtype, "optimizer": str(optimizer), "execution": execution}
                with record.row(what="agreement", **case) as row:
                    ours = _stepped("cuda", execution, dtype, optimizer, X, y, batch_size)
                    difference = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
                    row.update(steps=steps, difference=rounded(difference), limit=limit)
                    assert difference <= limit, f"{difference:.1e} of the largest parameter"


def _stepped(
    device: str,
    execution: str,
    dtype: str,
    optimizer: fastnn.SGD,
    X: Array,
    y: Array,
    batch_size: int,
) -> Array:
    net = fastnn.MLP([X.shape[1], 50, 100, 10], "sigmoid", seed=0, dtype=dtype, device=device)
    net.fit(X, y, optimizer=optimizer, batch_size=batch_size, shuffle=False,
            execution=execution)  # fmt: skip
    return _flat(net)


def training(
    record: Record, work: Workload, seeds: Iterable[int] = range(5), epochs: int = EPOCHS
) -> None:
    """Train on the GPU twice in each execution, in less precision, and on the CPU, per seed."""
    data = work.load(None)
    for device, settings in RUNS.values():  # compiles, so that no clock sees it
        _trained(work, data, device, settings, seed=0, epochs=1)
    for seed in seeds:
        with record.row(what="training", workload=work.name, seed=seed, epochs=epochs) as row:
            for name, (device, settings) in RUNS.items():
                row[name] = _trained(work, data, device, settings, seed, epochs)
            for name in ("cuda", "fused"):
                assert row[name]["sha256"] == row[f"{name} again"]["sha256"], "two runs differ"


def _trained(
    work: Workload, data: Any, device: str, settings: dict[str, str], seed: int, epochs: int
) -> dict[str, Any]:
    (X, y), (X_test, y_test) = data
    net = work.network(X, seed=seed, device=device)
    net.backend.synchronize()
    began = time.perf_counter()
    history = net.fit(X, y, **work.training | {"epochs": epochs} | settings)
    net.backend.synchronize()
    seconds = time.perf_counter() - began
    return {
        "device": net.device, "seconds": rounded(seconds), "loss": history.loss[-1],
        "samples_per_second": rounded(len(X) * epochs / seconds),
        "test_accuracy": net.evaluate(X_test, y_test)["accuracy"],
        "sha256": hashlib.sha256(_flat(net).tobytes()).hexdigest(),
    }  # fmt: skip


def _flat(net: fastnn.MLP) -> Array:
    return np.concatenate([tensor.ravel() for tensor in net.get_params_dict().values()])


def main(folder: str) -> int:
    if not os.environ.get("FASTNN_DATA"):
        print("FASTNN_DATA names no folder with MNIST")
        return 2
    record = Record(folder, "accuracy")
    (X, y), _ = fastnn.datasets.load_mnist()
    agreement(record, X, y)
    training(record, WORKLOADS["mnist"])
    return record.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
