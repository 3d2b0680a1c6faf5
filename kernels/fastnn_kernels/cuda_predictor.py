"""Predictor: a network's outputs on a GPU in one launch, from its parameters as they are then."""

from contextlib import suppress
from types import ModuleType
from typing import Any

import numpy as np

from fastnn_kernels.cuda_plan import (
    ACTIVATIONS,
    CONSTANTS,
    MOST_LAYERS,
    PITCH,
    ROWS,
    SLAB,
    THREADS,
    source,
)

Array = Any  # cupy.ndarray

PREDICTION = np.dtype([
    *[(name, np.uint64) for name in ("X", "offset", "factor", "P", "out", "is_refused")],
    *[(name, np.int32) for name in ("n", "layers", "is_scaled_by_column", "widest")],
    *[(name, np.int32, MOST_LAYERS + 1) for name in ("width", "f", "W", "b")],
], align=True)  # fmt: skip


def needs(sizes: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Bytes of shared memory for a block."""
    return (SLAB + 2 * max(sizes[1:]) * PITCH) * dtype.itemsize


def code(dtype: np.dtype[Any], inputs: np.dtype[Any]) -> str:
    """CUDA C++ for a network of this type and an X of that."""
    return source(dtype, inputs, CONSTANTS, ("inputs.cuh", "sums.cuh", "predict.cu"))


class Predictor:
    """Of a network whose flat parameters P have tensors at these places, on the current device.

    activations: of all layers, the output's last.  (X - offset) factor enters.  most_bytes: of
    shared memory that a block may have.
    """

    def __init__(
        self, cupy: ModuleType, sizes: tuple[int, ...], activations: tuple[str, ...], P: Array,
        places: dict[str, int], offset: Any, factor: Any, most_bytes: int,
    ) -> None:  # fmt: skip
        self.cupy, self.P, self.k = cupy, P, sizes[-1]
        self.scaling, self.shared = (offset, factor), needs(sizes, P.dtype)
        self.most_bytes = most_bytes
        self.ready: dict[str, tuple[Any, Array, Array]] = {}  # by X's type
        self.flags: list[Array] = []
        self.job = np.zeros(1, PREDICTION)
        record, layers = self.job[0], len(activations)
        is_by_column = np.size(offset) > 1 or np.size(factor) > 1
        self.columns = sizes[0] if is_by_column else 1
        record["layers"], record["is_scaled_by_column"] = layers, is_by_column
        record["widest"], record["width"][: layers + 1] = max(sizes[1:]), sizes
        for k, name in enumerate(activations, start=1):
            record["f"][k] = ACTIVATIONS.index(name)
            record["W"][k], record["b"][k] = places[f"W{k}"], places.get(f"b{k}", -1)

    def __call__(self, X: Array) -> tuple[Array, bool]:
        """Outputs (n, k) for X (n, d) in C order, and whether all is finite that enters and that
        it leads to in the first layer."""
        kernel, offset, factor = self.ready.get(X.dtype.name) or self._compiled(X.dtype)
        out, job = self.cupy.empty((len(X), self.k), self.P.dtype), self.job.copy()
        flag = self._flag()
        held = {"X": X, "offset": offset, "factor": factor, "P": self.P, "out": out,
                "is_refused": flag}  # fmt: skip
        for name, array in held.items():
            job[name] = array.data.ptr
        job["n"] = len(X)
        if len(X):
            kernel((-(-len(X) // ROWS),), (THREADS,), (job,), shared_mem=self.shared)
        if flag.get()[0]:
            return out, False
        self.flags.append(flag)
        return out, True

    def _flag(self) -> Array:
        """A zero, which a call before may have left."""
        with suppress(IndexError):
            return self.flags.pop()
        return self.cupy.zeros(1, np.int32)

    def _compiled(self, inputs: np.dtype[Any]) -> tuple[Any, Array, Array]:
        dtype = self.P.dtype
        module = self.cupy.RawModule(code=code(dtype, inputs), options=("--std=c++17",))
        kernel = module.get_function("predict_rows")
        kernel.max_dynamic_shared_size_bytes = self.most_bytes  # its other users' bound, too
        wide = np.result_type(inputs, dtype)
        offset, factor = (
            self.cupy.asarray(np.broadcast_to(x, self.columns).astype(wide)) for x in self.scaling
        )
        self.ready[inputs.name] = kernel, offset, factor
        return self.ready[inputs.name]
