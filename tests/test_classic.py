"""The textbook machines: what their readers know, and the formulas written out beside them."""

import copy
import math
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.classic import IrisNetwork, NeuralNetwork, Neuron, Perceptron
from fastnn.errors import (
    ArgumentError,
    ConvergenceWarning,
    DataError,
    DivergenceError,
    DTypeError,
    NotFittedError,
    ShapeError,
)

Array = np.ndarray[Any, Any]
CORNERS = [[1, 1], [1, 0], [0, 1], [0, 0]]
XOR = [0, 1, 1, 0]
GATES = {"AND": [1, 0, 0, 0], "OR": [1, 1, 1, 0], "NAND": [0, 1, 1, 1], "first": [1, 1, 0, 0],
         "second": [1, 0, 1, 0], "not first": [0, 0, 1, 1], "not second": [0, 1, 0, 1],
         "ones": [1, 1, 1, 1], "zeros": [0, 0, 0, 0]}  # fmt: skip


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize(("weights", "answers"), [
    ([2, 0.5], [1, 1, 0, 0]), ([3, 3], [1, 1, 1, 0]), ([0.6, 0.8], [1, 0, 0, 0]),
])  # fmt: skip
def test_a_perceptron_does_what_its_weights_say(weights: list[float], answers: list[int]) -> None:
    storm = Perceptron()
    storm.weights, storm.threshold = weights, 1

    assert storm.predict(CORNERS).tolist() == answers
    assert [storm.predict(corner) for corner in CORNERS] == answers
    assert storm.threshold == 1.0
    np.testing.assert_array_equal(storm.weights, weights)


def test_what_a_perceptron_begins_with_is_drawn_by_seed() -> None:
    drawn = [Perceptron(3, seed=seed) for seed in range(50)]
    numbers = np.array([[*each.weights, each.threshold] for each in drawn])

    assert ((numbers >= 0) & (numbers < 1)).all()
    assert len(np.unique(numbers)) == 200
    np.testing.assert_array_equal(drawn[0].weights, Perceptron(3, seed=0).weights)


@pytest.mark.parametrize("rows", [False, True])
def test_a_perceptron_learns_by_the_rule(rows: bool) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 3)), rng.integers(0, 2, 50)
    neuron = Perceptron(3, learning_rate=0.07, seed=1)
    w, threshold = neuron.weights.copy(), neuron.threshold

    if rows:
        neuron.learn(X, y)
    else:
        for x, target in zip(X, y, strict=True):
            neuron.learn(x, target)

    for x, target in zip(X, y, strict=True):
        error = int(x @ w > threshold) - target
        w -= error * x * 0.07
        threshold += error * 0.07
    np.testing.assert_allclose(neuron.weights, w, rtol=0, atol=1e-14)
    assert neuron.threshold == pytest.approx(threshold, abs=1e-14)


@pytest.mark.parametrize("gate", GATES)
def test_a_perceptron_learns_what_a_line_separates(gate: str) -> None:
    for seed in range(20):
        neuron = Perceptron(seed=seed)

        epochs = neuron.fit(CORNERS, GATES[gate])

        assert neuron.predict(CORNERS).tolist() == GATES[gate]
        assert epochs == _epochs_by_hand(seed, GATES[gate])


def _epochs_by_hand(seed: int, y: list[int]) -> int:
    twin = Perceptron(seed=seed)
    w, threshold = twin.weights.copy(), twin.threshold
    for epoch in range(1, 10_000):
        for x, target in zip(np.array(CORNERS), y, strict=True):
            error = int(x @ w > threshold) - target
            w, threshold = w - error * x * 0.01, threshold + error * 0.01
        if [int(np.array(x) @ w > threshold) for x in CORNERS] == y:
            return epoch
    raise AssertionError("it never learns")


@pytest.mark.parametrize("y", [[0, 1], [1, 0], [1, 1], [0, 0]])
def test_a_perceptron_of_one_input_learns_its_gates(y: list[int]) -> None:
    neuron = Perceptron(1, seed=3)

    neuron.fit([0, 1], y)

    assert neuron.predict([[0], [1]]).tolist() == y
    assert [neuron.predict(0), neuron.predict([1])] == y


