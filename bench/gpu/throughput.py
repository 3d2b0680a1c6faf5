"""Throughput: samples per second of training, on a GPU, on the CPU, and by PyTorch on the GPU.

All train the same network from the same weights on the same batches in the same order, in full
float32, with the data where the network is; they take turns, and each turn ends when its device
is done.  fastnn's turn is one `fit`, which also checks the data and sums loss and accuracy;
PyTorch's is a plain loop with the fused optimizer, which does neither.
"""

import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

import fastnn
from bench.gpu.clocks import rounded, spread
from bench.gpu.record import Record
from fastnn.gpu import version

Array = np.ndarray[Any, Any]

NETS = [
    ((784, 50, 100, 10), "sigmoid"),
    ((784, 200, 10), "relu"),
    ((784, 512, 512, 10), "relu"),
]
STEPS = {1: 2000, 10: 1500, 100: 600, 1024: 100, 8192: 20}  # a turn's, by batch size
TURNS, SECONDS = 7, 4.0  # of each case: so many turns, or as many as begin in this time
WIDE = 1024  # batches whose products are worth their rounding
LEARNING_RATE = 1e-3  # small, so that no batch size diverges; it changes no time


@dataclass(frozen=True)
class Job:
    """A training: so many epochs over X (n, d) float32 and y (n,) in their own order."""

    sizes: tuple[int, ...]
    activation: str
    X: Array
    y: Array
    batch_size: int
    epochs: int

    @property
    def samples(self) -> int:
        return len(self.X) * self.epochs


class Contender(Protocol):
    """One that trains job's network; `train` returns when its device is done."""

    name: str

    def train(self) -> None: ...
    def weights(self) -> list[Array]: ...


class Fastnn:
    def __init__(self, job: Job, device: str, execution: str, precision: str = "float32") -> None:
        self.net, self.job = fastnn.MLP(job.sizes, job.activation, seed=0, device=device), job
        self.name = " ".join(["fastnn", device, execution, *[precision] * (precision != "float32")])
        self.settings: dict[str, Any] = {"execution": execution, "precision": precision}
        backend = self.net.backend
        with backend.active():
            self.data = backend.asarray(job.X), backend.asarray(job.y, np.int64)

    def train(self) -> None:
        self.net.fit(
            *self.data, optimizer=fastnn.SGD(LEARNING_RATE), epochs=self.job.epochs,
            batch_size=self.job.batch_size, shuffle=False, progress=False, **self.settings,
        )  # fmt: skip
        self.net.backend.synchronize()

    def weights(self) -> list[Array]:
        return [W for name, W in self.net.get_params_dict().items() if name.startswith("W")]


class PyTorch:
    """In eager mode, on its GPU where it has one; its name says where."""

    def __init__(self, job: Job) -> None:
        import torch

        torch.set_float32_matmul_precision("highest")
        self.torch, self.job = torch, job
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.name = f"PyTorch {device}"
        start = fastnn.MLP(job.sizes, job.activation, seed=0)
        layers: list[Any] = []
        for W, b in zip(start.weights, start.biases, strict=True):
            linear = torch.nn.Linear(*W.shape)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(W.T.copy()))
                linear.bias.copy_(torch.from_numpy(b.copy()))
            layers += [
                linear,
                {"sigmoid": torch.nn.Sigmoid, "relu": torch.nn.ReLU}[job.activation](),
            ]
        self.model = torch.nn.Sequential(*layers[:-1]).to(device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), LEARNING_RATE, fused=True)
        self.loss_of = torch.nn.CrossEntropyLoss()
        self.X = torch.from_numpy(job.X).to(device)
        self.y = torch.from_numpy(job.y.astype(np.int64)).to(device)

    def train(self) -> None:
        for _ in range(self.job.epochs):
            for i in range(0, len(self.X), self.job.batch_size):
                batch = slice(i, i + self.job.batch_size)
                self.optimizer.zero_grad()
                self.loss_of(self.model(self.X[batch]), self.y[batch]).backward()
                self.optimizer.step()
        if self.X.is_cuda:
            self.torch.cuda.synchronize()

    def weights(self) -> list[Array]:
        tensors = [p.detach().cpu().numpy() for p in self.model.parameters()]
        return [W.T for W in tensors[::2]]


def compare(
    record: Record, X: Array, y: Array, nets: Iterable[Any] = NETS,
    steps: dict[int, int] = STEPS, turns: int = TURNS,
) -> None:  # fmt: skip
    """Every network at every batch size."""
    for sizes, activation in nets:
        for batch_size, count in steps.items():
            n = min(len(X), batch_size * count)
            job = Job(sizes, activation, X[:n], y[:n], batch_size, -(-batch_size * count // n))
            with record.row(
                net="-".join(map(str, sizes)), activation=activation, batch_size=batch_size,
                dtype="float32", rows=n, epochs=job.epochs,
            ) as row:  # fmt: skip
                row.update(timed(job, contenders(job), turns))


def contenders(job: Job) -> list[Contender]:
    ours: list[Contender] = [
        Fastnn(job, "cuda", "layers"),
        Fastnn(job, "cuda", "fused"),
        Fastnn(job, "cpu", "fused"),
    ]
    if job.batch_size >= WIDE:
        ours.append(Fastnn(job, "cuda", "layers", "tf32"))
    try:
        return [*ours, PyTorch(job)]
    except ImportError:
        return ours


def timed(job: Job, contenders: list[Contender], turns: int) -> dict[str, Any]:
    """{name: samples per second}, and how far the weights of all are apart after a first turn."""
    for contender in contenders:
        contender.train()
    exact = [contender for contender in contenders if not contender.name.endswith("tf32")]
    apart = difference([contender.weights() for contender in exact])
    found: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    began, turn = time.perf_counter(), 0
    while turn < turns and (turn < 2 or time.perf_counter() - began < SECONDS):
        for contender in contenders:
            start = time.perf_counter()
            contender.train()
            found[contender.name].append(job.samples / (time.perf_counter() - start))
        turn += 1
    figures = {name: spread(speeds) for name, speeds in found.items()}
    return {"turns": turn, "apart": rounded(apart), "samples_per_second": figures}


def difference(weights: list[list[Array]]) -> float:
    """The largest from the first's, of a layer's largest weight."""
    return max(
        float(np.abs(V - W).max() / np.abs(W).max())
        for others in weights[1:]
        for V, W in zip(weights[0], others, strict=True)
    )


def data() -> tuple[str, Array, Array]:
    """MNIST in [0, 1], or noise of its shape where FASTNN_DATA names none."""
    if os.environ.get("FASTNN_DATA"):
        (X, y), _ = fastnn.datasets.load_mnist()
        return "MNIST", X, y
    rng = np.random.default_rng(0)
    return "noise", rng.random((60_000, 784), np.float32), rng.integers(0, 10, 60_000)


def main(folder: str) -> int:
    record = Record(folder, "throughput")
    name, X, y = data()
    with record.row(what="data", data=name, torch=version("torch")):
        pass
    compare(record, X, y)
    return record.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
