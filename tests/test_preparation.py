"""Splitting, one-hot, scaling, and the data that come with the package."""

import hashlib
import math
import statistics
import tracemalloc
from typing import Any

import numpy as np
import pytest

from fastnn.datasets import (
    load_digits,
    load_iris,
    minmax_scaling,
    one_hot,
    scale_minmax,
    split,
    standard_scaling,
    standardize,
)
from fastnn.errors import ArgumentError, DataError, DTypeError, FastnnError, ShapeError

Array = np.ndarray[Any, Any]

# Rows of each class, and the fraction held out.
CLASSES = [
    ([50, 50, 50], 0.2),
    ([1, 1], 0.5),
    ([97, 2, 1], 0.25),
    ([10, 20, 30, 40], 1 / 3),
    ([3] * 40, 0.1),
    ([5], 0.9),
    ([1000, 999], 0.001),
]
CONSTANTS = [0.0, 0.1, -7.3, 1e-3, 1e4, 1e300, 5e-324, 1 / 3]
# Columns of quite different sizes, among them a constant one.
TABLE = [[1.0, -1e4, 5.0, 0.1], [2.0, 1e4, 5.0, 0.2], [4.0, 0.0, 5.0, 0.3], [-1.0, 5.0, 5.0, 0.7]]


def rows_of(X: Array) -> list[tuple[Any, ...]]:
    return sorted(map(tuple, X.tolist()))


@pytest.mark.parametrize(("sizes", "test"), CLASSES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_both_parts_have_each_class_in_proportion(sizes: list[int], test: float, seed: int) -> None:
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    n = len(y)

    (_, y_train), (_, y_test) = split(np.zeros((n, 1)), y, test=test, seed=seed)

    assert len(y_test) == round(n * test)
    assert len(y_train) == n - len(y_test)
    for label, size in enumerate(sizes):
        share = size * len(y_test) / n  # one row more or less is what rounding takes
        assert abs(np.count_nonzero(y_test == label) - share) < 1


def test_the_parts_are_disjoint_complete_and_keep_rows_together() -> None:
    n = 101
    X = np.arange(2 * n).reshape(n, 2)
    y = X[:, 0] % 7

    (X_train, y_train), (X_test, y_test) = split(X, y, test=0.3)

    assert rows_of(np.concatenate([X_train, X_test])) == rows_of(X)
    np.testing.assert_array_equal(y_train, X_train[:, 0] % 7)
    np.testing.assert_array_equal(y_test, X_test[:, 0] % 7)


def test_a_real_target_has_the_same_spread_in_both_parts() -> None:
    y = np.random.default_rng(0).permutation(1000) / 1000

    (_, y_train), (_, y_test) = split(np.zeros((1000, 1)), y, test=0.1)

    # One of every ten neighbours is held out: quantiles differ by less than ten neighbours.
    assert np.abs(np.sort(y_test) - (np.arange(100) / 100 + 0.0045)).max() < 0.01
    assert abs(y_train.mean() - y.mean()) < 0.01


def test_which_of_five_neighbours_is_held_out_is_left_to_chance() -> None:
    X = np.arange(50)

    times = sum(0 in split(X, X / 7, test=0.2, seed=seed)[1][0] for seed in range(40))

    assert 1 <= times <= 20  # of 40 with a chance of 1/5: beyond it, once in 8000


@pytest.mark.parametrize("y", [np.eye(3)[[0, 1, 2] * 5], np.array(["a", "b", "c"] * 5)])
def test_targets_may_be_rows_or_words(y: Array) -> None:
    X = np.arange(15)

    (X_train, y_train), (X_test, y_test) = split(X, y, test=0.2)

    np.testing.assert_array_equal(y_train, y[X_train])
    np.testing.assert_array_equal(y_test, y[X_test])
    assert sorted([*X_train, *X_test]) == list(range(15))


def test_both_parts_are_shuffled() -> None:
    y = np.repeat([0, 1], 100)

    (X_train, y_train), (X_test, y_test) = split(np.arange(200), y, test=0.5)

    # Sorted or in order, labels change once; of 100 fair ones about 50 times.
    assert np.count_nonzero(np.diff(y_train)) > 20
    assert np.count_nonzero(np.diff(y_test)) > 20
    assert (np.diff(X_train) < 0).any()
    assert (np.diff(X_test) < 0).any()


def test_the_same_seed_splits_alike_and_others_otherwise() -> None:
    X, y = np.arange(100), np.repeat([0, 1], 50)

    parts = [split(X, y, seed=seed)[1][0].tolist() for seed in (0, 0, 1, 2, 2**64 - 1)]

    assert parts[0] == parts[1]
    assert len({tuple(sorted(part)) for part in parts}) == 4
    assert split(X, y)[1][0].tolist() == parts[0]  # 0 is the default


def test_a_split_is_the_same_on_every_machine_and_in_every_release() -> None:
    X = np.arange(1000)

    _, (held_out, _) = split(X, X % 3, seed=7)

    found = hashlib.sha256(held_out.astype("<i8").tobytes()).hexdigest()
    assert found == "b701e9597572534c5b3b98f85e683cbb6a9c88a6970f0c971878daf29c764a5e"


def test_a_split_leaves_its_input_and_the_global_generator_alone() -> None:
    X, y = np.arange(20.0), np.arange(20) % 2
    before, state = (X.copy(), y.copy()), repr(np.random.get_state())  # noqa: NPY002

    (X_train, _), _ = split(X, y)
    X_train[:] = -1

    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])
    assert repr(np.random.get_state()) == state  # noqa: NPY002