def test_what_no_line_separates_ends_with_a_warning() -> None:
    neuron = Perceptron(seed=0)

    with pytest.warns(ConvergenceWarning, match=r"of 4 rows are still wrong after 500 epochs.*XOR"):
        assert neuron.fit(CORNERS, XOR, max_epochs=500) == 500


def test_two_neurons_before_it_learn_xor() -> None:
    learned = 0
    for seed in range(100):
        net = fastnn.MLP([2, 2, 1], "sigmoid", "sigmoid", init="uniform", seed=seed)
        net.fit(CORNERS, XOR, optimizer=fastnn.SGD(0.5, momentum=0.9), epochs=1000,
                batch_size=None, execution="fused")  # fmt: skip
        learned += net.classify(CORNERS).tolist() == XOR

    assert learned >= 75


@pytest.mark.parametrize("activation", ["sigmoid", "relu", "identity"])
def test_a_neuron_steps_by_the_formulas(activation: str) -> None:
    f: Any = {"sigmoid": sigmoid, "relu": lambda z: max(z, 0.0), "identity": lambda z: z}[
        activation
    ]
    slope: Any = {"sigmoid": lambda a: a * (1 - a), "relu": lambda a: float(a > 0),
             "identity": lambda a: 1.0}[activation]  # fmt: skip
    neuron, trained = (Neuron(activation, 0.05, seed=2) for _ in range(2))
    w, b = neuron.w, neuron.b
    losses = []

    for _ in range(50):
        y_pred = neuron.forward(1.5)
        p = f(w * 1.5 + b)
        assert y_pred == pytest.approx(p, rel=1e-14)
        losses.append((0.4 - p) ** 2)
        neuron.backward(1.5, 0.4, y_pred)
        dz = -2 * (0.4 - p) * slope(p)
        w, b = w - 0.05 * dz * 1.5, b - 0.05 * dz

    assert (neuron.w, neuron.b) == pytest.approx((w, b), rel=1e-12)
    np.testing.assert_allclose(trained.train(1.5, 0.4, epochs=50), losses, rtol=1e-10, atol=1e-30)
    assert (trained.w, trained.b) == pytest.approx((w, b), rel=1e-12)


def test_backward_takes_the_prediction_that_it_is_given() -> None:
    neuron = Neuron("identity", 0.1, seed=0)
    w, b = neuron.w, neuron.b

    neuron.backward(2.0, 1.0, 3.0)

    assert (neuron.w, neuron.b) == pytest.approx((w - 0.1 * 4 * 2, b - 0.1 * 4), rel=1e-14)


def test_a_neuron_of_several_samples_counts_them_alike() -> None:
    x, y = np.array([1.0, 2.0, 3.0]), np.array([0.2, 0.4, 0.9])
    one, other = Neuron(seed=1), Neuron(seed=1)
    w, b = one.w, one.b
    p = sigmoid(w * x + b)
    dz = -2 * (y - p) * p * (1 - p)

    one.backward(x, y, one.forward(x))
    losses = other.train(x, y, epochs=1)

    assert losses == pytest.approx([np.mean((y - p) ** 2)])
    for neuron in (one, other):
        assert neuron.w == pytest.approx(w - 0.1 * np.mean(dz * x), rel=1e-13)
        assert neuron.b == pytest.approx(b - 0.1 * np.mean(dz), rel=1e-13)


def test_a_neuron_learns_a_number_to_the_last_digit() -> None:
    for seed in range(20):
        neuron = Neuron(seed=seed)

        losses = neuron.train(3, 0.7, epochs=2000, target_loss=1e-31)

        assert losses[-1] <= 1e-31
        assert len(losses) < 1000
        assert neuron.forward(3) == pytest.approx(0.7, abs=4e-16)
    for seed in range(3):
        other = Neuron(seed=seed)

        other.train(1, 0.32)

        # By then a step is below half a unit in the last place of w and b, and moves nothing.
        assert other.forward(1) == pytest.approx(0.32, abs=1e-15)


