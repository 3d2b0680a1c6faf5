"""exp, expm1, log and log1p as arithmetic: their error in units in the last place."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest

from fastnn_kernels import cpu, scalars
from fastnn_kernels.jit import OPTIONS

assert cpu  # teaches Numba the functions

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")

RANGE = {np.float32: (-87.33, 88.72), np.float64: (-708.3, 709.7)}
BOUNDS: list[tuple[Callable[..., Any], Callable[..., Any], float, float, float]] = [
    # function, exact, from, to (within the range), most units in the last place
    (scalars.exp, np.exp, -800, 800, 1.1),
    (scalars.exp, np.exp, -1, 1, 1.1),
    (scalars.expm1, np.expm1, -800, -1e-30, 1.2),
    (scalars.expm1, np.expm1, -1, -1e-30, 1.2),
    (scalars.log, np.log, 1, 2, 2.0),
    (scalars.log, np.log, 1, 800, 2.0),
    (scalars.log1p, np.log1p, 1e-30, 1, 2.0),
    (scalars.sigmoid, lambda x: 1 / (1 + np.exp(-x)), -800, 40, 2.5),
    (scalars.tanh, np.tanh, -20, 20, 2.6),
    (scalars.tanh, np.tanh, -1, 1, 2.6),
]


def compiled(function: Any) -> Any:
    """As a kernel calls it: a name in Python, for which Numba has its own code."""
    return numba.vectorize(fastmath=OPTIONS["fastmath"])(lambda x: function(x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("function", "exact", "low", "high", "most"), BOUNDS)
def test_error_in_units_in_the_last_place(
    function: Any, exact: Any, low: float, high: float, most: float, dtype: Any
) -> None:
    if np.finfo(np.longdouble).nmant <= np.finfo(np.float64).nmant and dtype is np.float64:
        pytest.skip("no number here is longer than float64")
    low, high = max(low, RANGE[dtype][0]), min(high, RANGE[dtype][1])
    x = np.linspace(low, high, 300_001).astype(dtype)

    got = compiled(function)(x)

    want = exact(x.astype(np.longdouble))
    ulps = np.abs(got - want) / np.spacing(np.abs(want).astype(dtype))
    assert ulps.max() <= most


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_ends_of_the_range_are_met_to_the_last_number(dtype: Any) -> None:
    info = np.finfo(dtype)
    ends = np.log(np.array([info.tiny, info.max], np.longdouble))
    x = (ends[:, None] + np.spacing(ends.astype(dtype))[:, None] * np.arange(-40, 41)).astype(dtype)

    with np.errstate(all="ignore"):
        y, want = compiled(scalars.exp)(x), np.exp(x.astype(np.longdouble))
        slope = compiled(scalars.sigmoid)(-x)

    inside = (want >= info.tiny) & (want <= info.max)
    np.testing.assert_allclose(y[inside].astype(np.longdouble), want[inside], rtol=2 * info.eps)
    assert not np.isnan(y).any()
    assert not np.isnan(slope).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_of_1_is_0_and_nan_survives_it(dtype: Any) -> None:
    x = np.array([1, np.inf, np.nan], dtype)

    with np.errstate(all="ignore"):  # a NumPy ufunc reports it; a kernel does not
        y = compiled(scalars.log)(x)

    np.testing.assert_array_equal(y, np.array([0, np.inf, np.nan], dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_beyond_the_range_exp_is_zero_or_infinite(dtype: Any) -> None:
    low, high = RANGE[dtype]
    x = np.array([low - 1, -np.inf, high + 1, np.inf, np.nan, 0, -0.0], dtype)

    with np.errstate(all="ignore"):  # a NumPy ufunc reports it; a kernel does not
        y = compiled(scalars.exp)(x)

    np.testing.assert_array_equal(y, np.array([0, 0, np.inf, np.inf, np.nan, 1, 1], dtype))