@pytest.mark.parametrize("test", [0, 1, -0.1, 1.5, math.nan, math.inf, "0.2", None, True, False])
def test_a_share_outside_0_to_1_is_refused(test: Any) -> None:
    with pytest.raises(ArgumentError, match=r"need a fraction in \(0, 1\)"):
        split(np.zeros((10, 1)), np.zeros(10), test=test)


@pytest.mark.parametrize(("n", "test"), [(0, 0.5), (1, 0.5), (2, 0.1), (2, 0.9), (10, 0.04)])
def test_an_empty_part_is_refused(n: int, test: float) -> None:
    with pytest.raises(ArgumentError, match="need at least one row in each part"):
        split(np.zeros((n, 1)), np.zeros(n), test=test)


@pytest.mark.parametrize(
    ("X", "y"), [([[1], [2]], [1]), ([[1], [2]], 1), (1, [1]), (1, 1), ([], [1])]
)
def test_unequal_rows_are_refused(X: Any, y: Any) -> None:
    with pytest.raises(ShapeError, match="need as many rows in both"):
        split(X, y)


@pytest.mark.parametrize("seed", [-1, 2**64, 0.5, "0"])
def test_a_seed_that_is_none_is_refused(seed: Any) -> None:
    with pytest.raises(ArgumentError, match="seed is"):
        split(np.zeros((10, 1)), np.zeros(10), seed=seed)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("labels", [[], [0], [2, 0, 1, 2]])
def test_one_hot_has_a_one_at_the_label(labels: list[int], dtype: Any) -> None:
    rows = one_hot(np.array(labels, dtype), 3)

    assert rows.dtype == np.float32
    assert rows.shape == (len(labels), 3)
    assert rows.tolist() == [[float(j == label) for j in range(3)] for label in labels]


def test_one_hot_takes_truth_values_and_lists() -> None:
    assert one_hot([True, False], 2).tolist() == [[0, 1], [1, 0]]
    assert one_hot([1, 0], 2).tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("labels", "place"),
    [([0, 1, 3], 2), ([0, -1], 1), ([0.5, 1], 0), ([0, math.nan], 1), ([math.inf], 0),
     ([-math.inf], 0), ([2**40], 0)],
)  # fmt: skip
def test_a_label_out_of_range_is_refused_with_its_place(labels: list[float], place: int) -> None:
    with pytest.raises(DataError, match=rf"y\[{place}\] is .*need whole labels 0 to 2"):
        one_hot(labels, 3)


