"""Steps: microseconds of a fused step on a GPU, by network and batch size, and of its first kernel.

The clock runs between two events around hundreds of steps replayed as graphs.
"""

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

import fastnn
from bench.gpu.clocks import gpu_us, rounded
from bench.gpu.record import Record
from bench.gpu.throughput import NETS, Array, data

TURNS = 256  # what is launched together, four graphs of it
SIZES = (1, 4, 10, 100, 1024, 8192)


class Keeping(fastnn.Callback):
    """Keeps what trains."""

    way: Any = None

    def on_train_end(self, _: dict[str, float] | None = None) -> None:
        self.way = self.run.way


def steps(
    record: Record, X: Array, y: Array, nets: Iterable[Any] = NETS,
    sizes: Iterable[int] = SIZES, turns: int = TURNS,
) -> None:  # fmt: skip
    """Every network at every batch size."""
    for layers, activation in nets:
        for size in sizes:
            name = "-".join(map(str, layers))
            with record.row(what="step", net=name, batch_size=size) as row:
                row.update(_timed(fastnn.MLP(layers, activation, device="cuda"), X, y, size, turns))


def _timed(net: fastnn.MLP, X: Array, y: Array, batch_size: int, turns: int) -> dict[str, Any]:
    keeping, n = Keeping(), max(len(X) // batch_size, 1) * batch_size
    net.fit(X, y, batch_size=batch_size, callbacks=[keeping], execution="fused", progress=False,
            optimizer=fastnn.SGD(1e-3))  # fmt: skip
    trainer, plan = keeping.way.trainer, keeping.way.plan
    rows, numbers = turns * plan.batches * batch_size, np.array([[1e-3, 0.0]])
    order = np.resize(np.arange(n), -(-rows // n) * n)
    with net.backend.active():
        whole = gpu_us(
            net.backend.xp, lambda: trainer.train(order, n, batch_size, numbers, 0), repeats=5
        )
        trainer.held["control"][:1] = 0  # there, rows are to be had
        first = gpu_us(net.backend.xp, trainer.turn[0], times=20)
    steps = len(order) / batch_size
    return {
        "way": str(plan), "us": {name: rounded(us / steps) for name, us in whole.items()},
        "first_kernel_us": first,
    }  # fmt: skip


def main(folder: str) -> int:
    record = Record(folder, "steps")
    _, X, y = data()
    steps(record, X, y)
    return record.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
