"""Optimizers as values: what they refuse, how they follow a schedule, what they leave alone."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import schedules
from fastnn.errors import ArgumentError

pytestmark = pytest.mark.usefixtures("device")

ALL = [fastnn.SGD, fastnn.Adam, fastnn.AdamW, fastnn.RMSprop, fastnn.AdaGrad]
X, y = fastnn.datasets.load_iris()


def iris_net() -> fastnn.MLP:
    scaling = fastnn.datasets.standard_scaling(X)
    return fastnn.MLP([4, 5, 3], seed=0, dtype="float64", input_scaling=scaling)


def flat(net: fastnn.MLP) -> Any:
    return net.backend.asnumpy(net.params)


BAD: list[tuple[Any, dict[str, Any], str]] = [
    *((kind, {"learning_rate": bad}, "learning_rate is .*need a finite number > 0")
      for kind in ALL for bad in (0, -1, np.nan, np.inf, "0.1", None)),
    *((kind, {"weight_decay": -1}, "weight_decay is -1, need a finite number >= 0")
      for kind in ALL),
    *((kind, {name: bad}, rf"{name}.* is .*need a finite number in \[0, 1\)")
      for kind in (fastnn.Adam, fastnn.AdamW) for name in ("beta1", "beta2")
      for bad in (1, -0.1, np.nan, schedules.constant(1.0))),
    *((kind, {"epsilon": 0}, "epsilon is 0, need a finite number > 0") for kind in ALL[1:]),
    (fastnn.RMSprop, {"alpha": 1}, r"alpha is 1, need a finite number in \[0, 1\)"),
    (fastnn.SGD, {"momentum": 1}, r"momentum is 1, need a finite number in \[0, 1\)"),
    *((kind, {"clip_norm": bad}, "clip_norm is .*need a finite number > 0")
      for kind in ALL for bad in (0, -1, np.nan)),
    (fastnn.Adam, {"clip_norm": 1, "clip_value": 1}, "clip_value and clip_norm are both given"),
    (fastnn.SGD, {"nesterov": True}, "nesterov=True needs momentum > 0"),
    (fastnn.SGD, {"learning_rate": lambda _: np.nan}, "learning_rate.*nan"),
    (fastnn.Adam, {"learning_rate": lambda _: -1.0}, "learning_rate.*-1"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "arguments", "words"), BAD)
def test_bad_numbers_are_refused(kind: Any, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        kind(**arguments)


@pytest.mark.parametrize("kind", ALL)
def test_optimizers_are_values(kind: Any) -> None:
    optimizer = kind(learning_rate=np.float32(0.5))

    assert optimizer == kind(0.5) == copy.deepcopy(optimizer)
    assert pickle.loads(pickle.dumps(optimizer)) == optimizer
    assert type(optimizer.learning_rate) is float
    with pytest.raises(AttributeError):
        optimizer.learning_rate = 1


@pytest.mark.parametrize("kind", ALL)
def test_a_constant_schedule_is_a_number(kind: Any) -> None:
    number, scheduled = iris_net(), iris_net()

    number.fit(X, y, epochs=3, optimizer=kind(0.01))
    scheduled.fit(X, y, epochs=3, optimizer=kind(schedules.constant(0.01)))

    np.testing.assert_array_equal(flat(number), flat(scheduled))


@pytest.mark.parametrize("kind", [fastnn.SGD, fastnn.AdaGrad, fastnn.RMSprop, fastnn.AdamW])
def test_a_schedule_counts_the_steps_of_a_fit(kind: Any) -> None:
    seen: list[int] = []

    def rate(step: int) -> float:
        seen.append(step)
        return 0.01

    optimizer = kind(rate)
    seen.clear()
    iris_net().fit(X, y, epochs=2, batch_size=40, optimizer=optimizer)

    assert sorted(set(seen)) == list(range(8))


@pytest.mark.parametrize("how", ["clip_value", "clip_norm"])
def test_a_limit_beyond_the_gradient_changes_nothing(how: str) -> None:
    clipped, plain = iris_net(), iris_net()

    clipped.fit(X, y, optimizer=fastnn.Adam(**{how: 1e6}), execution="layers")
    plain.fit(X, y, optimizer=fastnn.Adam(), execution="layers")

    np.testing.assert_array_equal(flat(clipped), flat(plain))


def test_a_rate_that_falls_to_zero_stands_still() -> None:
    moving, still = iris_net(), iris_net()
    moving.fit(X, y, batch_size=50, shuffle=False, optimizer=fastnn.SGD(0.1))
    still.fit(X, y, batch_size=50, shuffle=False, epochs=4,
              optimizer=fastnn.SGD(schedules.joined([(3, 0.1), 0.0])))  # fmt: skip

    np.testing.assert_array_equal(flat(moving), flat(still))


def test_a_schedule_that_goes_wrong_restores_the_epochs_start() -> None:
    net = iris_net()
    before = flat(net).tobytes()

    with pytest.raises(ArgumentError, match=r"learning_rate.*step 2.*nan"):
        net.fit(X, y, batch_size=50, optimizer=fastnn.SGD(lambda step: [0.1, 0.1, np.nan][step]))

    assert flat(net).tobytes() == before
    assert (net.epochs, net.steps) == (0, 0)


@pytest.mark.parametrize("kind", ALL)
def test_gaps_stay_zero_and_iris_is_learned(kind: Any) -> None:
    net = iris_net()
    rate = {fastnn.SGD: 0.3, fastnn.AdaGrad: 0.1}.get(kind, 0.02)

    net.fit(X, y, epochs=60, batch_size=16, optimizer=kind(rate, weight_decay=1e-4))

    gaps = np.ones(net.params.size, bool)
    for name, start in net.layout.offsets.items():
        gaps[start : start + int(np.prod(net.layout.shapes[name]))] = False
    assert not flat(net)[gaps].any()
    assert net.evaluate(X, y)["accuracy"] >= 0.95