@pytest.mark.parametrize("y", [1, [[1, 0]], np.zeros((0, 1))])
def test_labels_of_another_shape_are_refused(y: Any) -> None:
    with pytest.raises(ShapeError, match=r"need \(n,\)"):
        one_hot(y, 3)


@pytest.mark.parametrize("y", [["a"], [1j], [None]])
def test_labels_of_another_type_are_refused(y: Any) -> None:
    with pytest.raises(DTypeError, match="need real numbers"):
        one_hot(y, 3)


def test_one_hot_takes_memory_for_its_rows_alone() -> None:
    tracemalloc.start()
    rows = one_hot([19_999], 20_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert rows[0, -1] == 1
    assert peak < 2**20  # 80 kB a row


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_minmax_takes_every_column_to_0_to_1(dtype: Any) -> None:
    X = np.array(TABLE, dtype)

    scaled = scale_minmax(X)

    assert scaled.dtype == np.float64
    for j, column in enumerate(X.T.tolist()):
        low, high = min(column), max(column)
        want = [(v - low) / (high - low) if high > low else 0 for v in column]
        # A difference, a reciprocal and a product: three roundings to half a unit.
        np.testing.assert_allclose(scaled[:, j], want, rtol=2 * np.finfo(np.float64).eps, atol=0)
    assert scaled.min() == 0
    assert scaled.max() <= 1


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_standardize_takes_every_column_to_mean_0_and_deviation_1(dtype: Any) -> None:
    X = np.array(TABLE, dtype)

    scaled = standardize(X)

    assert scaled.dtype == np.float64
    for j, column in enumerate(X.T.tolist()):
        mean, deviation = statistics.fmean(column), statistics.pstdev(column)
        want = [(v - mean) / deviation if deviation else 0 for v in column]
        # Some roundings of numbers of the size of the largest, here below 4 deviations.
        np.testing.assert_allclose(scaled[:, j], want, rtol=0, atol=40 * np.finfo(np.float64).eps)


@pytest.mark.parametrize("constant", CONSTANTS)
@pytest.mark.parametrize("n", [1, 2, 3, 10, 1001])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [scale_minmax, standardize])
def test_a_constant_column_becomes_0(scale: Any, dtype: Any, n: int, constant: float) -> None:
    if dtype == np.float32 and constant == 1e300:
        constant = 1e30
    X = np.stack([np.full(n, constant, dtype), np.arange(n, dtype=dtype)], axis=1)

    scaled = scale(X)

    assert scaled[:, 0].tolist() == [0] * n


@pytest.mark.parametrize("scaling", [minmax_scaling, standard_scaling])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32, np.float64])
def test_a_scaling_is_float64_whatever_the_numbers(scaling: Any, dtype: Any) -> None:
    X = np.array([[0, 1], [1, 1], [1, 0]], dtype)

    offset, factor = scaling(X)

    assert (offset.shape, offset.dtype) == ((2,), np.float64)
    assert (factor.shape, factor.dtype) == ((2,), np.float64)


def test_standard_scaling_of_many_float32_rows_adds_in_float64() -> None:
    n = 200_000
    X = np.full((n, 1), 0.1, np.float32)
    X[::2] = 0.3
    low, high = float(np.float32(0.1)), float(np.float32(0.3))

    offset, factor = standard_scaling(X)

    # n roundings of a sum below n, relative to it: n/2 units at worst.
    assert offset[0] == pytest.approx((low + high) / 2, rel=n / 2 * 2.3e-16)
    assert factor[0] == pytest.approx(2 / (high - low), rel=n / 2 * 2.3e-16)


def test_whole_numbers_of_a_byte_do_not_wrap() -> None:
    X = np.array([[0, 255], [255, 0]], np.uint8)

    assert scale_minmax(X).tolist() == [[0, 1], [1, 0]]
    assert scale_minmax(X.astype(np.int8) - np.int8(100)).tolist() == [[1, 0], [0, 1]]
    assert standardize(X).tolist() == [[-1, 1], [1, -1]]


