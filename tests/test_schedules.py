"""Schedules: beside their formulas and PyTorch's schedulers, and what they refuse."""

import dataclasses
import math
import pickle
import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import schedules
from fastnn.errors import ArgumentError
from fastnn.schedules import (
    Schedule,
    constant,
    cosine,
    exponential,
    joined,
    one_cycle,
    polynomial,
    step,
    value_at,
    warmup,
)

ALL = [
    constant(0.3),
    step(0.8, 4),
    exponential(0.7, 0.9),
    polynomial(0.6, 10, 0.1, 2.0),
    cosine(0.5, 10, 0.01),
    warmup(5, cosine(0.1, 10), 0.01),
    one_cycle(0.4, 20),
    joined([(3, 0.1), (4, step(0.2, 2)), exponential(0.3, 0.5)]),
]

# PyTorch's own recurrences round differently at each of 40 steps, by a few ulp each.
CLOSE = 1e-12


@pytest.mark.parametrize(
    ("schedule", "at", "expected"),
    [
        (constant(0.3), 0, 0.3),
        (constant(0.3), 10**9, 0.3),
        (step(0.8, 4, 0.5), 3, 0.8),
        (step(0.8, 4, 0.5), 4, 0.4),
        (step(0.8, 4, 0.5), 11, 0.2),
        (exponential(2.0, 0.5), 0, 2.0),
        (exponential(2.0, 0.5), 3, 0.25),
        (exponential(1.0, 2.0), 10, 1024.0),
        (polynomial(1.0, 4), 1, 0.75),
        (polynomial(1.0, 4, 0.2, 2.0), 2, 0.2 + 0.8 * 0.25),
        (polynomial(1.0, 4, 0.0, 0.5), 3, 0.5),
        (cosine(1.0, 6), 2, 0.75),
        (cosine(1.0, 6, 0.5), 3, 0.75),
        (cosine(0.1, 6, 0.5), 4, 0.1 + 0.4 * 0.75),
        (warmup(4, 0.8), 0, 0.0),
        (warmup(4, 0.8), 1, 0.2),
        (warmup(4, 0.8, 0.4), 1, 0.5),
        (warmup(4, step(0.8, 2, 0.5)), 3, 0.6),
        (warmup(4, step(0.8, 2, 0.5)), 5, 0.8),
        (warmup(4, step(0.8, 2, 0.5)), 6, 0.4),
        (one_cycle(1.0, 10, 0.5, 4.0, 5.0), 0, 0.25),
        (one_cycle(1.0, 10, 0.5, 4.0, 5.0), 2, 0.625),
        (one_cycle(1.0, 10, 0.5, 4.0, 5.0), 4, 1.0),
        (one_cycle(1.0, 11, 5 / 11, 4.0, 5.0), 7, 0.525),
        (one_cycle(1.0, 10, 0.5, 4.0, 5.0), 9, 0.05),
        (joined([(2, 0.1), (3, exponential(1.0, 0.5)), 0.7]), 1, 0.1),
        (joined([(2, 0.1), (3, exponential(1.0, 0.5)), 0.7]), 2, 1.0),
        (joined([(2, 0.1), (3, exponential(1.0, 0.5)), 0.7]), 4, 0.25),
        (joined([(2, 0.1), (3, exponential(1.0, 0.5)), 0.7]), 5, 0.7),
        (joined([(2, 0.1), exponential(1.0, 0.5)]), 4, 0.25),
        (joined([cosine(1.0, 6)]), 2, 0.75),
    ],
)
def test_a_value_is_that_of_the_formula(schedule: Schedule, at: int, expected: float) -> None:
    assert schedule(at) == pytest.approx(expected, rel=1e-14)  # a few roundings of 1.1e-16


