"""Cases: the trainings that are timed, as values.

All contenders train the same network on the same rows in the same order from the same weights,
by plain SGD on the mean cross-entropy of a batch, in float32.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

import fastnn
from fastnn.streams import Purpose, generator
from fastnn.workloads import WORKLOADS

Array = np.ndarray[Any, Any]
Layers = list[tuple[Array, Array]]  # (W (d, m), b (m,)), first layer first

SEED = 0
EPOCHS = 10  # of a job on MNIST, and its steps in each by batch size
# One by one, 1,000 rows were so few that what a fit costs besides was a fifth of the job.
STEPS = {1: 2000, 10: 300, 100: 100, 1000: 15, 8192: 2}
STEPS_OF_MANY_WEIGHTS = {1: 250, 10: 100, 100: 40, 1000: 5, 8192: 2}


@dataclass(frozen=True)
class Job:
    """`epochs` over `rows` rows, each epoch in an order of its own unless one batch is all."""

    workload: str
    sizes: tuple[int, ...]
    activation: str
    batch_size: int
    rows: int
    epochs: int
    learning_rate: float = 0.1
    is_resident: bool = True  # the rows are on the device before; else each job copies them

    @property
    def name(self) -> str:
        return f"{self.title} {'-'.join(map(str, self.sizes))} batch {self.batch_size}"

    @property
    def title(self) -> str:
        """The workload, and what is done besides."""
        return self.workload + ", rows copied" * (not self.is_resident)

    @property
    def samples(self) -> int:
        """Trained on in a job."""
        return self.rows * self.epochs

    @property
    def steps(self) -> int:
        return -(-self.rows // self.batch_size) * self.epochs

    @property
    def X(self) -> Array:
        """(rows, d) float32, scaled as the workload scales it."""
        return rows_of(self.workload)[0][: self.rows]

    @property
    def y(self) -> Array:
        """(rows,) int64."""
        return rows_of(self.workload)[1][: self.rows]

    @property
    def shuffles(self) -> bool:
        return self.batch_size < self.rows

    def short(self) -> "Job":
        """Two batches and a part of one, or a row of each class, to see whether it runs."""
        size = min(self.batch_size, 250)
        rows = min(self.rows, max(2 * size + size // 2, 100))
        return replace(self, rows=rows, batch_size=size, epochs=1)

    def quarter(self) -> "Job":
        """Of the rows, or of the epochs where one batch is all."""
        if self.shuffles:
            return replace(self, rows=max(self.batch_size + 1, self.rows // 4))
        return replace(self, epochs=self.epochs // 4)

    def orders(self) -> list[Array]:
        """Of the rows in each epoch, as fastnn draws them from SEED."""
        if not self.shuffles:
            return [np.arange(self.rows)] * self.epochs
        return [
            generator(SEED, Purpose.ORDER, epoch).permutation(self.rows)
            for epoch in range(self.epochs)
        ]

    def start(self) -> Layers:
        """The weights that all begin with, float32."""
        net = fastnn.MLP(self.sizes, self.activation, seed=SEED)
        params = net.get_params_dict()
        return [(params[f"W{k}"], params[f"b{k}"]) for k in range(1, len(self.sizes))]

    def products(self) -> Iterator[tuple[int, int, int]]:
        """(n, d, m) of each X W in a step on a whole batch; as many operations twice on the way
        back, but for the first layer once."""
        for d, m in pairwise(self.sizes):
            yield self.batch_size, d, m


@cache
def rows_of(workload: str) -> tuple[Array, Array]:
    """The rows that a workload trains on: X float32, scaled, and y int64.

    "mnist-dense" is MNIST with pixels from 0.01 to 1, of which none is zero.
    """
    name, _, dense = workload.partition("-")
    work = WORKLOADS[name]
    (X, y), _ = work.load(os.environ.get("FASTNN_DATA"))
    offset, factor = work.scaling(X)
    X = ((X - offset) * factor).astype(np.float32)
    return 0.99 * X + 0.01 if dense else X, y.astype(np.int64)


def _mnist(
    sizes: tuple[int, ...], activation: str, steps: dict[int, int], workload: str = "mnist"
) -> list[Job]:
    def rate(batch_size: int) -> float:
        is_wild = activation == "relu" and batch_size < 100  # rounding grows where units switch
        return 0.001 * batch_size if is_wild else 0.1

    return [
        Job(workload, sizes, activation, size, size * count, EPOCHS, rate(size))
        for size, count in steps.items()
    ]


JOBS = [
    Job("iris", (4, 5, 3), "sigmoid", 120, 120, 8000),
    *(Job("digits", (64, 32, 10), "sigmoid", size, 1438, epochs)
      for size, epochs in ((1, 10), (10, 10), (100, 40), (1438, 100))),
    *_mnist((784, 200, 10), "sigmoid", STEPS),
    *_mnist((784, 50, 100, 10), "sigmoid", STEPS),
    *_mnist((784, 50, 100, 10), "sigmoid", {10: STEPS[10], 100: STEPS[100]}, "mnist-dense"),
    *_mnist((784, 512, 512, 10), "relu", STEPS_OF_MANY_WEIGHTS),
]  # fmt: skip
COPIED = [
    replace(job, is_resident=False) for job in JOBS
    if job.sizes == (784, 200, 10) and job.batch_size in (100, 8192)
]  # fmt: skip
ALL = {"cpu": JOBS, "cuda": JOBS + COPIED}
QUICK = {
    "cpu": [
        job.quarter() for job in JOBS
        if job.sizes in ((4, 5, 3), (64, 32, 10), (784, 200, 10))
        and job.batch_size in (1, 100, 120)
    ],
    "cuda": [
        job.quarter() if job.batch_size == 1 else job for job in JOBS
        if job.sizes in ((784, 200, 10), (784, 512, 512, 10)) and job.batch_size in (1, 100, 8192)
    ]
    + COPIED,
}  # fmt: skip
