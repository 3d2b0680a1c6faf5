"""Samples: a network with one hidden layer laid out for training on one row at a time."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastnn_kernels import cpu_dual
from fastnn_kernels.calls import address
from fastnn_kernels.cpu_fused import Trainer
from fastnn_kernels.cpu_plan import FROM_INPUT, Plan
from fastnn_kernels.cpu_room import Array
from fastnn_kernels.cpu_wide import CHUNK


class Samples(Trainer):
    """All that cpu_dual.train_samples works on, a block of it for each thread."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        room, d, k = self.room, plan.sizes[0], plan.sizes[-1]
        self.parts = parts = np.zeros(len(plan.dual_columns), cpu_dual.PART)
        row = room.width(room.lanes * max(width for _, _, width in plan.dual_columns))
        wide, X_row = (-(-size // room.lanes) * room.lanes for size in (k, d))
        room.take(max(row, CHUNK, k))  # the zeros
        self.job["one"] = room.take(CHUNK)
        sums = room.take(k)
        apart = room.take(3 * (room.end - sums)) - sums
        for thread, (part, (first, columns, width)) in enumerate(
            zip(parts, plan.dual_columns, strict=True)
        ):
            sizes = {
                "W": d * row, "V": k * row, "Z": CHUNK * row, "D": CHUNK * row, "z": row,
                "G": CHUNK * CHUNK, "X": 0 if plan.is_sparse else CHUNK * X_row, "T": X_row * CHUNK,
                "logits": wide, "slopes": wide, "spare": 2,
            }  # fmt: skip
            for name, size in sizes.items():
                part[name] = room.take(size)
            part["late"] = room.take(wide) if plan.is_late else part["slopes"]
            if plan.has_bias:
                part["b"], part["c"] = room.take(row), room.take(k)
            part["f"] = room.take(row) if plan.activations[0] in FROM_INPUT else part["z"]
            part["thread"], part["threads"], part["sums"] = thread, len(parts), sums
            part["first"], part["columns"], part["width"], part["row"] = first, columns, width, row
            part["half"], part["d"], part["k"] = plan.dual_half, d, k
            part["wide"], part["apart"], part["X_row"] = wide, apart, X_row
            for field, function in plan.layer_functions(plan.activations[0]).items():
                part[field] = address(*function)
        self._masks = np.zeros((len(parts), d), np.uint64)
        self.S = room.vector(room.end)
        self.S[:] = 0
        self.S[int(self.job["one"][0]) :][:CHUNK] = 1

    def call(self, thread: int, counts: Array, *arguments: Any) -> None:
        *data, losses, hits = arguments
        cpu_dual.train_samples(self.S, self.job[0], self.parts[thread], counts, *data,
                               self._masks[thread], losses, hits)  # fmt: skip

    def pairs(self, flats: list[dict[str, Array]]) -> Iterator[tuple[Array, Array]]:
        """Each thread's columns; the last one's output biases, which are all threads', twice."""
        (flat,) = flats
        for part in self.parts:
            columns = slice(int(part["first"]), int(part["first"] + part["columns"]))
            W, V = flat["W1"][:, columns], flat["W2"][columns].T
            yield self.view(part["W"], W.shape, part["row"]), W
            yield self.view(part["V"], V.shape, part["row"]), V
            if part["b"]:
                b = flat["b1"][columns]
                yield self.S[part["b"] :][: len(b)], b
                yield self.S[part["c"] :][: len(flat["b2"])], flat["b2"]