@pytest.mark.parametrize(
    ("schedule", "first", "at", "last"),
    [
        (polynomial(0.7, 10, 0.1, 1.5), 0.7, 10, 0.1),
        (polynomial(0.1, 3, 0.7), 0.1, 3, 0.7),
        (cosine(0.7, 10, 0.1), 0.7, 10, 0.1),
        (cosine(0.1, 1, 0.7), 0.1, 1, 0.7),
        (warmup(7, 0.7, 0.1), 0.1, 7, 0.7),
        (warmup(1, cosine(0.7, 5, 0.3)), 0.0, 6, 0.3),
        (one_cycle(0.7, 10, 0.3, 2.0, 4.0), 0.35, 9, 0.0875),
        (one_cycle(0.7, 10, 1.0, 2.0, 4.0), 0.35, 9, 0.7),
        (one_cycle(0.7, 10, 0.1, 2.0, 4.0), 0.7, 9, 0.0875),
        (one_cycle(0.7, 1, 0.3, 2.0, 4.0), 0.0875, 0, 0.0875),
        (one_cycle(0.7, 1, 1.0, 2.0, 4.0), 0.7, 0, 0.7),
        (joined([(4, 0.2), cosine(0.7, 5, 0.3)]), 0.2, 9, 0.3),
    ],
)
def test_the_ends_are_exact_and_the_last_value_stays(
    schedule: Schedule, first: float, at: int, last: float
) -> None:
    assert schedule(0) == first
    assert [schedule(s) for s in (at, at + 1, at + 1000, 10**18)] == [last] * 4


@pytest.mark.parametrize(
    ("schedule", "rising", "falling"),
    [
        (exponential(0.7, 0.9), range(1), range(50)),
        (exponential(0.7, 1.1), range(50), range(1)),
        (polynomial(0.7, 30, 0.1, 3.0), range(1), range(31)),
        (cosine(0.7, 30, 0.1), range(1), range(31)),
        (cosine(0.1, 30, 0.7), range(31), range(1)),
        (warmup(10, cosine(0.7, 30, 0.1)), range(11), range(10, 41)),
        (one_cycle(0.7, 100), range(30), range(29, 100)),
    ],
)
def test_a_schedule_rises_and_falls_where_it_should(
    schedule: Schedule, rising: range, falling: range
) -> None:
    up, down = ([schedule(s) for s in steps] for steps in (rising, falling))

    assert all(np.diff(up) > 0)
    assert all(np.diff(down) < 0)


@pytest.mark.parametrize(
    ("schedule", "build"),
    [
        (step(0.5, 7, 0.3), lambda lr, o: lr.StepLR(o, 7, 0.3)),
        (step(0.5, 7), lambda lr, o: lr.StepLR(o, 7)),
        (exponential(0.5, 0.93), lambda lr, o: lr.ExponentialLR(o, 0.93)),
        (constant(0.5), lambda lr, o: lr.LambdaLR(o, lambda _: 1.0)),
        (polynomial(0.5, 25), lambda lr, o: lr.PolynomialLR(o, 25)),
        (polynomial(0.5, 25, power=2.5), lambda lr, o: lr.PolynomialLR(o, 25, 2.5)),
        (polynomial(0.5, 25, 0.1), lambda lr, o: lr.LinearLR(o, 1.0, 0.2, 25)),
        (cosine(0.5, 40), lambda lr, o: lr.CosineAnnealingLR(o, 40)),
        (cosine(0.5, 40, 0.02), lambda lr, o: lr.CosineAnnealingLR(o, 40, 0.02)),
        (warmup(8, 0.5, 0.1), lambda lr, o: lr.LinearLR(o, 0.2, 1.0, 8)),
        (
            warmup(8, exponential(0.5, 0.9), 0.1),
            lambda lr, o: lr.SequentialLR(
                o, [lr.LinearLR(o, 0.2, 1.0, 8), lr.ExponentialLR(o, 0.9)], [8]
            ),
        ),
        (
            warmup(8, cosine(0.5, 32, 0.02), 0.1),
            lambda lr, o: lr.SequentialLR(
                o, [lr.LinearLR(o, 0.2, 1.0, 8), lr.CosineAnnealingLR(o, 32, 0.02)], [8]
            ),
        ),
        (
            joined([(5, 0.1), (9, polynomial(0.5, 12)), step(0.5, 6)]),
            lambda lr, o: lr.SequentialLR(
                o, [lr.ConstantLR(o, 0.2, 99), lr.PolynomialLR(o, 12), lr.StepLR(o, 6)], [5, 14]
            ),
        ),
        (one_cycle(0.5, 41), lambda lr, o: lr.OneCycleLR(o, 0.5, 41)),
        (
            one_cycle(0.5, 50, 0.45, 10.0, 100.0),
            lambda lr, o: lr.OneCycleLR(
                o, 0.5, 50, pct_start=0.45, div_factor=10.0, final_div_factor=100.0
            ),
        ),
        (one_cycle(0.5, 41, 0.0), lambda lr, o: lr.OneCycleLR(o, 0.5, 41, pct_start=0.0)),
        (one_cycle(0.5, 41, 1.0), lambda lr, o: lr.OneCycleLR(o, 0.5, 41, pct_start=1.0)),
    ],
)
def test_rates_are_those_of_pytorch(schedule: Schedule, build: Callable[[Any, Any], Any]) -> None:
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    expected = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SequentialLR calls what PyTorch itself deprecates
        scheduler = build(torch.optim.lr_scheduler, optimizer)
        for _ in range(41):
            expected.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if len(expected) < 41:  # OneCycleLR refuses to go beyond its end
                scheduler.step()

    got = [schedule(s) for s in range(41)]

    np.testing.assert_allclose(got, expected, rtol=CLOSE, atol=CLOSE)


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_a_schedule_is_a_value(schedule: Any) -> None:
    rebuilt = eval(repr(schedule), vars(schedules))  # noqa: S307 - what repr promises
    pickled = pickle.loads(pickle.dumps(schedule))

    for other in (rebuilt, pickled, dataclasses.replace(schedule)):
        assert other == schedule
        assert hash(other) == hash(schedule)
        assert [other(s) for s in range(25)] == [schedule(s) for s in range(25)]
    assert [other for other in ALL if other == schedule] == [schedule]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(schedule, dataclasses.fields(schedule)[0].name, 1.0)


