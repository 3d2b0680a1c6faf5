"""Thresholds: where on this machine one way to train or predict becomes faster than another.

python -m bench.thresholds       a minute or two; nothing else should run meanwhile

For each constant of fastnn.fused and fastnn.prediction that chooses between two ways: the seconds
of the first named over those of the second, beside what the constant is compared with.  The
constant belongs where that passes one.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any
from unittest.mock import patch

import numpy as np

import fastnn
from fastnn import fused, prediction

SIZES = (784, 50, 100, 10)
TURNS = 8
NEVER = 1e18

Array = np.ndarray[Any, Any]
Work = Callable[[], Any]


def main() -> None:
    argparse.ArgumentParser(  # there are no options, but --help
        "python -m bench.thresholds", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()  # fmt: skip
    comparisons = {
        f"fused.SPARSE is {fused.SPARSE}; dense / sparse by density": density(),
        f"fused.ALONE is {fused.ALONE:.0e}; two threads / one by operations": threads(),
        f"fused.BLOCK is {fused.BLOCK}; other blocks / these by rows": blocks(),
        f"prediction.ALONE is {prediction.ALONE:.0e}; two threads / one by operations": rows(),
    }
    print("ratios of seconds")
    for title, ratios in comparisons.items():
        print(title)
        for value, ratio in ratios:
            print(f"{value:12,g}  {ratio:.2f}", flush=True)


def density() -> Iterator[tuple[float, float]]:
    """dense / sparse."""
    for share in (0.1, 0.2, 0.3, 0.4, 0.5):
        X = data(20_000, SIZES[0], share)
        yield share, ratio(training(SIZES, 100, X, SPARSE=-1), training(SIZES, 100, X, SPARSE=1))


def threads() -> Iterator[tuple[float, float]]:
    """Two threads / one."""
    for sizes, batch_size in (
        ((64, 32, 10), 64), ((64, 32, 10), 256), ((784, 50, 100, 10), 10),
        ((784, 50, 100, 10), 30), ((784, 50, 100, 10), 100), ((784, 512, 512, 10), 10),
    ):  # fmt: skip
        X = data(200 * batch_size, sizes[0], 0.2)
        operations = 6 * batch_size * fastnn.MLP(sizes).layout.count
        two = training(sizes, batch_size, X, ALONE=operations)
        yield operations, ratio(two, training(sizes, batch_size, X, ALONE=NEVER))


def blocks() -> Iterator[tuple[float, float]]:
    """Other blocks / those that there are."""
    sizes, X = (784, 512, 512, 10), data(8192, 784, 0.2)
    usual = training(sizes, None, X, BLOCK=fused.BLOCK)
    for rows in (32, 64, 128, 512):
        yield rows, ratio(training(sizes, None, X, BLOCK=rows), usual)


def rows() -> Iterator[tuple[float, float]]:
    """Two threads / one."""
    net = fastnn.MLP(SIZES)
    prediction.planned(net, net.output).compile()

    def predicting(X: Array, alone: float) -> Work:
        def work() -> None:
            with patch.object(prediction, "ALONE", alone):
                for _ in repeat(None, 20_000 // len(X)):
                    net.predict(X)

        return work

    for n in (100, 300, 1000, 3000):
        X = data(n, SIZES[0], 0.2)
        yield n * prediction.operations(net), ratio(predicting(X, 0), predicting(X, NEVER))


def training(sizes: tuple[int, ...], batch_size: int | None, X: Array, **constants: Any) -> Work:
    """A fit by the fused trainer under other constants."""
    net, y = fastnn.MLP(sizes, seed=0), np.arange(len(X)) % sizes[-1]

    def work() -> float:
        with patch.multiple(fused, **constants):
            history = net.fit(X, y, batch_size=batch_size, epochs=3, execution="fused")
        return min(history.seconds)  # the first epoch has the conversion of X

    return work


def data(n: int, d: int, share: float) -> Array:
    """X (n, d) with such a share of numbers that are not zero."""
    rng = np.random.default_rng(0)
    return (rng.random((n, d)) * (rng.random((n, d)) < share)).astype(np.float32)


def ratio(first: Work, second: Work) -> float:
    """How many times as long the first takes: the median of runs in turn."""
    return statistics.median(seconds(first) / seconds(second) for _ in range(TURNS))


def seconds(work: Work) -> float:
    """What it says itself that it took, or took."""
    began = time.perf_counter()
    said = work()
    return said or time.perf_counter() - began


if __name__ == "__main__":
    os.environ.setdefault("FASTNN_NUM_THREADS", "2")
    main()
