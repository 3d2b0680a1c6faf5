"""Metrics: by name as scikit-learn has them, by function as they come, and what is refused."""

import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn
from fastnn.errors import ArgumentError, DataError
from fastnn.metrics import checked, is_better_when_larger

Array = np.ndarray[Any, Any]
NAN, INF = float("nan"), float("inf")
NAMES = ("accuracy", "f1", "r2", "mse", "mae")
ACTIVATIONS = ("identity", "step", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus",
               "gelu", "silu")  # fmt: skip
# Float64 sums of at most 40 x 5 terms, in another order.
CLOSE: Any = {"rel": 1e-12, "abs": 1e-12}


def measured(name: str, Y: Any, A: Any, output: str = "softmax") -> float:
    """The metric of that name."""
    A = np.asarray(A)
    return checked([name], output, A.shape[1])[name](np.asarray(Y), A)


def own(function: Callable[..., Any]) -> Any:
    """function as a metric, and what it makes of two rows."""
    return checked({"mine": function}, "softmax", 2)["mine"](np.array([0, 1]), np.eye(2))


LABELS, OUTPUTS = [0, 1, 2, 2], [[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.2, 0.5, 0.3], [0, 0.1, 0.9]]
BY_HAND = [
    ("accuracy", LABELS, OUTPUTS, "softmax", 1 / 2),
    ("top_1", LABELS, OUTPUTS, "softmax", 1 / 2),
    ("top_2", LABELS, OUTPUTS, "softmax", 1.0),
    ("f1", LABELS, OUTPUTS, "softmax", (2 / 3 + 0 + 2 / 3) / 3),
    ("mse", [0, 1], [[1.0, 0.0], [1.0, 0.0]], "softmax", 1 / 2),
    ("mae", [0, 1], [[0.75, 0.25], [1.0, 0.0]], "softmax", 5 / 8),
    ("r2", [0, 1], [[1.0, 0.0], [1.0, 0.0]], "softmax", -1.0),
    ("f1", [2, 2], [[0.1, 0.2, 0.7]] * 2, "softmax", 1.0),  # two classes are nowhere
    ("f1", [2], [[0.1, 0.7, 0.2]], "softmax", 0.0),
    ("accuracy", [0, 0], [[1.0], [1.0]], "softmax", 1.0),
    ("mse", [0, 0], [[1.0], [1.0]], "softmax", 0.0),
    ("accuracy", [1, 1, 0, 0], [[0.9], [0.2], [0.4], [0.5]], "sigmoid", 3 / 4),
    ("f1", [1, 1, 0, 0], [[0.9], [0.2], [0.6], [0.5]], "sigmoid", 1 / 2),
    ("f1", [0, 0], [[0.1], [0.2]], "sigmoid", 0.0),
    ("f1", [[1.0], [0.0]], [[0.2], [-0.2]], "tanh", 1.0),
    ("mae", [1, 0], [[0.5], [0.25]], "sigmoid", 3 / 8),
    ("accuracy", [[1, 0], [1, 1]], [[0.9, 0.1], [0.9, 0.1]], "sigmoid", 1 / 2),
    ("f1", [[1, 0], [1, 1]], [[0.9, 0.1], [0.9, 0.1]], "sigmoid", 1 / 2),
    ("f1", [[1, 0], [1, 0]], [[0.9, 0.1], [0.9, 0.1]], "sigmoid", 1 / 2),  # of an empty output 0
    ("r2", [[1.0], [3.0]], [[1.0], [2.0]], "identity", 1 / 2),
    ("r2", [[5.0, 1.0], [5.0, 3.0]], [[5.0, 1.0], [5.0, 2.0]], "identity", (1 + 1 / 2) / 2),
    ("r2", [[5.0, 1.0], [5.0, 3.0]], [[4.0, 1.0], [5.0, 2.0]], "identity", (0 + 1 / 2) / 2),
    ("mse", [[1.0, 2.0]], [[3.0, 1.0]], "identity", 5 / 2),
    ("mae", [[1.0, 2.0]], [[3.0, 1.0]], "identity", 3 / 2),
]  # fmt: skip


@pytest.mark.parametrize(("name", "Y", "A", "output", "want"), BY_HAND)
def test_a_metric_is_what_a_hand_computes(
    name: str, Y: Any, A: Any, output: str, want: float
) -> None:
    came = measured(name, Y, A, output)

    assert type(came) is float
    assert came == pytest.approx(want, **CLOSE)


