"""Metrics in fit and evaluate: of which rows, of which network, and at what cost."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, mean_absolute_error, top_k_accuracy_score

import fastnn
from fastnn.errors import ArgumentError, DataError

pytestmark = pytest.mark.usefixtures("device")

X, y = fastnn.datasets.load_iris()
SCALING = fastnn.datasets.standard_scaling(X)
SEVERAL = np.stack([y > 0, y > 1, X[:, 0] > 6], axis=1)


def iris_net(**changes: Any) -> fastnn.MLP:
    return fastnn.MLP([4, 6, 3], **{"seed": 0, "input_scaling": SCALING, **changes})


def largest(Y: Any, A: Any) -> float:
    """A metric that tells rows and networks apart."""
    return float(A.max(axis=0)[0] + 1000 * len(Y))


RUNS: list[dict[str, Any]] = [
    {},
    {"optimizer": fastnn.Adam(0.05, ema=0.9)},
    {"sample_weight": np.arange(150), "label_smoothing": 0.1, "shuffle": False},
]


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("settings", RUNS, ids=["sgd", "averaged", "weighted"])
def test_columns_are_scikit_learns_after_the_epoch(settings: Any, dropout: float) -> None:
    net, rows = iris_net(dropout=dropout), slice(0, 150, 4)

    history = net.fit(X, y, epochs=3, validation=(X[rows], y[rows]),
                      metrics=["f1", "top_2", largest], **settings)  # fmt: skip

    for prefix, inputs, labels in (("", X, y), ("val_", X[rows], y[rows])):
        A = net.predict(inputs)
        want = {
            "f1": f1_score(labels, A.argmax(axis=1), average="macro"),
            "top_2": top_k_accuracy_score(labels, A, k=2),
            "largest": largest(labels, A),
        }
        for name, value in want.items():
            assert history[prefix + name][-1] == pytest.approx(value, rel=1e-6)
            assert len(history[prefix + name]) == 3
        assert net.evaluate(inputs, labels, metrics=["f1"])["f1"] == history[f"{prefix}f1"][-1]


def test_columns_stand_in_the_order_of_the_metrics() -> None:
    names = ["top_2", "mse", "f1", "r2", "mae", "top_1"]

    history = iris_net().fit(X, y, metrics=names, validation=0.2)

    assert [*history.more] == [*names, *(f"val_{name}" for name in names)]


def test_a_function_may_have_another_name() -> None:
    net = iris_net(output="identity")

    history = net.fit(X, X[:, :3], metrics={"off": mean_absolute_error, "mae": "mae"})

    assert history["off"] == [pytest.approx(np.abs(net.predict(X) - X[:, :3]).mean(), rel=1e-5)]
    assert history["mae"] == [pytest.approx(history["off"][0], rel=1e-5)]


def test_accuracy_costs_nothing_where_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, asked = iris_net(), iris_net()
    want = plain.fit(X, y, epochs=2)
    monkeypatch.setattr("fastnn.run.evaluate", None)

    history = asked.fit(X, y, epochs=2, metrics=["accuracy"])

    assert (history.accuracy, history.more) == (want.accuracy, {})


def test_several_outputs_are_right_all_at_once() -> None:
    net = iris_net(output="sigmoid")

    history = net.fit(X, SEVERAL, epochs=30, metrics=["accuracy", "f1"], validation=(X, SEVERAL))

    A = net.predict(X) > 0.5
    right = float((SEVERAL == A).all(axis=1).mean())
    assert history.accuracy[-1] == history.val_accuracy[-1] == right
    f1 = f1_score(SEVERAL, A, average="macro", zero_division=0)
    assert history["f1"][-1] == pytest.approx(f1, rel=1e-9)
    assert [len(x) for x in history.columns.values()] == [30] * 7


@pytest.mark.parametrize("result", [ZeroDivisionError(), "much", np.inf])
def test_a_metric_that_fails_leaves_whole_epochs(result: Any) -> None:
    calls: list[Any] = []

    def score(Y: Any, A: Any) -> Any:
        calls.append(A)
        if len(calls) == 2 and isinstance(result, Exception):
            raise result
        return result if len(calls) == 2 else 0.5

    net, whole = iris_net(dropout=0.5), iris_net(dropout=0.5)
    whole.fit(X, y, epochs=2)

    with pytest.raises((ZeroDivisionError, DataError)):
        net.fit(X, y, epochs=3, metrics=[score])

    assert (net.epochs, net.steps) == (whole.epochs, whole.steps)
    np.testing.assert_array_equal(net.predict(X), whole.predict(X))


def test_unknown_metrics_are_refused_before_training() -> None:
    net = iris_net()

    for metrics in (["f2"], ["top_3"], "f1", [largest, largest]):
        with pytest.raises(ArgumentError, match="metric"):
            net.fit(X, y, metrics=metrics)
        with pytest.raises(ArgumentError, match="metric"):
            net.evaluate(X, y, metrics=metrics)

    assert net.steps == 0


def test_rows_are_evaluated_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    net = iris_net()
    whole = net.evaluate(X, y, metrics=["f1", largest])
    monkeypatch.setattr(type(net.backend), "block", lambda *_: 7)

    assert net.evaluate(X, y, metrics=["f1", largest]) == pytest.approx(whole, rel=1e-6)
