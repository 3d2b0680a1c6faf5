"""fastnn.functional: right to a unit in the last place, tails kept, shapes and types kept."""

import warnings
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastnn import functional
from fastnn.errors import DataError, DTypeError, ShapeError

Array = np.ndarray[Any, Any]

ELEMENTWISE = [name for name in functional.__all__ if f"{name}_grad" in functional.__all__]
FROM_INPUT = ("gelu", "silu")
FLOATS = [np.float16, np.float32, np.float64]


def ulps(got: Array, want: Any) -> Any:
    """Distance in units in the last place of want, which is exact to more digits than got."""
    want = np.array([float(w) for w in want])
    return np.abs(got.astype(np.float64) - want) / np.spacing(np.abs(want).astype(got.dtype))


def sigmoid_to_50_digits(x: float) -> Any:
    with mpmath.workdps(50):
        return 1 / (1 + mpmath.exp(-mpmath.mpf(x)))


def test_float32_sigmoid_is_within_one_ulp_down_to_the_last_subnormal() -> None:
    x = np.concatenate([np.linspace(-103, 20, 4001), np.linspace(-1, 1, 1001)]).astype(np.float32)

    got = functional.sigmoid(x)

    # float64 inside, then one rounding: half a unit, and a little for the cases near a tie
    assert ulps(got, [sigmoid_to_50_digits(float(v)) for v in x]).max() <= 0.51
    assert functional.sigmoid(np.float32(-103)) > 0


def test_float64_sigmoid_is_within_three_ulp() -> None:
    x = np.linspace(-740, 40, 4001)

    assert ulps(functional.sigmoid(x), [sigmoid_to_50_digits(v) for v in x]).max() <= 3


def test_float32_softmax_is_within_one_ulp() -> None:
    Z = np.random.default_rng(0).normal(0, 10, (50, 40)).astype(np.float32)

    got = functional.softmax(Z)

    with mpmath.workdps(50):
        for row, z in zip(got, Z, strict=True):
            e = [mpmath.exp(mpmath.mpf(float(v))) for v in z]
            assert ulps(row, [v / sum(e) for v in e]).max() <= 1


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", functional.__all__)
def test_shapes_and_types_are_kept(name: str, dtype: Any) -> None:
    f: Any = getattr(functional, name)

    for shape in [(3,), (2, 3), (2, 1, 3), (0, 3)]:
        x = np.linspace(-2, 2, int(np.prod(shape)), dtype=dtype).reshape(shape)
        result = f(x, x) if name.endswith("_grad") else f(x)
        assert result.shape == shape
        assert result.dtype == dtype
        assert not np.shares_memory(result, x)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", functional.__all__)
def test_special_values_make_no_warning(name: str, dtype: Any) -> None:
    f: Any = getattr(functional, name)
    x = np.array([np.nan, np.inf, -np.inf, 1e4, -1e4, 0], dtype)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for row in x[:, None]:
            result = f(row, np.ones_like(row)) if name.endswith("_grad") else f(row)
            if np.isnan(row[0]) and name not in ("identity_grad", "step_grad"):
                assert np.isnan(result[0])


LIMITS = {  # at minus and plus infinity
    "sigmoid": (0, 1), "tanh": (-1, 1), "relu": (0, np.inf), "elu": (-1, np.inf),
    "softplus": (0, np.inf), "gelu": (0, np.inf), "silu": (0, np.inf), "step": (0, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", LIMITS)
def test_infinities_give_the_limits(name: str) -> None:
    got = getattr(functional, name)(np.array([-np.inf, np.inf]))

    assert tuple(got) == LIMITS[name]


@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if n not in ("step", "softmax")])
def test_gradients_are_the_slopes(name: str) -> None:
    f, grad = getattr(functional, name), getattr(functional, f"{name}_grad")
    z, h = np.linspace(-4, 4, 80), 1e-6  # 80 points: none at a kink

    slope = grad(z if name in FROM_INPUT else f(z), np.ones_like(z))

    # A central difference is wrong by h^2 f'''/6 < 1e-12 and by rounding, 1e-16/h = 1e-10.
    np.testing.assert_allclose(slope, (f(z + h) - f(z - h)) / (2 * h), rtol=0, atol=2e-9)


def test_softmax_grad_is_the_jacobian() -> None:
    a = functional.softmax(np.array([0.3, -1, 2]))
    jacobian = np.diag(a) - np.outer(a, a)
    dA = np.array([1.0, -2, 0.5])

    np.testing.assert_allclose(functional.softmax_grad(a, dA), jacobian @ dA, atol=1e-16)


rows = hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=2, max_side=20),
                  elements=st.floats(-1e4, 1e4, width=32))  # fmt: skip


@settings(deadline=None)
@given(rows)
def test_softmax_is_a_distribution_and_log_softmax_its_logarithm(Z: Array) -> None:
    A, L = functional.softmax(Z), functional.log_softmax(Z)

    np.testing.assert_allclose(A.sum(axis=-1), 1, rtol=4 * 1.2e-7)
    assert (A >= 0).all()
    assert (L <= 0).all()
    np.testing.assert_allclose(np.exp(L.astype(np.float64)), A, rtol=2e-3, atol=1e-44)


@settings(deadline=None)
@given(rows, st.floats(-100, 100))
def test_softmax_does_not_see_a_shift(Z: Array, shift: float) -> None:
    Z = Z.astype(np.float64)

    # Adding the shift rounds each logit by up to 1e4 * 1.1e-16, twice.
    np.testing.assert_allclose(functional.softmax(Z + shift), functional.softmax(Z), rtol=1e-11,
                               atol=1e-300)  # fmt: skip


@settings(deadline=None)
@given(rows)
def test_sigmoid_of_minus_x_is_the_complement(x: Array) -> None:
    total = functional.sigmoid(x).astype(np.float64) + functional.sigmoid(-x)

    np.testing.assert_allclose(total, 1, rtol=1.2e-7)


def test_numbers_and_lists_are_arrays_too() -> None:
    for result in (functional.sigmoid(0), functional.sigmoid_grad(0.5, 2)):
        assert isinstance(result, np.float64)
        assert result == 0.5
    for big_endian in (
        functional.relu(np.ones(2, ">f4")),
        functional.relu_grad(*np.ones((2, 1), ">f4")),
    ):
        assert big_endian.dtype == np.dtype("=f4")
    assert functional.relu([-1, 2]).tolist() == [0, 2]


def test_ragged_and_masked_arrays_are_refused() -> None:
    with pytest.raises(ShapeError, match="rows of equal length"):
        functional.relu([[1], [1, 2]])
    with pytest.raises(DataError, match="masked"):
        functional.relu(np.ma.masked_equal([1, 2], 1))


@pytest.mark.parametrize("bad", ["a", [1j], [None], [np.datetime64("2020")]])
def test_what_is_not_a_real_number_is_refused(bad: Any) -> None:
    with pytest.raises(DTypeError, match="need"):
        functional.sigmoid(bad)


@pytest.mark.parametrize("empty", [[], np.zeros((3, 0)), 5.0])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_a_softmax_needs_numbers_in_a_row(name: str, empty: Any) -> None:
    with pytest.raises(ShapeError, match="need at least one number in the last axis"):
        getattr(functional, name)(empty)


def test_shapes_of_a_gradient_must_agree() -> None:
    with pytest.raises(ShapeError, match=r"\(2,\) and its derivative \(3,\)"):
        functional.tanh_grad([1, 2], [1, 2, 3])