def test_of_equal_outputs_the_first_is_the_larger() -> None:
    A = np.tile([0.25, 0.5, 0.25, 0.0, 0.0], (5, 1))
    order = np.argsort(-A, axis=1, kind="stable")

    for N in range(1, 5):
        ranks = [measured(f"top_{N}", [j], A[:1]) for j in range(5)]
        assert ranks == [float(j in order[0, :N]) for j in range(5)]
    assert measured("accuracy", [1] * 5, A) == 1
    assert measured("accuracy", [0], np.full((1, 3), 1 / 3)) == 1


@settings(deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 2, 3, 40]), st.sampled_from([2, 5]))
def test_classes_are_as_in_scikit_learn(seed: int, n: int, k: int) -> None:
    """Labels among the first k - 1 half of the time, so that a class is missing."""
    theirs = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    rng = np.random.default_rng(seed)
    y, A = rng.integers(0, k - seed % 2, n), rng.dirichlet(np.ones(k), n).astype(np.float32)
    guess = A.argmax(axis=1)

    assert measured("accuracy", y, A) == pytest.approx(theirs.accuracy_score(y, guess))
    want = theirs.f1_score(y, guess, average="macro", zero_division=0)
    assert measured("f1", y, A) == pytest.approx(want, **CLOSE)
    for N in range(1, k):
        hits = [y[i] in np.argsort(-A[i], kind="stable")[:N] for i in range(n)]
        assert measured(f"top_{N}", y, A) == pytest.approx(np.mean(hits), **CLOSE)
    if k > 2:  # theirs takes one column for two classes
        want = theirs.top_k_accuracy_score(y, A, k=2, labels=np.arange(k))
        assert measured("top_2", y, A) == pytest.approx(want, **CLOSE)
    rows = np.eye(k)[y]
    assert measured("mse", y, A) == pytest.approx(theirs.mean_squared_error(rows, A), **CLOSE)
    assert measured("mae", y, A) == pytest.approx(theirs.mean_absolute_error(rows, A), **CLOSE)
    if n > 1:
        assert measured("r2", y, A) == pytest.approx(theirs.r2_score(rows, A), **CLOSE)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 2, 40]), st.sampled_from([1, 2, 5]),
       st.sampled_from([0.0, 0.1, 0.5, 1.0]))  # fmt: skip
def test_several_classes_a_row_are_as_in_scikit_learn(
    seed: int, n: int, k: int, share: float
) -> None:
    theirs = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    rng = np.random.default_rng(seed)
    Y, A = (rng.random((n, k)) < share).astype(np.float32), rng.random((n, k)) ** (1 + seed % 3)
    guess, one = A > 0.5, k == 1
    truth = Y.ravel() if one else Y
    how = {"average": "binary" if one else "macro", "zero_division": 0}

    want = theirs.accuracy_score(truth, guess), theirs.f1_score(truth, guess, **how)

    assert measured("accuracy", Y, A, "sigmoid") == pytest.approx(want[0], **CLOSE)
    assert measured("f1", Y, A, "sigmoid") == pytest.approx(want[1], **CLOSE)
    if one:
        labels = truth.astype(np.int64)
        assert [measured(name, labels, A, "sigmoid") for name in NAMES] == pytest.approx(
            [measured(name, Y, A, "sigmoid") for name in NAMES], **CLOSE, nan_ok=True
        )


@settings(deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([2, 3, 40]), st.sampled_from([1, 2, 5]))
def test_real_targets_are_as_in_scikit_learn(seed: int, n: int, k: int) -> None:
    """The first column is constant for a third of the seeds, and met for another."""
    theirs = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    rng = np.random.default_rng(seed)
    Y, A = rng.normal(size=(n, k)) * 1e4, rng.normal(size=(n, k)).astype(np.float32)
    if seed % 3:
        Y[:, 0] = 0.5
    if seed % 3 == 2:
        A[:, 0] = 0.5

    came = [measured(name, Y, A, "identity") for name in ("r2", "mse", "mae")]

    assert came == pytest.approx(
        [theirs.r2_score(Y, A), theirs.mean_squared_error(Y, A), theirs.mean_absolute_error(Y, A)],
        **CLOSE,
    )


def test_r2_of_a_constant_target_does_not_depend_on_its_rounded_mean() -> None:
    Y = np.full((10, 2), 0.1)
    assert Y.mean(axis=0)[0] != 0.1

    assert measured("r2", Y, Y, "identity") == 1
    assert measured("r2", Y, Y + 1, "identity") == 0


def test_r2_of_one_row_is_undefined() -> None:
    assert math.isnan(measured("r2", [[1.0, 2.0]], [[1.0, 2.0]], "identity"))


