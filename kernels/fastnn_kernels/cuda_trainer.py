"""Trainer: a plan's buffers on a GPU, its kernels, and graphs of many steps of them.

A graph is captured once: what changes from step to step lies on the device.
"""

from collections.abc import Callable
from itertools import zip_longest
from types import ModuleType
from typing import Any

import numpy as np

from fastnn_kernels.cuda_plan import BLOCKS, CONTROL, NAMES, POINTERS, THREADS, Launch, Plan

Array = Any  # cupy.ndarray

GRAPH = 64  # turns


class Trainer:
    """Of the rows X (n, d), in which (X - offset) factor enters, towards their targets.

    vectors: the parameters, and what the optimizer keeps of each, with tensors at these places.
    labels (n,) int64 or None; Y (n, k) or None where the labels are the targets; weights (n,) or
    None, then it is `weight` of each.  All are on the current device.
    """

    def __init__(
        self, plan: Plan, cupy: ModuleType, vectors: list[Array], places: dict[str, int],
        X: Array, offset: Any, factor: Any, labels: Array | None, Y: Array | None,
        weights: Array | None, weight: float, seed: int,
    ) -> None:  # fmt: skip
        self.plan, self.cupy, self.seed = plan, cupy, seed
        names = ("parameters", "state", "state_too")
        self.job = plan.job()
        record = self.job[0]
        is_by_column = np.size(offset) > 1 or np.size(factor) > 1
        columns, wide = plan.sizes[0] if is_by_column else 1, np.result_type(X.dtype, plan.dtype)
        scaling = [np.broadcast_to(x, columns).astype(wide) for x in (offset, factor)]
        self.held = {
            "X": cupy.ascontiguousarray(X), "offset": cupy.asarray(scaling[0]),
            "factor": cupy.asarray(scaling[1]), "weights": weights,
            "labels": None if labels is None else cupy.ascontiguousarray(labels),
            "Y": None if Y is None else cupy.ascontiguousarray(Y),
            "work": cupy.zeros(plan.places()[-1], plan.dtype),
            "control": cupy.zeros(CONTROL.itemsize // 4, np.int32),
            "tickets": cupy.zeros(plan.tiles, np.int32),
            **dict(zip_longest(names, vectors)),
        }  # fmt: skip
        for k in range(1, len(plan.sizes)):
            record["flat_W"][k], record["flat_b"][k] = places[f"W{k}"], places.get(f"b{k}", 0)
        record["weight"], record["is_scaled_by_column"] = weight, is_by_column
        module = cupy.RawModule(code=plan.source(X.dtype), options=("--std=c++17",))
        blocks = min(BLOCKS, -(-len(vectors[0]) // THREADS))
        self.pack, self.unpack, *self.turn = (
            self._ready(module, launch)
            for launch in (Launch("pack", (blocks, 1), THREADS, 0),
                           Launch("unpack", (blocks, 1), THREADS, 0), *plan.launches)
        )  # fmt: skip
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
        turn = batch_size * self.plan.batches
        control["batch"], control["samples"], control["rows"] = turn, samples, batch_size
        control["numbers"], control["has_numbers"] = numbers.shape
        control["first"], control["seed"] = _words(first), _words(self.seed)
        self.held["control"].set(control.view(np.int32))
        turns = len(order) // samples * -(-samples // turn)
        if turns >= 2 * GRAPH and self.graph is None:
            self.graph = self._captured()
        self.pack()
        for _ in range(turns // GRAPH if self.graph else 0):
            self.graph.launch()
        for _ in range(turns % GRAPH if self.graph else turns):
            self._take_turn()
        self.unpack()
        return self.held["losses"][: len(order)], self.held["hits"][: len(order)]

    def _ready(self, module: Any, launch: Launch) -> Callable[[], None]:
        """The function that launches it."""
        kernel = module.get_function(launch.name)
        kernel.max_dynamic_shared_size_bytes = self.plan.most_bytes  # its other users' bound, too
        job = (self.job,)
        return lambda: kernel(launch.grid, (launch.threads,), job, shared_mem=launch.shared)

    def _take_turn(self) -> None:
        """A batch, or a chunk of some."""
        for launch in self.turn:
            launch()

    def _captured(self) -> Any:
        with self.cupy.cuda.Stream(non_blocking=True) as stream:
            stream.begin_capture()
            for _ in range(GRAPH):
                self._take_turn()
            return stream.end_capture()

    def _make_room(self, rows: int, numbers: int) -> None:
        """For so many rows of an order, and numbers; a graph knows where they are."""
        if self.room[0] >= rows and self.room[1] >= numbers:
            return
        rows, numbers = max(rows, self.room[0]), max(numbers, self.room[1])
        self.graph, cupy = None, self.cupy
        self.held |= {
            "order": cupy.zeros(rows, np.int32), "numbers": cupy.zeros(numbers, self.plan.dtype),
            "losses": cupy.zeros(rows, self.plan.dtype), "hits": cupy.zeros(rows, self.plan.dtype),
        }  # fmt: skip
        for name in POINTERS:
            held = self.held[name]
            self.job[name] = 0 if held is None else held.data.ptr
        self.room = rows, numbers


def takes(dtype: np.dtype[Any]) -> bool:
    """Whether X may be of this type."""
    return dtype.name in NAMES


def _words(number: int) -> tuple[int, int]:
    """The low and the high 32 bits."""
    return number & 0xFFFFFFFF, number >> 32