def test_how_near_a_neuron_is_is_told_in_percent() -> None:
    neuron = Neuron("identity")
    neuron.w, neuron.b = 2, 0

    assert neuron.eval(1, 4) == 50.0
    assert neuron.eval(4, -2) == 25.0
    assert neuron.eval(0, 0) == 100.0
    np.testing.assert_array_equal(neuron.eval([1, 0, 1], [2, 5, 0]), [100, 0, 0])


def test_a_neuron_shows_how_it_learns(capsys: Any) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")

    losses = Neuron(seed=0).train(3, 0.7, epochs=250, show=True)

    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0].split()[1] for line in said] == ["1", "101", "201", "250"]
    assert float(said[1].split()[-1]) == pytest.approx(losses[100], rel=0.01)
    (line,) = pyplot.gca().get_lines()
    np.testing.assert_array_equal(line.get_ydata(), losses)
    pyplot.close("all")


@pytest.mark.parametrize("execution", ["layers", "fused"])
@pytest.mark.parametrize("sizes", [(3, 3, 3), (20, 33, 4), (784, 40, 10), (5, 7, 6, 2)])
@pytest.mark.parametrize("batch_size", [1, 7])
def test_the_book_s_rule_is_the_formulas(
    execution: str, sizes: tuple[int, ...], batch_size: int
) -> None:
    rng = np.random.default_rng(0)
    X = rng.random((60, sizes[0])) * (rng.random((60, sizes[0])) < 0.5)
    T = rng.random((60, sizes[-1]))
    net = fastnn.MLP(sizes, "sigmoid", "sigmoid", bias=False, init="normal", dtype="float64",
                     seed=0)  # fmt: skip
    weights = [W.T.copy() for W in net.weights]  # (outputs, inputs), as the book has them

    history = net.fit(X, T, loss="textbook", optimizer=fastnn.SGD(0.3), batch_size=batch_size,
                      shuffle=False, reduction="sum", epochs=2, execution=execution)  # fmt: skip

    losses = [_book_epoch(weights, X, T, 0.3, batch_size) for _ in range(2)]
    for W, want in zip(net.weights, weights, strict=True):
        np.testing.assert_allclose(W.T, want, rtol=0, atol=1e-12)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-12)


@pytest.mark.parametrize(("loss", "sizes"), [("textbook", [6, 5, 4]), ("perceptron", [6, 4])])
def test_the_old_rules_are_the_same_on_every_device(
    loss: str, sizes: list[int], device: str
) -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(40, 6)), rng.integers(0, 2, (40, 4)).astype(float)
    output = "step" if loss == "perceptron" else "sigmoid"
    nets = [fastnn.MLP(sizes, "sigmoid", output, dtype="float64", device=name, seed=0)
            for name in ("cpu", device)]  # fmt: skip
    for net in nets:
        net.fit(X, Y, loss=loss, optimizer=fastnn.SGD(0.1), batch_size=7, epochs=3,
                execution="layers")  # fmt: skip

    for name, p in nets[0].get_params_dict().items():
        np.testing.assert_allclose(nets[1].get_params_dict()[name], p, rtol=0, atol=1e-12)


