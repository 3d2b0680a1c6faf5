"""Predictor: a network laid out for prediction, and the compiled functions that this takes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import from_dtype, types

from fastnn_kernels import cpu, cpu_prediction, cpu_products, jit
from fastnn_kernels.calls import LOCAL, address
from fastnn_kernels.cpu_room import Room

Array = np.ndarray[Any, Any]
Space = tuple[Array, Array]
Function = tuple[Any, ...]  # a jit function, and the types of its arguments

_BLOCK = 48  # rows, whose X and Z mostly stay in a core's cache from layer to layer
_CACHED = 2**18  # bytes of X in a block of fewer wide rows


@dataclass(frozen=True)
class Plan:
    """activations: of all layers, the output's last."""

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    dtype: np.dtype[Any]

    def activation(self, name: str) -> Function:
        """A BiasActivation."""
        return getattr(cpu, f"bias_{name}"), self._array(2), self._array(1), self._array(2)

    @property
    def multiply(self) -> Function:
        """The product of a block of rows."""
        return cpu_products.product, self._array(1), *[types.intp] * 12

    @property
    def few(self) -> Function:
        """Prediction of a few rows."""
        M, S = self._array(2), self._array(1)
        return cpu_prediction.predict_few, M, M, S, _layers(), S, types.Array(types.int32, 1, "C")

    @property
    def many(self) -> Function:
        """Prediction of many rows."""
        M, S, columns = self._array(2), self._array(1), types.Array(types.int32, 1, "C")
        job = types.Array(from_dtype(cpu_prediction.JOB), 1, "C")
        return cpu_prediction.predict_many, M, M, S, columns, _layers(), job, types.intp

    @property
    def pack(self) -> Function:
        """What comes before it."""
        S = self._array(1)
        return cpu_prediction.pack, S, _layers(), S, _layers()

    @property
    def is_compiled(self) -> bool:
        """Whether all is in this process or on disk."""
        return all(jit.is_compiled(*function) for function in self.all_functions())

    def compile(self) -> None:
        """So that the next network of these activations and this type predicts so."""
        for function, *arguments in self.all_functions():
            function.compile(tuple(arguments))

    def all_functions(self) -> Iterator[Function]:
        yield from map(self.activation, set(self.activations))
        yield from (self.multiply, self.few, self.many, self.pack)

    def _array(self, dimensions: int) -> Any:
        return types.Array(from_dtype(self.dtype), dimensions, "C")


class Predictor:
    """A plan's network, whose parameters are read at each call.

    P: the flat vector of all parameters; places: of each in it, {"W1": 0, "b1": 1024, ...},
    without b where there are no biases.
    """

    def __init__(self, plan: Plan, P: Array, places: dict[str, int]) -> None:
        plan.compile()
        self.P, self.room = P, Room(plan.dtype)
        lanes, d = self.room.lanes, plan.sizes[0]
        few = np.zeros(len(plan.activations), cpu_prediction.LAYER)
        few["d"], few["m"] = plan.sizes[:-1], plan.sizes[1:]
        few["width"] = [self.room.width(m) for m in plan.sizes[1:]]
        few["activate"] = [address(*plan.activation(name)) for name in plan.activations]
        many = few.copy()
        zeros = max(few["width"]) + lanes

        room = Room(plan.dtype)
        room.take(zeros)
        for k, layer in enumerate(few, start=1):
            layer["W"], layer["b"] = places[f"W{k}"], places.get(f"b{k}", -1)
            layer["z"] = room.take(layer["width"])
        self.layers = few, many
        needed = max(room.end, max(plan.sizes) + lanes)
        self._needed = needed if needed > LOCAL else 0
        self._none = np.empty(0, plan.dtype), np.empty(0, np.int32)
        self.predict_few, self._predict_many, self._pack = map(
            _entry, (plan.few, plan.many, plan.pack)
        )

        room = self.room
        self._zeros = room.take(zeros) + zeros
        for k, layer in enumerate(many, start=1):
            layer["W"] = room.take(layer["d"] * layer["width"])
            layer["b"] = room.take(layer["width"]) if f"b{k}" in places else 0
        self._weights = room.end
        rows = max(12, min(_BLOCK, _CACHED // (d * plan.dtype.itemsize)))
        self.job = np.zeros(1, cpu_prediction.JOB)
        self.job["rows"], self.job["multiply"] = rows, address(*plan.multiply)
        self.job["X"] = room.take(rows * d + lanes) - self._weights
        for layer in many:
            layer["z"] = room.take(rows * layer["width"]) - self._weights
        self._part, self._columns = room.end - self._weights, rows * (d + 1) + 1 + lanes
        self.block = rows

    def few_space(self) -> Space:
        """What predict_few takes beside the stack."""
        n = self._needed
        return (np.empty(n, self.P.dtype), np.empty(n, np.int32)) if n else self._none

    def space(self, parts: int) -> Space:
        """To predict in so many parts at a time; not set."""
        S = self.room.vector(self._weights + parts * self._part)
        S[: self._zeros] = 0
        return S, np.empty((parts, self._columns), np.int32)

    def pack(self, space: Space) -> None:
        """Take over the parameters as they are now."""
        few, many = self.layers
        self._pack(self.P, few, space[0], many)

    def predict_many(self, X: Array, out: Array, space: Space, part: int) -> bool:
        """Set out (n, k) from X (n, d); whether X is finite, and so out is set."""
        (S, columns), place = space, self._weights + part * self._part
        is_finite: bool = self._predict_many(
            X, out, S, columns[part], self.layers[1], self.job, place
        )
        return is_finite


def _entry(function: Function) -> Any:
    """To be called without a look at the types: that they are right is up to the caller."""
    compiled, *arguments = function
    return compiled.overloads[tuple(arguments)].entry_point


def _layers() -> Any:
    return types.Array(from_dtype(cpu_prediction.LAYER), 1, "C")
