"""Predictions: microseconds of one call, by rows, where they are, and by execution."""

import sys
from collections.abc import Iterable
from functools import partial

import numpy as np

import fastnn
from bench.gpu.clocks import rounded, together_us
from bench.gpu.record import Record
from bench.gpu.throughput import Array, data

NETS = [(784, 50, 100, 10), (784, 200, 10), (784, 512, 512, 10)]
ROWS = (1, 100, 10_000)


def predictions(
    record: Record, X: Array, nets: Iterable[tuple[int, ...]] = NETS, counts: Iterable[int] = ROWS,
    seconds: float = 0.2,
) -> None:  # fmt: skip
    """Every network with so many rows, in host memory and on the GPU."""
    for sizes in nets:
        net = fastnn.MLP(sizes, seed=0, device="cuda")
        for n in counts:
            there = {"host": X[:n], "gpu": net.backend.asarray(X[:n])}
            for place, rows in there.items():
                name = "-".join(map(str, sizes))
                with record.row(what="prediction", net=name, rows=n, place=place) as row:
                    answers = []
                    for execution in ("layers", "fused"):
                        predict = partial(net.predict, rows, execution=execution)
                        answers.append(net.backend.asnumpy(predict()))
                        once = together_us(net.backend.xp, predict, 1, repeats=2)["median"]
                        times = max(1, min(200, round(seconds / 7 / (once * 1e-6))))
                        row[execution] = together_us(net.backend.xp, predict, times)
                    row["apart"] = rounded(float(np.ptp(answers, axis=0).max()))


def main(folder: str) -> int:
    record = Record(folder, "predictions")
    _, X, _ = data()
    predictions(record, X)
    return record.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
