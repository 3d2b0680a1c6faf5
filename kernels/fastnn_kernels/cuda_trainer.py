"""Trainer: a plan's buffers on a GPU, its kernels, and graphs of many steps of them.

A graph is captured once: what changes from step to step lies on the device.
"""

from types import ModuleType
from typing import Any

import numpy as np

from fastnn_kernels.cuda_plan import CONTROL, NAMES, POINTERS, Plan, source

Array = Any  # cupy.ndarray
Tensors = dict[str, Array]

GRAPH = 64  # turns


class Trainer:
    """Of the rows X (n, d), in which (X - offset) factor enters, towards their targets.

    labels (n,) int64 or None; Y (n, k) or None where the labels are the targets; weights (n,) or
    None, then it is `weight` of each.  All are on the current device.
    """

    def __init__(
        self, plan: Plan, cupy: ModuleType, X: Array, offset: Any, factor: Any,
        labels: Array | None, Y: Array | None, weights: Array | None, weight: float, seed: int,
    ) -> None:  # fmt: skip
        self.plan, self.cupy, self.seed = plan, cupy, seed
        self.job, count = plan.job()
        record = self.job[0]
        is_by_column = np.size(offset) > 1 or np.size(factor) > 1
        columns, wide = plan.sizes[0] if is_by_column else 1, np.result_type(X.dtype, plan.dtype)
        scaling = [np.broadcast_to(x, columns).astype(wide) for x in (offset, factor)]
        self.held = {
            "X": cupy.ascontiguousarray(X), "offset": cupy.asarray(scaling[0]),
            "factor": cupy.asarray(scaling[1]), "labels": labels, "Y": Y, "weights": weights,
            "work": cupy.zeros(count, plan.dtype),
            "control": cupy.zeros(CONTROL.itemsize // 4, np.int32),
            "tickets": cupy.zeros(plan.tiles, np.int32),
        }  # fmt: skip
        record["weight"], record["is_scaled_by_column"] = weight, is_by_column
        self._tensors, self._transposes = self._laid_out()
        code = source(plan.dtype, X.dtype, type(plan), plan.step_rows)
        module = cupy.RawModule(code=code, options=("--std=c++17",))
        self.kernels = []
        for launch in plan.launches:
            kernel = module.get_function(launch.name)
            kernel.max_dynamic_shared_size_bytes = launch.shared
            self.kernels.append((kernel, launch))
        self.graph: Any = None
        self.room = 0, 0

    def train(
        self, order: Any, samples: int, batch_size: int, numbers: Any, first: int
    ) -> tuple[Array, Array]:
        """Train on the rows in this order, in epochs of so many: their losses and hits.

        numbers: of the optimizer, a row for each step or one for all.  first: the number of the
        first step, for dropout.  What is returned lives until the next call.
        """
        self._make_room(len(order), numbers.size)
        self.held["order"][: len(order)].set(order.astype(np.int32))
        self.held["numbers"][: numbers.size].set(numbers.astype(self.plan.dtype).reshape(-1))
        control = np.zeros(1, CONTROL)
        turn = self.plan.turn if self.plan.turn > self.plan.batch_size else batch_size
        control["batch"], control["samples"], control["rows"] = turn, samples, batch_size
        control["numbers"], control["has_numbers"] = numbers.shape
        control["first"], control["seed"] = _words(first), _words(self.seed)
        self.held["control"].set(control.view(np.int32))
        turns = len(order) // samples * -(-samples // turn)
        if turns >= 2 * GRAPH and self.graph is None:
            self.graph = self._captured()
        for _ in range(turns // GRAPH if self.graph else 0):
            self.graph.launch()
        for _ in range(turns % GRAPH if self.graph else turns):
            self._turn()
        return self.held["losses"][: len(order)], self.held["hits"][: len(order)]

    def load(self, flats: list[Tensors]) -> None:
        """Take over the parameters and then what the optimizer keeps."""
        for inside, outside in zip(self._tensors, flats, strict=True):
            for name, tensor in outside.items():
                inside[name][...] = tensor
        for name, transpose in self._transposes.items():
            transpose[...] = flats[0][name].T

    def store(self, flats: list[Tensors]) -> None:
        """Give back what load took over, as it is now."""
        for inside, outside in zip(self._tensors, flats, strict=True):
            for name, tensor in outside.items():
                tensor[...] = inside[name]

    def _turn(self) -> None:
        """A batch, or a chunk of some."""
        for kernel, (_, grid, threads, shared) in self.kernels:
            kernel(grid, (threads,), (self.job,), shared_mem=shared)

    def _captured(self) -> Any:
        with self.cupy.cuda.Stream(non_blocking=True) as stream:
            stream.begin_capture()
            for _ in range(GRAPH):
                self._turn()
            return stream.end_capture()

    def _make_room(self, rows: int, numbers: int) -> None:
        """For so many rows of an order, and numbers; a graph knows where they are."""
        if self.room[0] >= rows and self.room[1] >= numbers:
            return
        self.room = rows, numbers = max(rows, self.room[0]), max(numbers, self.room[1])
        self.graph, cupy = None, self.cupy
        self.held |= {
            "order": cupy.zeros(rows, np.int32), "numbers": cupy.zeros(numbers, self.plan.dtype),
            "losses": cupy.zeros(rows, self.plan.dtype), "hits": cupy.zeros(rows, self.plan.dtype),
        }  # fmt: skip
        for name in POINTERS:
            held = self.held[name]
            self.job[name] = 0 if held is None else held.data.ptr

    def _laid_out(self) -> tuple[list[Tensors], Tensors]:
        """The parameters and what the optimizer keeps, in work, and transposes of weights."""
        plan, record, work = self.plan, self.job[0], self.held["work"]
        tensors: list[Tensors] = []
        transposes: Tensors = {}

        def matrix(start: int, rows: int, stride: int) -> Array:
            return work[start : start + rows * stride].reshape(rows, stride)

        for index in range(1 + plan.keeps):
            tensors.append({})
            for k, (d, m) in enumerate(zip(plan.sizes, plan.sizes[1:], strict=False), start=1):
                start = int(record["W"][k]) + index * int(record["size"])
                W = matrix(start, plan.heights[k - 1], plan.strides[k])[:, :m]
                tensors[-1] |= {f"W{k}": W[:d]} | ({f"b{k}": W[d]} if plan.has_bias else {})
                room = plan.room(k)
                if "A" in room:  # the input of the bias of the layer behind is 1
                    matrix(int(record["A"][k]), plan.turn, plan.strides[k])[:, m] = 1
                if room.get("WT"):
                    WT = matrix(int(record["WT"][k]), m, plan.strides[k - 1])
                    transposes[f"W{k}"] = WT[:, :d]
        return tensors, transposes


def takes(dtype: np.dtype[Any]) -> bool:
    """Whether X may be of this type."""
    return dtype.name in NAMES


def _words(number: int) -> tuple[int, int]:
    """The low and the high 32 bits."""
    return number & 0xFFFFFFFF, number >> 32