@pytest.mark.parametrize("scale", [scale_minmax, standardize])
def test_scaling_leaves_its_input_alone(scale: Any) -> None:
    X = np.array(TABLE)

    scaled = scale(X)
    scaled[:] = 0

    assert X.tolist() == TABLE


@pytest.mark.parametrize("scale", [scale_minmax, standardize, minmax_scaling, standard_scaling])
@pytest.mark.parametrize(
    ("X", "error", "words"),
    [
        (np.zeros((0, 3)), ShapeError, r"\(0, 3\), need \(n, d\) with n >= 1"),
        ([1, 2], ShapeError, r"\(2,\), need \(n, d\)"),
        ([[1, 2], [3]], ShapeError, "not rectangular"),
        ([[1, 2], [3, math.nan]], DataError, r"X\[1, 1\] is nan"),
        ([[1, -math.inf], [3, 4]], DataError, r"X\[0, 1\] is -inf"),
        ([["a"]], DTypeError, "need real numbers"),
    ],
)
def test_what_cannot_be_scaled_is_refused(
    scale: Any, X: Any, error: type[FastnnError], words: str
) -> None:
    with pytest.raises(error, match=words):
        scale(X)


def test_iris_is_fishers() -> None:
    X, y = load_iris()

    assert (X.shape, X.dtype) == ((150, 4), np.float64)
    assert (y.shape, y.dtype) == ((150,), np.int64)
    assert np.bincount(y).tolist() == [50, 50, 50]
    assert X[0].tolist() == [5.1, 3.5, 1.4, 0.2]
    # The two rows that many copies have wrong, as in the paper's table I.
    assert X[34].tolist() == [4.9, 3.1, 1.5, 0.2]
    assert X[37].tolist() == [4.9, 3.6, 1.4, 0.1]
    # The paper's table II: means of the three species in cm.
    means = [X[y == label].mean(axis=0).tolist() for label in range(3)]
    assert means[0] == pytest.approx([5.006, 3.428, 1.462, 0.246], abs=1e-9)
    assert means[1] == pytest.approx([5.936, 2.770, 4.260, 1.326], abs=1e-9)
    assert means[2] == pytest.approx([6.588, 2.974, 5.552, 2.026], abs=1e-9)


def test_digits_are_8_by_8_counts_of_pixels() -> None:
    X, y = load_digits()

    assert (X.shape, X.dtype) == ((1797, 64), np.float64)
    assert (y.shape, y.dtype) == ((1797,), np.int64)
    assert (X.min(), X.max()) == (0, 16)
    assert y[:10].tolist() == list(range(10))
    # The data set's description gives the number of each digit.
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


@pytest.mark.parametrize("load", [load_iris, load_digits])
def test_packaged_data_are_those_of_scikit_learn(load: Any) -> None:
    theirs = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")

    X, y = load()

    bunch = getattr(theirs, load.__name__)()
    np.testing.assert_array_equal(X, bunch.data)
    np.testing.assert_array_equal(y, bunch.target)


@pytest.mark.parametrize("load", [load_iris, load_digits])
def test_packaged_data_are_read_anew_each_time(load: Any) -> None:
    X, y = load()
    X[:], y[:] = -1, -1

    again, labels = load()

    assert again.min() >= 0
    assert labels.min() == 0


@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e-20, 1e20, 1e200])
def test_any_unit_is_standardized_alike(unit: float) -> None:
    X = np.random.default_rng(0).normal(3, 2, (50, 2))

    np.testing.assert_allclose(standardize(X * unit), standardize(X), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("k", ["3", 2.5, None, 0, -1, True])
def test_one_hot_needs_a_number_of_classes(k: Any) -> None:
    with pytest.raises(ArgumentError, match="need the number of classes"):
        one_hot([0], k)


def test_split_needs_numbers_or_words() -> None:
    with pytest.raises(DTypeError, match="y is object, need numbers or words"):
        split(np.zeros((4, 2)), ["a", None, "b", "a"])