def _book_epoch(weights: list[Array], X: Array, T: Array, lr: float, batch_size: int) -> float:
    """Rashid (2016), with more hidden layers; half the squared error per row."""
    total = 0.0
    for i in range(0, len(X), batch_size):
        outputs = [X[i : i + batch_size].T]
        for W in weights:
            outputs.append(sigmoid(W @ outputs[-1]))
        error = T[i : i + batch_size].T - outputs[-1]
        total += float((error**2).sum()) / 2
        errors = [error]
        for k in reversed(range(1, len(weights))):
            slope = 1.0 if k + 1 == len(weights) else outputs[k + 1] * (1 - outputs[k + 1])
            errors.insert(0, weights[k].T @ (errors[0] * slope))
        for k, W in enumerate(weights):
            o = outputs[k + 1]
            W += lr * (errors[k] * o * (1 - o)) @ outputs[k].T
    return total / len(X)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_one_by_one_is_as_in_rows(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTNN_NUM_THREADS", threads)
    rng = np.random.default_rng(0)
    X, T = rng.random((300, 20)), rng.random((300, 4))
    one, many = (NeuralNetwork(20, 30, 4, 0.3, seed=0) for _ in range(2))
    many.train(X, T)
    for k, (x, t) in enumerate(zip(X, T, strict=True)):
        one.train(x, list(t))
        x[:] = t[:] = np.nan  # it has its own
        if k == 100:
            before = one.query(np.ones(20))
    weights = [one.wih.copy(), one.who.copy()]

    np.testing.assert_allclose(weights[0], many.wih, rtol=0, atol=1e-12)
    np.testing.assert_allclose(weights[1], many.who, rtol=0, atol=1e-12)
    assert one.net.steps == 300
    assert np.abs(one.query(np.ones(20)) - before).max() > 1e-3


def test_rows_that_wait_are_learned_before_others_and_when_there_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fastnn.classic.neural_network.ROOM", 7 * 10)  # 10 rows of 3 + 4
    network = NeuralNetwork(3, 5, 4, 0.3, seed=0)
    steps = []
    for k in range(25):
        network.train([0.1, 0.2, k / 25], [0, 1, 0, 0])
        steps.append(network._net.steps)
    network.train(np.ones((2, 3)), np.zeros((2, 4)))

    assert steps == [10 * (k // 10) for k in range(1, 26)]
    assert network._net.steps == 27


def _step(network: NeuralNetwork, rng: np.random.Generator) -> tuple[Array, Array]:
    x, t = rng.random(4), rng.random(2)
    network.train(x, t)
    return x, t


@pytest.mark.parametrize("look", [
    lambda n: n.query([1, 2, 3, 4]), lambda n: n.wih, lambda n: n.who, lambda n: n.net,
    lambda n: setattr(n, "learning_rate", 0.3), lambda n: setattr(n, "wih", n.wih),
    lambda n: n.train(np.ones((2, 4)), np.ones((2, 2)) / 2), pickle.dumps, copy.copy, copy.deepcopy,
    lambda n: n.query,
])  # fmt: skip
@pytest.mark.parametrize("count", [1, 7, 30])
def test_rows_that_wait_are_learned_in_their_order_whoever_looks(look: Any, count: int) -> None:
    rng = np.random.default_rng(0)
    network, twin = (NeuralNetwork(4, 5, 2, 0.3, seed=0) for _ in range(2))

    for _ in range(3):
        rows = [_step(network, rng) for _ in range(count)]
        look(network)
        twin.train(*map(np.array, zip(*rows, strict=True)))
        look(twin)

    np.testing.assert_allclose(network.wih, twin.wih, rtol=0, atol=1e-12)
    np.testing.assert_allclose(network.who, twin.who, rtol=0, atol=1e-12)


@pytest.mark.parametrize("duplicate", [
    copy.copy, copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n)),
])  # fmt: skip
def test_copies_go_on_alone(duplicate: Any) -> None:
    rng = np.random.default_rng(0)
    for machine in (NeuralNetwork(4, 5, 2, 0.3, seed=0), Perceptron(seed=0), Neuron(seed=0),
                    IrisNetwork(4, 5, 3, 5, 0.1, seed=0)):  # fmt: skip
        if isinstance(machine, NeuralNetwork):
            _step(machine, rng)
        twin = duplicate(machine)
        np.testing.assert_array_equal(twin.net.params, machine.net.params)
        assert twin.learning_rate == machine.learning_rate
        assert len(pickle.dumps(machine)) < 10_000
    network = NeuralNetwork(4, 5, 2, 0.3, seed=0)
    other = duplicate(network)
    _step(network, rng)
    assert (other._waiting, len(network._waiting)) == ([], 1)


def test_ctrl_c_leaves_the_rows_that_are_not_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    network, twin = (NeuralNetwork(4, 5, 2, 0.3, seed=0) for _ in range(2))
    for each in (network, twin):
        rng = np.random.default_rng(0)
        for _ in range(50):
            _step(each, rng)
    fit = fastnn.MLP.fit

    def interrupted(net: Any, X: Array, Y: Array, **named: Any) -> None:
        fit(net, X[:20], Y[:20], **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(fastnn.MLP, "fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            network.query([1, 2, 3, 4])

    assert network._net.steps == 20
    np.testing.assert_allclose(network.wih, twin.wih, rtol=0, atol=1e-12)


def test_rows_that_make_it_diverge_are_forgotten() -> None:
    network = NeuralNetwork(2, 2, 1, 1e308, seed=0)
    network.wih = before = np.zeros((2, 2))  # no sigmoid is saturated, whose slope would be 0
    for k in range(30):
        network.train([1e3, 1], [k % 2])

    with pytest.raises(DivergenceError):
        network.query([1, 2])

    np.testing.assert_array_equal(network.wih, before)


def test_a_step_by_hand_that_diverges_is_not_made() -> None:
    neuron = Neuron("identity", 1.0, seed=0)

    neuron.w = before = 1e300

    with pytest.raises(DivergenceError, match="as they were before"):
        neuron.backward(1e4, 0, neuron.forward(1e4))

    assert neuron.w == before
    assert 0 <= neuron.b < 1


@pytest.mark.usefixtures("on_gpu")
def test_what_learns_in_steps_goes_on_on_another_device() -> None:
    found = []

    for device in ("cuda", "cpu"):
        gate, neuron, book = Perceptron(seed=0), Neuron(seed=0), NeuralNetwork(2, 3, 1, 0.1, seed=0)
        gate.learn([1, 1], 0)
        book.train([0.5, 0.25], [1])
        for machine in (gate, neuron, book):
            machine.net.to(device)
        gate.weights, neuron.w, book.wih = 2 * gate.weights, 2 * neuron.w, 2 * book.wih
        gate.learn([1, 1], 0)
        neuron.backward(3, 0.7, neuron.forward(3))
        book.train([0.5, 0.25], [1])
        found.append([*gate.weights, gate.threshold, neuron.w, neuron.b, *book.wih.ravel(),
                      *book.who.ravel(), *book.query([1, 0]).ravel()])  # fmt: skip

    there, here = found
    np.testing.assert_allclose(there, here, rtol=1e-12)


def test_a_step_that_diverges_is_not_made() -> None:
    gate = Perceptron(learning_rate=1e308, seed=0)
    before = gate.weights

    with pytest.raises(DivergenceError, match="try a smaller learning rate"):
        gate.learn([[1, 1], [10, 10]], [1, 0])

    np.testing.assert_array_equal(gate.weights, before)
    assert gate.net.steps == 0


def test_weights_that_were_not_finite_are_not_told_to_learn_slower() -> None:
    network = NeuralNetwork(2, 2, 1, 0.1, seed=0)
    network.net.params[0] = np.nan
    network.train([0.5, 0.25], [1])

    with pytest.raises(DivergenceError, match="not finite even then: make the network anew"):
        network.query([1, 2])


def test_a_learning_rate_that_is_set_is_for_what_comes() -> None:
    network, neuron, gate = NeuralNetwork(2, 2, 1, 0.9, seed=0), Neuron(seed=0), Perceptron(seed=0)
    network.train([1, 0], [1])
    network.learning_rate = 1e-9
    moved = network.wih
    network.train([1, 0], [1])
    np.testing.assert_allclose(network.wih, moved, rtol=0, atol=1e-9)
    assert np.abs(moved - NeuralNetwork(2, 2, 1, 0.9, seed=0).wih).max() > 1e-3

    w = neuron.w
    neuron.learning_rate = 1e-9
    neuron.backward(1, 0.5, neuron.forward(1))
    assert neuron.w == pytest.approx(w, abs=1e-8)

    gate.weights, gate.threshold, gate.learning_rate = [1, 1], 0.5, 0.25
    gate.learn([1, 0], 0)
    assert (gate.weights.tolist(), gate.threshold) == ([0.75, 1], 0.75)


def test_the_book_s_first_network_answers_as_in_the_book() -> None:
    for seed in range(10):
        network = NeuralNetwork(3, 3, 3, 0.3, seed=seed)
        for _ in range(100):
            network.train([0, 1, 0], [0, 0, 1])
        answer = network.query([0, 1, 0])
        assert answer.shape == (3, 1)
        assert answer[2, 0] == pytest.approx(0.87, abs=0.07)  # 0.80 to 0.92 over 40 seeds
    assert network.query(np.zeros((7, 3))).shape == (3, 7)
    assert network.wih.shape == (3, 3)


def test_weights_begin_normal_and_may_be_set() -> None:
    network = NeuralNetwork(400, 300, 100, 0.1, seed=0)
    assert network.wih.shape == (300, 400)
    assert network.who.shape == (100, 300)
    # The standard deviation of n normal numbers is known to 1 / sqrt(2 n); four of these.
    assert network.wih.std() == pytest.approx(400**-0.5, rel=4 / math.sqrt(2 * 120_000))
    assert network.who.std() == pytest.approx(300**-0.5, rel=4 / math.sqrt(2 * 30_000))

    wih, who = np.full((300, 400), 0.5), np.full((100, 300), 0.25)
    network.wih, network.who = wih, who

    np.testing.assert_array_equal(network.wih, wih)
    np.testing.assert_array_equal(network.who, who)


def test_digits_are_learned_by_the_book() -> None:
    X, y = fastnn.datasets.load_digits()
    (x, t), (x_test, t_test) = fastnn.datasets.split(X, y)
    network = NeuralNetwork(64, 50, 10, 0.1, seed=0)
    for _ in range(10):
        network.train(0.01 + 0.99 * x / 16, 0.01 + 0.98 * fastnn.datasets.one_hot(t, 10))

    answers = network.query(0.01 + 0.99 * x_test / 16).argmax(axis=0)

    assert np.mean(answers == t_test) > 0.93


def test_the_iris_network_steps_by_the_formulas() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.random((30, 4)), fastnn.datasets.one_hot(rng.integers(0, 3, 30), 3)
    network = IrisNetwork(4, 5, 3, 60, 0.02, seed=0)
    (W1, W2), (b1, b2) = ([x.copy() for x in each]
                          for each in (network.net.weights, network.net.biases))  # fmt: skip
    assert all(((p >= 0) & (p < 1)).all() for p in (W1, W2, b1, b2))

    network.train(X, Y)

    for _ in range(60):
        H = sigmoid(X @ W1 + b1)
        A = sigmoid(H @ W2 + b2)
        D2 = (A - Y) * A * (1 - A)
        D1 = D2 @ W2.T * H * (1 - H)
        W2, b2 = W2 - 0.02 * H.T @ D2, b2 - 0.02 * D2.sum(axis=0)
        W1, b1 = W1 - 0.02 * X.T @ D1, b1 - 0.02 * D1.sum(axis=0)
    np.testing.assert_allclose(network.predict(X), sigmoid(sigmoid(X @ W1 + b1) @ W2 + b2),
                               rtol=0, atol=1e-12)  # fmt: skip


def test_the_iris_network_learns_from_a_table_of_one_hot_labels(tmp_path: Path) -> None:
    flowers, species = fastnn.datasets.load_iris()
    names = ["setosa", "virginica", "versicolor"]
    Y = fastnn.datasets.one_hot(species, 3)[:, [0, 2, 1]].astype(int)
    header = "sepal_length,sepal_width,petal_length,petal_width," + ",".join(names)
    lines = [
        ",".join(map(str, [*x, *y])) for x, y in zip(flowers.tolist(), Y.tolist(), strict=True)
    ]
    (tmp_path / "iris.csv").write_text("\n".join([header, *lines]))

    X, T = fastnn.datasets.load_csv(tmp_path / "iris.csv", target=names)
    network = IrisNetwork(4, 5, 3, 8000, 0.2, seed=0)
    network.train(fastnn.datasets.scale_minmax(X), T)

    np.testing.assert_array_equal(T, Y)
    answers = network.predict(fastnn.datasets.scale_minmax(X)).argmax(axis=1)
    assert np.mean(answers == Y.argmax(axis=1)) > 0.97


def test_mnist_s_csv_form_has_the_label_first(tmp_path: Path) -> None:
    X, y = fastnn.datasets.load_digits()
    lines = [",".join(map(str, [label, *row])) for label, row in zip(y[:50], X[:50].astype(int),
                                                                     strict=True)]  # fmt: skip
    (tmp_path / "digits.csv").write_text("\n".join(lines))

    pixels, labels = fastnn.datasets.load_csv(tmp_path / "digits.csv", target=0)

    np.testing.assert_array_equal(pixels, X[:50])
    np.testing.assert_array_equal(labels, y[:50])


def test_an_iris_network_that_has_not_learned_says_so() -> None:
    with pytest.raises(NotFittedError, match=r"call train\(X, Y\) first"):
        IrisNetwork(4, 5, 3, 10, 0.2).predict([[1, 2, 3, 4]])


def test_the_forward_pass_of_three_layers_is_the_book_s() -> None:
    net = fastnn.MLP.from_params({
        "W1": [[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]], "b1": [0.1, 0.2, 0.3],
        "W2": [[0.1, 0.4], [0.2, 0.5], [0.3, 0.6]], "b2": [0.1, 0.2],
        "W3": [[0.1, 0.3], [0.2, 0.4]], "b3": [0.1, 0.2],
    }, output="identity")  # fmt: skip

    np.testing.assert_allclose(net.predict([1.0, 0.5]), [0.31682708, 0.69627909], atol=5e-9)


def _wrong() -> Iterator[Any]:
    neuron, gate = Neuron(seed=0), Perceptron(seed=0)
    network, iris = NeuralNetwork(3, 4, 2, 0.1, seed=0), IrisNetwork(4, 5, 3, 10, 0.1, seed=0)
    x, t = [0.1, 0.2, 0.3], [0.5, 0.5]
    Y = np.eye(3)
    nan, inf = math.nan, math.inf
    for machine, call, error, message in (
        (gate, lambda: gate.predict([1, 2, 3]), ShapeError, r"\(3,\), need 2"),
        (gate, lambda: setattr(gate, "weights", [1]), ShapeError, r"weights is .* need \(2,\)"),
        (gate, lambda: setattr(gate, "weights", [1, nan]), DataError, "weights has nan"),
        (gate, lambda: setattr(gate, "threshold", [1, 2]), ShapeError, "need a number"),
        (gate, lambda: gate.fit(CORNERS, [0, 1, 2, 0]), DataError, "has 2, need 0 or 1"),
        (gate, lambda: gate.fit(CORNERS, [0, 1]), ShapeError, "4 rows and the target 2"),
        (gate, lambda: gate.learn([nan, 1], 1), DataError, "x has nan, need finite"),
        (gate, lambda: gate.predict(["a", "b"]), DTypeError, "need real numbers"),
        (gate, lambda: gate.fit(CORNERS, XOR, 0), ArgumentError, "max_epochs is 0"),
        (gate, lambda: setattr(gate, "learning_rate", 0), ArgumentError, "learning_rate is 0"),
        (gate, lambda: Perceptron(0), ArgumentError, "n_inputs is 0, need an integer"),
        (gate, lambda: Perceptron(2, -1), ArgumentError, "learning_rate is -1"),
        (neuron, lambda: Neuron("tanh"), ArgumentError, "'tanh', need one of sigmoid"),
        (neuron, lambda: neuron.train([[1, 2]], 1), ShapeError, "need one number"),
        (neuron, lambda: neuron.train(1, 1.5), DataError, "1.5, need 0 to 1"),
        (neuron, lambda: neuron.backward(1, 70, 0.5), DataError, "70, need 0 to 1"),
        (neuron, lambda: neuron.backward(1, nan, 0.5), DataError, "y has nan"),
        (neuron, lambda: neuron.backward(1, 0.5, inf), DataError, "y_pred has inf"),
        (neuron, lambda: neuron.eval(1, nan), DataError, "y has nan"),
        (neuron, lambda: neuron.backward([1, 2], [1, 0], 1), ShapeError, "y_pred has 1 .* need 2"),
        (neuron, lambda: setattr(neuron, "b", [1, 2]), ShapeError, r"b is \(2,\), need a number"),
        (neuron, lambda: neuron.train(1, 1, show="yes"), ArgumentError, "show is 'yes'"),  # type: ignore[arg-type]
        (network, lambda: network.train(x[:2], t), ShapeError, r"inputs is \(2,\), need 3 numbers"),
        (network, lambda: network.train(x, [0.5, 1.5]), DataError, "targets has 1.5, need 0 to 1"),
        (network, lambda: network.train([1, 2, inf], t), DataError, "inputs has inf"),
        (network, lambda: network.train([x, x, x], [0, 1, 1]), ShapeError, "one_hot"),
        (network, lambda: network.query([1]), ShapeError, "inputs is .* need 3 numbers"),
        (network, lambda: setattr(network, "wih", np.ones((3, 4))), ShapeError,
         r"wih is \(3, 4\), need \(4, 3\)"),
        (network, lambda: NeuralNetwork(3, 0, 2, 0.1), ArgumentError, "hidden_nodes is 0"),
        (iris, lambda: iris.train(np.ones((4, 4)), Y), ShapeError, "X has 4 rows and Y 3"),
        (iris, lambda: iris.train(np.ones((3, 4)), Y * 2), DataError, "2, need 0 to 1"),
        (iris, lambda: iris.train(np.ones((3, 4)), [0, 1, 2]), ShapeError, "one_hot"),
        (iris, lambda: IrisNetwork(4, 5, 3, 0.5, 0.1), ArgumentError, "num_epochs"),  # type: ignore[arg-type]
    ):  # fmt: skip
        yield pytest.param(machine, call, error, message, id=message)


@pytest.mark.parametrize(("machine", "call", "error", "message"), list(_wrong()))
def test_what_is_wrong_is_named_and_changes_nothing(
    machine: Any, call: Any, error: type[Exception], message: str
) -> None:
    before = machine.net.params.copy(), machine.learning_rate

    with pytest.raises(error, match=message):
        call()

    np.testing.assert_array_equal(machine.net.params, before[0])
    assert machine.learning_rate == before[1]


def test_a_wrong_row_among_those_that_wait_is_not_learned() -> None:
    network, twin = (NeuralNetwork(3, 4, 2, 0.1, seed=0) for _ in range(2))
    for each in (network, twin):
        each.train([0.1, 0.2, 0.3], [0.5, 0.5])
    with pytest.raises(DataError):
        network.train([0.1, math.nan, 0.3], [0.5, 0.5])

    np.testing.assert_array_equal(network.wih, twin.wih)


@pytest.mark.parametrize("loss", ["perceptron", "textbook"])
def test_a_rule_that_is_no_gradient_says_so(loss: str) -> None:
    net = fastnn.MLP([2, 3, 1] if loss == "textbook" else [2, 1], "sigmoid",
                     "sigmoid" if loss == "textbook" else "step", seed=0)  # fmt: skip

    with pytest.raises(ArgumentError, match="a rule of its own and no gradient"):
        net.gradient(CORNERS, XOR, loss)
    with pytest.raises(ArgumentError, match=f"loss '{loss}' needs output"):
        fastnn.MLP([2, 3], output="softmax").fit(CORNERS, XOR, loss=loss)


def test_no_warning_without_a_reason() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Perceptron(seed=0).fit(CORNERS, GATES["AND"])
