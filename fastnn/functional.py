"""Activations and their derivatives on NumPy or CuPy arrays, for people.

Each takes an array of any shape, or a number, and returns a new one of the same float type
(integers give float64).  Inside it is float64, so a float32 result is off by little more than
half a unit in the last place, and the far tails, subnormal numbers included, are kept;
log_softmax is right to 1e-16 of its row's largest number.  A NaN that is used stays NaN, and
infinities give an elementwise function's limit, without a warning.

`sigmoid(z)` and the like take the input; `sigmoid_grad(A, dA)` and the like take the
activation's output A (gelu_grad and silu_grad its input Z) and the derivative dA by it,
and return the derivative by the input.  softmax and log_softmax run over the last axis.
Formulas: fastnn_kernels.reference.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from fastnn.errors import ShapeError
from fastnn.inputs import checked_array, real
from fastnn_kernels import reference

Array = Any
F = TypeVar("F", bound=Callable[..., Any])

__all__ = [
    "elu", "elu_grad", "gelu", "gelu_grad", "identity", "identity_grad", "leaky_relu",
    "leaky_relu_grad", "log_softmax", "relu", "relu_grad", "sigmoid", "sigmoid_grad", "silu",
    "silu_grad", "softmax", "softmax_grad", "softplus", "softplus_grad", "step", "step_grad",
    "tanh", "tanh_grad",
]  # fmt: skip


def _activation(formula: Callable[[Array], Array]) -> Callable[[Any], Array]:
    def activation(x: Any) -> Array:
        x = _numbers(x)
        with np.errstate(all="ignore"):
            return formula(x.astype(np.float64)).astype(x.dtype)[()]

    return _named(activation, formula.__name__)


def _over_rows(formula: Callable[[Array], Array]) -> Callable[[Any], Array]:
    activation = _activation(formula)

    def over_rows(x: Any) -> Array:
        x = _numbers(x)
        if x.ndim == 0 or x.shape[-1] == 0:
            raise ShapeError(f"the array is {x.shape}, need at least one number in the last axis")
        return activation(x)

    return _named(over_rows, formula.__name__)


def _grad(slope: Callable[[Array], Array]) -> Callable[[Any, Any], Array]:
    return _product(slope.__name__.removesuffix("_slope"), lambda T, dA: dA * slope(T))


def _product(name: str, product: Callable[[Array, Array], Array]) -> Callable[[Any, Any], Array]:
    def grad(T: Any, dA: Any) -> Array:
        T, dA = _numbers(T), _numbers(dA)
        if T.shape != dA.shape or (T.ndim == 0 and name == "softmax"):
            raise ShapeError(f"the activation is {T.shape} and its derivative {dA.shape}, "
                             "need equal shapes with an axis")  # fmt: skip
        with np.errstate(all="ignore"):
            product_of = product(T.astype(np.float64), dA.astype(np.float64))
            return product_of.astype(np.result_type(T.dtype, dA.dtype))[()]

    return _named(grad, f"{name}_grad")


def _named(function: F, name: str) -> F:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{name}: see fastnn.functional for what goes in, fastnn_kernels.face for f."
    return function


def _numbers(x: Any) -> Array:
    on_gpu = hasattr(x, "__cuda_array_interface__") and hasattr(x, "astype")  # CuPy's
    x = real(x, "the array") if on_gpu else checked_array(x, "the array")
    return x if x.dtype.kind == "f" else x.astype(np.float64)


identity = _activation(reference.identity)
step = _activation(reference.step)
sigmoid = _activation(reference.sigmoid)
tanh = _activation(reference.tanh)
relu = _activation(reference.relu)
leaky_relu = _activation(reference.leaky_relu)
elu = _activation(reference.elu)
softplus = _activation(reference.softplus)
gelu = _activation(reference.gelu)
silu = _activation(reference.silu)
softmax = _over_rows(reference.softmax)
log_softmax = _over_rows(reference.log_softmax)

identity_grad = _grad(reference.identity_slope)
step_grad = _grad(reference.step_slope)
sigmoid_grad = _grad(reference.sigmoid_slope)
tanh_grad = _grad(reference.tanh_slope)
relu_grad = _grad(reference.relu_slope)
leaky_relu_grad = _grad(reference.leaky_relu_slope)
elu_grad = _grad(reference.elu_slope)
softplus_grad = _grad(reference.softplus_slope)
gelu_grad = _grad(reference.gelu_slope)
silu_grad = _grad(reference.silu_slope)
softmax_grad = _product("softmax", reference.softmax_slope_times)