@pytest.mark.parametrize("name", [*NAMES, "top_1"])
def test_outputs_with_nan_have_no_figure(name: str) -> None:
    assert math.isnan(measured(name, [0, 1], [[1.0, 0.0], [NAN, 1.0]]))


def test_figures_beyond_float64_are_infinite_and_do_not_warn() -> None:
    for A in ([[INF], [0.0]], [[1e300], [0.0]]):
        assert measured("mse", [[1.0], [2.0]], A, "relu") == INF
        assert measured("r2", [[1.0], [2.0]], A, "relu") == -INF
    assert math.isnan(measured("r2", [[1e300], [2.0]], [[1.0], [2.0]], "relu"))


def test_float32_is_summed_in_float64() -> None:
    A = np.full((100_000, 1), 0.1, np.float32)

    # A float32 sum of as many equal terms, even in pairs, rounds to 7 digits.
    assert measured("mae", np.zeros_like(A), A, "identity") == pytest.approx(
        float(np.float32(0.1)), rel=1e-12
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("output", ACTIVATIONS)
def test_the_class_of_one_output_is_that_of_the_network(output: str, dtype: str) -> None:
    params = {"W1": np.ones((1, 1), dtype), "b1": np.zeros(1, dtype)}
    net = fastnn.MLP.from_params(params, activation="identity", output=output)
    X = np.array([-20, -1, -1e-3, 0, 1e-3, 1, 20], dtype)[:, None]

    y = net.classify(X)

    np.testing.assert_array_equal(y, [0, 0, 0, 0, 1, 1, 1])
    assert measured("accuracy", y[:, None].astype(dtype), net.predict(X), output) == 1
    assert measured("f1", y, net.predict(X), output) == 1


@pytest.mark.parametrize(
    ("name", "Y", "output", "message"),
    [
        ("accuracy", [[0.5, 0.5]], "softmax", "metric 'accuracy' needs classes, .* Y has 0.5; use"),
        ("f1", [[0.0, 2.0]], "sigmoid", "metric 'f1' needs classes, .* Y has 2.0; use"),
        ("f1", [[1.0, 1.0]], "tanh", "'f1' needs output 'sigmoid' for rows .* not 'tanh'; use"),
        ("top_1", [[1.0, 0.0]], "sigmoid", "'top_1' needs a class for each row, labels"),
    ],
)
def test_a_metric_of_classes_refuses_other_targets(
    name: str, Y: Any, output: str, message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        measured(name, Y, [[0.5, 0.25]], output)


def hit_rate(Y: Array, A: Array) -> float:
    return float((A.argmax(axis=1) == Y).mean())


def f1(Y: Array, A: Array) -> float:
    return 0.0


def seconds(Y: Array, A: Array) -> float:
    return 0.0


def val_hits(Y: Array, A: Array) -> float:
    return 0.0


def test_columns_come_in_the_order_of_the_metrics() -> None:
    listed = checked(["mse", hit_rate, np.str_("top_2")], "softmax", 3)
    named = checked({"error": "mse", "hits": hit_rate, "top_2": "top_2"}, "softmax", 3)

    assert list(listed) == ["mse", "hit_rate", "top_2"]
    assert list(named) == ["error", "hits", "top_2"]
    for metric, same in zip(listed.values(), named.values(), strict=True):
        assert metric(np.array(LABELS), np.array(OUTPUTS)) == same(
            np.array(LABELS), np.array(OUTPUTS)
        )
    assert checked((), "softmax", 3) == checked({}, "softmax", 3) == {}


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ("f1", r"metrics is 'f1', need a list .* metrics=\['f1'\]"),
        (None, r"metrics is None, need a list .* metrics=\['f1'\]"),
        (hit_rate, "metrics is <function hit.*, need a list of names and functions"),
        ({"f1"}, "metrics is {'f1'}, need a list"),
        (["f2"], "metrics has 'f2', need one of accuracy, f1, r2, mse, mae, top_N, or a function"),
        (["loss"], "metrics has 'loss', need one of accuracy"),
        (["val_f1"], "metrics has 'val_f1', need one of accuracy"),
        (["F1"], "metrics has 'F1', need one of"),
        (["top_0"], "metrics has 'top_0', need one of"),
        (["top_02"], "metrics has 'top_02', need one of"),
        (["top_1\n"], r"metrics has 'top_1\\n', need one of"),
        (["top_" + "9" * 5000], "metrics has 'top_999.*, need one of"),
        (["top_3"], "metric 'top_3' needs at least 4 outputs, this network has 3"),
        ([None], "metrics has None, need one of"),
        ([float], "metrics has <class 'float'>, need one of"),
        ([["f1"]], r"metrics has \['f1'\], need one of"),
        ({"mine": 3}, "metrics has 3, need one of"),
        (["f1", "mae", "f1"], "metrics has 'f1' twice; keep one"),
        ([hit_rate, hit_rate], "metrics has 'hit_rate' twice; keep one, or use a dict"),
        ([lambda Y, A: 0], "has name '<lambda>', need an identifier; use def, or a dict"),
        ([partial(hit_rate)], "has name None, need an identifier; use def, or a dict"),
        ({"top-3": hit_rate}, "has name 'top-3', need an identifier"),
        ({"": hit_rate}, "has name '', need an identifier"),
        ({"class": "f1"}, "metric 'f1' has name 'class', need an identifier"),
        ({3: "f1"}, "metric 'f1' has name 3, need an identifier"),
        ([seconds], "'seconds' is a name of the history's own, need another"),
        ([val_hits], "'val_hits' is a name of the history's own, need another"),
        ({"loss": "mse"}, "'loss' is a name of the history's own, need another"),
        ([f1], "'f1' is the name of a metric that is there already, .*\"my_f1\": function"),
        ({"accuracy": hit_rate}, "'accuracy' is the name of a metric that is there already"),
        ({"top_9": hit_rate}, "'top_9' is the name of a metric that is there already"),
        ({"mae": "mse"}, "'mae' is the name of a metric that is there already"),
    ],
)
def test_what_is_no_metric_is_refused(metrics: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        checked(metrics, "softmax", 3)


def test_one_output_has_no_top() -> None:
    with pytest.raises(ArgumentError, match="'top_1' needs at least 2 outputs, this network has 1"):
        checked(["top_1"], "sigmoid", 1)


@pytest.mark.parametrize(
    "value", [0.5, np.float32(0.5), np.float64(0.5), np.array(0.5), Fraction(1, 2)], ids=repr
)
def test_a_function_may_give_any_real_number(value: Any) -> None:
    came = own(lambda Y, A: value)

    assert type(came) is float
    assert came == 0.5
    assert own(lambda Y, A: np.int64(3)) == 3
    assert math.isnan(own(lambda Y, A: NAN))
    assert math.isnan(own(lambda Y, A: np.float32("nan")))


@pytest.mark.parametrize(
    ("value", "came"),
    [
        ("0.5", "'0.5'"), (None, "None"), (True, "True"), (np.True_, "True"), (1j, "1j"),
        (np.array([0.5]), r"array\(\[0.5\]\)"), (np.ones(2), "array"), ([0.5], r"\[0.5\]"),
        (np.array("0.5"), "array"), (INF, "inf"), (-INF, "-inf"), (10**400, "1000"),
    ],
    ids=lambda v: str(v)[:20],
)  # fmt: skip
def test_a_function_that_gives_no_number_is_refused(value: Any, came: str) -> None:
    with pytest.raises(DataError, match=f"metric 'mine' gave .*{came}.*, need a finite number"):
        own(lambda Y, A: value)


def test_a_function_sees_the_arrays_and_may_not_write_to_them() -> None:
    seen: list[Array] = []
    Y, A = np.array([0, 1]), np.eye(2)

    def look(*both: Array) -> int:
        seen.extend(both)
        return 0

    checked([look], "softmax", 2)["look"](Y, A)

    for view, array in zip(seen, (Y, A), strict=True):
        assert np.shares_memory(view, array)
        assert not view.flags.writeable
        assert array.flags.writeable


def test_what_a_function_raises_comes_out() -> None:
    with pytest.raises(ZeroDivisionError):
        own(lambda Y, A: 1 / 0)


@pytest.mark.parametrize(
    ("name", "rises"),
    [("loss", False), ("mse", False), ("mae", False), ("accuracy", True), ("f1", True),
     ("r2", True), ("top_1", True), ("top_25", True)],
)  # fmt: skip
def test_early_stopping_knows_which_way_is_better(name: str, rises: bool) -> None:
    assert is_better_when_larger(name) is rises
    assert is_better_when_larger(f"val_{name}") is rises


@pytest.mark.parametrize("name", ["hit_rate", "val_hit_rate", "seconds", "top_x", "val_val_f1"])
def test_early_stopping_asks_about_a_column_it_does_not_know(name: str) -> None:
    with pytest.raises(ArgumentError, match=f"'{name}' .* give mode='min' or mode='max'"):
        is_better_when_larger(name)
