"""Classic: the textbook machines, compiled, beside their formulas as their readers write them."""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from bench.cases import rows_of
from bench.conftest import in_turn, rest, rounds, turns
from fastnn.classic import IrisNetwork, NeuralNetwork, Neuron, Perceptron
from fastnn.datasets import load_iris, one_hot, scale_minmax

Array = np.ndarray[Any, Any]
Work = Callable[[], Any]
# A contender's name, what it does, and what it has learned then; None where that is nothing.
Entry = tuple[str, Work, Callable[[], list[Any]] | None]
FEW = 20  # epochs or calls after which rounding has not grown: IrisNetwork's 1e-13 is 1e-4 at 100
CORNERS, XOR = np.array([[1, 1], [1, 0], [0, 1], [0, 0]]), [0, 1, 1, 0]


class TextbookPerceptron:
    def __init__(self, weights: Array, threshold: float) -> None:
        self.weights, self.threshold = weights.copy(), threshold

    def predict(self, x: Array) -> int:
        return 1 if np.dot(x, self.weights) > self.threshold else 0

    def learn(self, x: Array, target: int) -> None:
        error = self.predict(x) - target
        self.weights = self.weights - error * x * 0.01
        self.threshold += error * 0.01


def perceptron(epochs: int) -> Iterator[Entry]:
    """XOR, which it cannot learn."""
    machine = Perceptron(seed=0)
    machine.net.fit(CORNERS, XOR, batch_size=1, execution="fused", progress=False)
    yield (
        "fastnn", lambda: machine.fit(CORNERS, XOR, epochs),
        lambda: [machine.weights, machine.threshold],
    )  # fmt: skip

    textbook = TextbookPerceptron(machine.weights, machine.threshold)

    def formulas() -> None:
        for _ in range(epochs):
            for x, target in zip(CORNERS, XOR, strict=True):
                textbook.learn(x, target)

    yield "NumPy", formulas, lambda: [textbook.weights, textbook.threshold]


class TextbookNeuron:
    def __init__(self, w: float, b: float) -> None:
        self.w, self.b = w, b

    def forward(self, x: float) -> Any:
        return 1 / (1 + np.exp(-(self.w * x + self.b)))

    def backward(self, x: float, y: float, y_pred: float) -> None:
        dz = -2 * (y - y_pred) * y_pred * (1 - y_pred)
        self.w -= 0.1 * dz * x
        self.b -= 0.1 * dz


def neuron(epochs: int) -> Iterator[Entry]:
    machine = Neuron(seed=0)
    machine.net.fit([[3]], [[0.7]], loss="mean_squared_error", execution="fused", progress=False)
    yield (
        "fastnn", lambda: machine.train(3, 0.7, epochs, target_loss=-1),
        lambda: [machine.w, machine.b],
    )  # fmt: skip

    textbook = TextbookNeuron(machine.w, machine.b)

    def formulas() -> list[float]:
        losses = []
        for _ in range(epochs):
            y_pred = textbook.forward(3)
            losses.append((0.7 - y_pred) ** 2)
            textbook.backward(3, 0.7, y_pred)
        return losses

    yield "NumPy", formulas, lambda: [textbook.w, textbook.b]


def neural_network(calls: int) -> Iterator[Entry]:
    """784-200-10 on MNIST's rows, or others, scaled to 0.01..1."""
    inputs, targets = _rows_of_784(calls)
    single, whole = (NeuralNetwork(784, 200, 10, 0.1, seed=0) for _ in range(2))
    for machine in (single, whole):
        machine.net.fit(inputs[:9], targets[:9], loss="textbook", batch_size=1, execution="fused",
                        progress=False)  # fmt: skip

    def one_by_one() -> None:
        for x, t in zip(inputs, targets, strict=True):
            single.train(x, t)
        _ = single.net  # has learned all

    wih, who = single.wih.copy(), single.who.copy()
    source, target = np.ones((2, 200, 784))
    yield "fastnn", one_by_one, lambda: [single.wih, single.who]
    yield (
        "fastnn, one call", lambda: whole.train(inputs, targets),
        lambda: [whole.wih, whole.who],
    )  # fmt: skip

    def copies() -> None:
        """What steps that read and write the hidden weights cannot fall below."""
        for _ in range(calls):
            np.copyto(target, source)

    yield "weights copied", copies, None

    def formulas() -> None:
        nonlocal wih, who
        for x, t in zip(inputs, targets, strict=True):
            i, t = np.array(x, ndmin=2).T, np.array(t, ndmin=2).T
            h = 1 / (1 + np.exp(-np.dot(wih, i)))
            o = 1 / (1 + np.exp(-np.dot(who, h)))
            e = t - o
            eh = np.dot(who.T, e)
            who += 0.1 * np.dot(e * o * (1 - o), h.T)
            wih += 0.1 * np.dot(eh * h * (1 - h), i.T)

    yield "NumPy", formulas, lambda: [wih, who]


