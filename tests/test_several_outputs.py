"""Several labels a row, and several real targets, beside what they mean written out."""

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.errors import ArgumentError

pytestmark = pytest.mark.usefixtures("device")

POINTS = np.random.default_rng(2).uniform(-1, 1, (400, 2))
SEVERAL = np.stack([POINTS[:, 0] > 0, POINTS[:, 1] > 0.2, POINTS.sum(axis=1) > 0], axis=1) * 1.0


def test_several_labels_a_row_are_learned() -> None:
    net = fastnn.MLP([2, 16, 3], "tanh", "sigmoid", seed=0)

    history = net.fit(POINTS[:300], SEVERAL[:300], optimizer=fastnn.Adam(0.03), epochs=60,
                      metrics=["accuracy"], validation=(POINTS[300:], SEVERAL[300:]))  # fmt: skip

    worth = net.evaluate(POINTS[300:], SEVERAL[300:], metrics=["accuracy"])
    exact = ((net.predict(POINTS[300:]) > 0.5) == SEVERAL[300:]).all(axis=1).mean()
    assert worth["accuracy"] == history.val_accuracy[-1] == exact
    assert exact > 0.9  # guessing the most frequent triple: 0.35
    assert history.accuracy[-1] > 0.9
    assert "accuracy" not in net.evaluate(POINTS, SEVERAL)  # a row has no one class


@pytest.mark.parametrize("part", ["training", "validation"])
def test_accuracy_is_there_if_one_part_happens_to_have_one_label_a_row(part: str) -> None:
    net, one = fastnn.MLP([2, 3], output="sigmoid", seed=0), SEVERAL.sum(axis=1) == 1
    trained, held = (one, ~one) if part == "training" else (~one, one)

    history = net.fit(POINTS[trained], SEVERAL[trained], metrics=["accuracy"], epochs=3,
                      optimizer=fastnn.SGD(1e-12), validation=(POINTS[held], SEVERAL[held]),
                      callbacks=[fastnn.EarlyStopping("val_accuracy", 5)])  # fmt: skip

    on_trained = net.evaluate(POINTS[trained], SEVERAL[trained], metrics=["accuracy"])
    on_held = net.evaluate(POINTS[held], SEVERAL[held], metrics=["accuracy"])
    assert history.accuracy == [on_trained["accuracy"]] * 3
    assert history.val_accuracy == [on_held["accuracy"]] * 3


def test_several_labels_a_row_have_no_class_to_weight() -> None:
    net = fastnn.MLP([2, 16, 3], "tanh", "sigmoid", seed=0)
    before = net.params.copy()

    for class_weight in ({0: 2.0}, "balanced"):
        with pytest.raises(ArgumentError, match="class_weight needs one class for each row"):
            net.fit(POINTS, SEVERAL, class_weight=class_weight)

    assert (net.params == before).all()


REGRESSIONS: dict[str, Any] = {
    "squared_error": lambda D: (D**2).sum(axis=1) / 2,
    "mean_squared_error": lambda D: (D**2).mean(axis=1),
    "huber": lambda D: np.where(np.abs(D) <= 1, D**2 / 2, np.abs(D) - 0.5).mean(axis=1),
}
SLOPES: dict[str, Any] = {
    "squared_error": lambda D: D,
    "mean_squared_error": lambda D: 2 * D / D.shape[1],
    "huber": lambda D: np.clip(D, -1, 1) / D.shape[1],
    "binary_cross_entropy": lambda D: D,  # with D = sigmoid(Z) - Y
}


@pytest.mark.parametrize("loss", SLOPES)
def test_sample_weights_of_several_outputs_by_formula(loss: str) -> None:
    is_entropy = loss == "binary_cross_entropy"
    net = fastnn.MLP([2, 3], output="sigmoid" if is_entropy else "identity", dtype="float64",
                     seed=0)  # fmt: skip
    weights, before = np.linspace(0, 2, 400), net.get_params_dict()
    Y = SEVERAL if is_entropy else SEVERAL * [1.0, -4.0, 2.0] + POINTS[:, :1]
    A = net.predict(POINTS)
    rows = -np.log(np.where(Y, A, 1 - A)).sum(axis=1) if is_entropy else REGRESSIONS[loss](A - Y)
    dZ = weights[:, None] * SLOPES[loss](A - Y) / 400

    history = net.fit(POINTS, Y, loss=loss, sample_weight=weights, batch_size=None,
                      optimizer=fastnn.SGD(0.5))  # fmt: skip

    after = net.get_params_dict()
    assert history.loss == [pytest.approx((weights * rows).mean(), rel=1e-13)]
    np.testing.assert_allclose(after["W1"], before["W1"] - 0.5 * POINTS.T @ dZ, rtol=0, atol=1e-14)
    np.testing.assert_allclose(after["b1"], before["b1"] - 0.5 * dZ.sum(axis=0), rtol=0, atol=1e-14)