def test_a_repr_reads_like_the_call() -> None:
    numpys: list[Any] = [np.float32(0.5), np.int64(9)]

    schedule = fastnn.schedules.warmup(5, fastnn.schedules.cosine(*numpys))

    assert repr(schedule) == (
        "warmup(steps=5, then=cosine(start=0.5, steps=9, end=0.0), start=0.0)"
    )


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_values_are_floats_and_steps_may_be_numpys(schedule: Schedule) -> None:
    assert type(schedule(0)) is float
    assert type(schedule(np.int32(7))) is float  # type: ignore[arg-type]
    assert schedule(np.uint8(7)) == schedule(7)  # type: ignore[arg-type]


@pytest.mark.parametrize("schedule", ALL, ids=repr)
@pytest.mark.parametrize("bad", [-1, 1.0, True, None, "0", math.nan, np.int64(-3)])
def test_a_step_is_an_integer_from_0_on(schedule: Schedule, bad: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^step is .*, need an integer >= 0$"):
        schedule(bad)


def test_a_number_stands_for_a_constant() -> None:
    assert warmup(3, 1) == warmup(3, constant(1.0))
    assert joined([[2, 1], 3]) == joined(((2, constant(1.0)), constant(3)))


def test_any_function_of_the_step_is_a_schedule() -> None:
    schedule = warmup(2, joined([(3, lambda s: Fraction(s + 1)), lambda s: 10.0 + s]))

    assert [schedule(s) for s in range(7)] == [0.0, 0.5, 1.0, 2.0, 3.0, 10.0, 11.0]


NUMBER = "need a finite number"
COUNT = "need an integer >= 1"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: constant(math.nan), f"value is nan, {NUMBER}"),
        (lambda: constant(True), f"value is True, {NUMBER}"),
        (lambda: constant(10**400), f"value is 1000.*, {NUMBER}"),
        (lambda: constant("0.1"), f"value is '0.1', {NUMBER}"),  # type: ignore[arg-type]
        (lambda: step(math.inf, 3), f"start is inf, {NUMBER}"),
        (lambda: step(0.1, 0), f"every is 0, {COUNT}"),
        (lambda: step(0.1, 2.0), f"every is 2.0, {COUNT}"),  # type: ignore[arg-type]
        (lambda: step(0.1, 2, 0.0), f"factor is 0.0, {NUMBER} > 0"),
        (lambda: exponential(0.1, -0.5), f"factor is -0.5, {NUMBER} > 0"),
        (lambda: exponential(0.1, math.inf), f"factor is inf, {NUMBER} > 0"),
        (lambda: polynomial(0.1, -1), f"steps is -1, {COUNT}"),
        (lambda: polynomial(0.1, 5, -math.inf), f"end is -inf, {NUMBER}"),
        (lambda: polynomial(0.1, 5, 0.0, 0), f"power is 0, {NUMBER} > 0"),
        (lambda: cosine(0.1, True), f"steps is True, {COUNT}"),
        (lambda: cosine(None, 5), f"start is None, {NUMBER}"),  # type: ignore[arg-type]
        (lambda: warmup(0, 0.1), f"steps is 0, {COUNT}"),
        (lambda: warmup(5, math.nan), f"then is nan, {NUMBER} or a schedule"),
        (lambda: warmup(5, cosine), "then is <class '.*cosine'>, .*"),  # type: ignore[arg-type]
        (lambda: warmup(5, 0.1, math.nan), f"start is nan, {NUMBER}"),
        (lambda: one_cycle(math.nan, 5), f"peak is nan, {NUMBER}"),
        (lambda: one_cycle(0.1, 0), f"steps is 0, {COUNT}"),
        (lambda: one_cycle(0.1, 5, 1.5), rf"rise is 1.5, {NUMBER} in \[0, 1\]"),
        (lambda: one_cycle(0.1, 5, divide=0), f"divide is 0, {NUMBER} > 0"),
        (lambda: one_cycle(0.1, 5, final_divide=-1), f"final_divide is -1, {NUMBER} > 0"),
        (lambda: joined([]), r"parts is \[\], need a list: \[\(length, schedule\), ..., last\]"),
        (lambda: joined(0.1), "parts is 0.1, need a list: .*"),  # type: ignore[arg-type]
        (lambda: joined([0.1, 0.2]), r"parts\[0\] is 0.1, need \(length, schedule\); .*"),
        (lambda: joined([(1, 0.1, 0), 0.2]), r"parts\[0\] is .*, need \(length, schedule\); .*"),
        (lambda: joined([(0, 0.1), 0.2]), rf"the length of parts\[0\] is 0, {COUNT}"),
        (lambda: joined([(3, "x"), 1]), rf"the schedule of parts\[0\] is 'x', {NUMBER} or .*"),
        (lambda: joined([(3, 0.1)]), rf"parts\[0\], the last, is \(3, 0.1\), {NUMBER} or .*"),
    ],
)
def test_bad_arguments_are_refused_at_construction(build: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{message}$"):
        build()


@pytest.mark.parametrize("rate", [0.25, constant(0.25), lambda s: np.float32(0.25)])
def test_value_at_takes_numbers_and_schedules(rate: Any) -> None:
    value = value_at(rate, 3, "learning_rate", "> 0", lambda x: x > 0)

    assert type(value) is float
    assert value == 0.25


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        (lambda s: math.nan, "learning_rate at step 3 is nan"),
        (lambda s: -math.inf, "learning_rate at step 3 is -inf"),
        (lambda s: None, "learning_rate at step 3 is None"),
        (lambda s: True, "learning_rate at step 3 is True"),
        (lambda s: 1j, "learning_rate at step 3 is 1j"),
        (lambda s: np.zeros(2), r"learning_rate at step 3 is array\(\[0., 0.\]\)"),
        (polynomial(0.1, 3), "learning_rate at step 3 is 0.0"),
        (constant(-1), "learning_rate at step 3 is -1.0"),
        (exponential(1.0, 1e200), "learning_rate at step 3 is inf"),
        (exponential(1e200, 1e100), "learning_rate at step 3 is inf"),
        (-1, "learning_rate is -1"),
        ("0.1", "learning_rate is '0.1'"),
        (cosine, "learning_rate is <class '.*cosine'>"),
    ],
)
def test_value_at_says_what_came_at_which_step(rate: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{message}, need a finite number > 0$"):
        value_at(rate, 3, "learning_rate", "> 0", lambda x: x > 0)


def test_a_schedule_within_another_is_held_to_a_number() -> None:
    with pytest.raises(ArgumentError, match=r"^then at step 2 is nan, need a finite number$"):
        warmup(3, lambda s: math.nan if s == 2 else 1.0)(5)
    with pytest.raises(ArgumentError, match=r"^parts\[1\] at step 1 is inf, need a finite number$"):
        joined([(3, 0.1), lambda s: s * math.inf if s else 1.0])(4)