def iris_network(epochs: int) -> Iterator[Entry]:
    flowers, species = load_iris()
    X, Y = scale_minmax(flowers)[:120], one_hot(species, 3)[:120]
    machine = IrisNetwork(4, 5, 3, epochs, 0.2, seed=0)
    machine.net.fit(X, Y, loss="squared_error", batch_size=None, execution="fused", progress=False)
    yield (
        "fastnn", lambda: machine.train(X, Y),
        lambda: [*machine.net.weights, *machine.net.biases],
    )  # fmt: skip

    (W1, W2), (b1, b2) = ([x.copy() for x in each]
                          for each in (machine.net.weights, machine.net.biases))  # fmt: skip

    def formulas() -> None:
        nonlocal W1, W2, b1, b2
        for _ in range(epochs):
            H = 1 / (1 + np.exp(-(X @ W1 + b1)))
            A = 1 / (1 + np.exp(-(H @ W2 + b2)))
            D2 = (A - Y) * A * (1 - A)
            D1 = D2 @ W2.T * H * (1 - H)
            W2, b2 = W2 - 0.2 * H.T @ D2, b2 - 0.2 * D2.sum(axis=0)
            W1, b1 = W1 - 0.2 * X.T @ D1, b1 - 0.2 * D1.sum(axis=0)

    yield "NumPy", formulas, lambda: [W1, W2, b1, b2]


MACHINES: dict[str, tuple[Callable[[int], Iterator[Entry]], str, int, list[str]]] = {
    "Perceptron.fit": (perceptron, "2-1", 10_000, ["fastnn", "NumPy"]),
    "Neuron.train": (neuron, "1-1", 10_000, ["fastnn", "NumPy"]),
    "NeuralNetwork.train": (neural_network, "784-200-10", 10_000,
                            ["fastnn", "fastnn, one call", "weights copied", "NumPy"]),
    "IrisNetwork.train": (iris_network, "4-5-3", 8_000, ["fastnn", "NumPy"]),
}  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    cases = [
        (name, turn, contender)
        for turn in turns(metafunc.config)
        for name, (*_, contenders) in MACHINES.items()
        for contender in in_turn(contenders, turn)
    ]
    metafunc.parametrize(("name", "turn", "contender"), cases)


@pytest.fixture(scope="session")
def ready() -> dict[str, dict[str, Work]]:
    """What each contender of a machine does, where all of them learn the same."""
    return {}


def test_classic(
    benchmark: Any, is_timed: bool, ready: dict[str, dict[str, Work]], name: str, turn: int,
    contender: str,
) -> None:  # fmt: skip
    make, sizes, count, _ = MACHINES[name]
    if name not in ready:
        assert_all_learn_the_same(make(FEW))
        ready[name] = {who: work for who, work, _ in make(count if is_timed else FEW)}
        for work in ready[name].values():
            work()
    benchmark.group = f"classic {name}"
    benchmark.extra_info.update(
        kind="classic", workload=name, sizes=sizes, batch_size=None, samples=count,
        contender=contender, device="cpu", execution="", turn=turn, loss_error=None, counts=True,
    )  # fmt: skip
    work = ready[name][contender]
    rest()
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    benchmark.pedantic(work, rounds=rounds(seconds))


def assert_all_learn_the_same(entries: Iterator[Entry]) -> None:
    """From the same start, up to rounding."""
    all_learned = []
    for _, work, learned in list(entries):  # all are made before one has learned
        work()
        if learned is not None:
            all_learned.append([np.array(x) for x in learned()])
    for some in all_learned:
        for found, wanted in zip(some, all_learned[-1], strict=True):
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9)


def _rows_of_784(n: int) -> tuple[Array, Array]:
    if os.environ.get("FASTNN_DATA"):
        X, y = rows_of("mnist")
        X, y = X[:n], y[:n]
    else:
        rng = np.random.default_rng(0)
        X, y = rng.random((n, 784)), rng.integers(0, 10, n)
    return 0.01 + 0.99 * X.astype(float), 0.01 + 0.98 * one_hot(y, 10).astype(float)
