"""Batches: a network of any depth laid out for training on many rows at a time."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from fastnn_kernels import cpu_training, philox
from fastnn_kernels.calls import address
from fastnn_kernels.cpu_fused import Trainer
from fastnn_kernels.cpu_plan import FROM_INPUT, Plan
from fastnn_kernels.cpu_room import Array


class Batches(Trainer):
    """All that cpu_training.train works on."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        room, lanes = self.room, self.room.lanes
        vectors = [-(-m // lanes) for m in plan.sizes]
        self.network = network = np.zeros(len(plan.sizes) - 1, cpu_training.LAYER)
        network["d"], network["m"] = plan.sizes[:-1], plan.sizes[1:]
        network["vectors"] = vectors[1:]
        network["width"] = [room.width(m) for m in plan.sizes[1:]]
        room.take(max(network["width"]) + lanes)  # the zeros
        self.job["one"], self.job["block"] = room.take(1), plan.block
        self._place_weights(vectors)
        self._words = np.empty(self._place_rows(), np.uint32)
        self._place_work()
        self.S = room.vector(room.end)
        self.S[:] = 0
        self.S[self.job["one"]] = 1

    def call(self, thread: int, counts: Array, *arguments: Any) -> None:
        *data, losses, hits = arguments
        cpu_training.train(self.S, self.job[0], self.network, self.parts[thread], counts, *data,
                           self._words, losses, hits)  # fmt: skip

    def pairs(self, flats: list[dict[str, Array]]) -> Iterator[tuple[Array, Array]]:
        """The first layer's W in its threads' columns."""
        lanes = self.room.lanes
        for index, flat in enumerate(flats):
            shift = self._distance * (index + (index > 0))
            for part in self.parts:
                first, end = (int(part["first"] + n) * lanes for n in (0, part["width"]))
                W = flat["W1"][:, first:end]
                yield self.view(part["W"] + shift, W.shape, part["W_row"]), W
            for k, layer in enumerate(self.network, start=1):
                if k > 1:
                    W = flat[f"W{k}"]
                    yield self.view(layer["W"] + shift, W.shape, layer["W_row"]), W
                if layer["b"]:
                    b = flat[f"b{k}"]
                    yield self.S[layer["b"] + shift :][: len(b)], b

    def _place_weights(self, vectors: list[int]) -> None:
        """Parameters, and as far apart the gradients and what the optimizer keeps."""
        plan, room, lanes = self.plan, self.room, self.room.lanes
        threads = min(plan.threads, vectors[1]) if len(vectors) > 2 else 1
        self.parts = np.zeros(threads, cpu_training.PART)
        first = room.end
        bounds = [vectors[1] * t // threads for t in range(threads + 1)]
        for part, (v, end) in zip(self.parts, pairwise(bounds), strict=True):
            part["first"], part["width"], part["W_row"] = v, end - v, room.width((end - v) * lanes)
            part["W"] = room.take(plan.sizes[0] * part["W_row"])
        for k, layer in enumerate(self.network):
            layer["W_row"] = layer["width"]
            if k:  # with rows for whole blocks of its transpose
                layer["W"] = room.take(vectors[k] * room.lanes * layer["W_row"])
            if plan.has_bias:
                layer["b"] = room.take(layer["width"])
        self._distance = room.end - first
        if plan.optimizer:
            self.job["gradient"] = self._distance
            room.take(self._distance * (1 + plan.keeps))

    def _place_rows(self) -> int:
        """What a block makes in each layer; returns how many random words dropout takes."""
        plan, rows, words = self.plan, self.plan.block, 0
        for k, layer in enumerate(self.network):
            turns = 1 if k else 2
            size = rows * int(layer["width"])
            layer["turn"] = 0 if k else size
            layer["Z"] = layer["F"] = layer["A"] = self.room.take(turns * size)
            layer["D"] = self.room.take(size)
            if k == len(self.network) - 1:
                break
            name, rate = plan.activations[k], plan.dropout[k]
            layer["words"] = words
            if rate:
                layer["threshold"], layer["factor"] = philox.threshold(rate), 1 / (1 - rate)
                words += rows * int(layer["m"]) + 8  # a block of words more at either end
            if rate or name in FROM_INPUT:
                layer["A"] = self.room.take(turns * size)
            layer["F"] = layer["A"] if name in FROM_INPUT else layer["Z"]
            for field, function in plan.layer_functions(name).items():
                layer[field] = address(*function)
        return words

    def _place_work(self) -> None:
        plan, rows, room = self.plan, self.plan.block, self.room
        transposes = [(int(layer["m"]) + room.lanes) * int(before["width"])
                      for before, layer in pairwise(self.network)]  # fmt: skip
        for thread, part in enumerate(self.parts):
            part["thread"], part["threads"] = thread, len(self.parts)
            part["X"] = 0 if plan.is_sparse else room.take(rows * plan.sizes[0] + room.lanes)
            part["transpose"] = room.take(max(transposes, default=0))
            part["logits"] = room.take(rows * plan.sizes[-1])
            part["slopes"] = room.take(rows * plan.sizes[-1])
