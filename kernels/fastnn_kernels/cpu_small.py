"""Small: what is to be trained along the lanes, the functions for it, and room for it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import from_dtype, types

from fastnn_kernels import cpu_columns, cpu_lanes, cpu_products, cpu_rules, jit, simd
from fastnn_kernels.calls import address
from fastnn_kernels.cpu_plan import FROM_INPUT, Function
from fastnn_kernels.cpu_room import Room

Array = np.ndarray[Any, Any]
Tensors = dict[str, Array]
Addresses = dict[str, dict[str, int]]

BLOCK = 512  # samples at most: 15 rows of Z, F and D fit a core's second cache


@dataclass(frozen=True)
class Plan:
    """What is to be trained, and how.

    activations: of the hidden layers.  loss: the name in cpu_columns, of logits or of the output.
    optimizer: the name of an update in cpu_rules; keeps: how many vectors it keeps.
    """

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    has_bias: bool
    output: str
    loss: str
    takes_logits: bool
    optimizer: str
    keeps: int
    has_labels: bool
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return "many epochs of a tiny network in one call"

    @property
    def is_compiled(self) -> bool:
        """Whether all is in this process or on disk."""
        return self in _addresses or all(
            jit.is_compiled(*function) for function in self.all_functions()
        )

    def compiled(self) -> Addresses:
        """The addresses of all functions, so that training begins at once."""
        if self not in _addresses:  # looking them up takes a millisecond
            _addresses[self] = {
                owner: {name: address(*function) for name, function in part.items()}
                for owner, part in self._all().items()
            }
        return _addresses[self]

    def _functions(self) -> dict[str, Function]:
        """What cpu_lanes.JOB names, by its names."""
        S, M, i = self._array(1), self._array(2), types.intp
        numbers = types.Array(types.float64, 1, "C")
        found: dict[str, Function] = {
            "multiply": (cpu_products.product, S, *[i] * 12),
            "dots": (cpu_lanes.dots, S, *[i] * 11),
            "loss": (self._loss(), M, M, S, types.float64, M, *[S] * 4),
            "update": (getattr(cpu_rules, self.optimizer), *[S] * 4, numbers),
        }
        return found | {"count_hits": (cpu_columns.hits, M, *[S] * 3)} if self.has_labels else found

    def _loss(self) -> Any:
        if self.takes_logits:
            return getattr(cpu_columns, self.loss)
        return cpu_columns.through(self.output, self.loss)

    def _layer_functions(self, activation: str) -> dict[str, Function]:
        """What cpu_lanes.LAYER names, by its names."""
        M = self._array(2)
        return {
            "activate": (cpu_columns.ACTIVATIONS[activation], M),
            "slope": (cpu_columns.SLOPES[activation], M, M),
        }

    def all_functions(self) -> Iterator[Function]:
        """What training by this plan takes."""
        for part in self._all().values():
            yield from part.values()

    def _all(self) -> dict[str, dict[str, Function]]:
        """By whose they are: of the job, of an activation, of nobody in the records."""
        x, record = types.Array(types.float64, 1, "C"), from_dtype
        train = (
            cpu_lanes.train, self._array(1), record(cpu_lanes.JOB),
            types.Array(record(cpu_lanes.LAYER), 1, "C"), types.Array(types.float64, 2, "C"),
            types.float64, x, x, types.Array(types.intp, 1, "C"),
        )  # fmt: skip
        return {"job": self._functions(), "": {"train": train}} | {
            name: self._layer_functions(name) for name in {*self.activations}
        }

    def _array(self, dimensions: int) -> Any:
        return types.Array(from_dtype(self.dtype), dimensions, "C")


_addresses: dict[Plan, Addresses] = {}


class Trainer:
    """Room for a plan's parameters and for rows X (n, d), which have targets and weights.

    Y (n, k), labels (n,) if any, w (n,); scale is of their losses' gradient.
    """

    def __init__(
        self, plan: Plan, X: Array, Y: Array, labels: Array | None, w: Array, scale: float
    ) -> None:
        self.plan, self._end, found = plan, 0, plan.compiled()
        self._lanes = lanes = simd.BYTES // plan.dtype.itemsize
        n, k = Y.shape
        blocks = -(-n // BLOCK)
        vectors = -(-n // (blocks * lanes))
        self.job = job = np.zeros(1, cpu_lanes.JOB)[0]
        self.network = network = np.zeros(len(plan.sizes) - 1, cpu_lanes.LAYER)
        job["n"], job["k"], job["scale"] = n, k, scale
        job["blocks"], job["vectors"], job["row"] = blocks, vectors, vectors * lanes
        row = vectors * lanes
        self._take(max(row, *plan.sizes))  # the zeros
        network["d"], network["m"] = plan.sizes[:-1], plan.sizes[1:]
        network["depth"] = network["d"] + plan.has_bias

        job["p"] = self._end
        for layer in network:
            layer["W"] = self._take(layer["depth"] * layer["m"])
        size = self._end - job["p"]
        self._end += plan.keeps * size
        job["size"], job["state"] = size, size * (1 + plan.keeps)
        job["gradient"] = self._take(size) - job["p"]
        job["before"] = self._take(job["state"])
        job["room"] = self._take(3 * row)
        for name, rows in (("X", network["depth"][0]), ("Y", k), ("w", 1), ("labels", 1),
                           ("losses", 1), ("hits", 1)):  # fmt: skip
            job[name] = self._take(blocks * rows * row)
        for layer in network:
            layer["Z"] = layer["F"] = self._take((layer["m"] + 1) * row)
            layer["D"] = self._take(layer["m"] * row)
        for layer, name in zip(network[:-1], plan.activations, strict=True):
            if name in FROM_INPUT:
                layer["F"] = self._take((layer["m"] + 1) * row)
            layer["activate"], layer["slope"] = found[name]["activate"], found[name]["slope"]
        for field, place in found["job"].items():
            job[field] = place
        self.S = Room(plan.dtype).vector(self._end)
        self.S[:] = 0
        self._fill(X, Y, labels, w)

    def train(self, numbers: Array, target: float, epochs: int) -> tuple[Array, Array, bool]:
        """The loss and accuracy of each epoch that went well, and whether another one diverged.

        numbers: of the optimizer, a row for each epoch or one for all.  Stops after an epoch whose
        loss is at most target.
        """
        losses, accuracies, outcome = np.empty(epochs), np.empty(epochs), np.zeros(2, np.int64)
        cpu_lanes.train(self.S, self.job, self.network, numbers, target, losses, accuracies,
                        outcome)  # fmt: skip
        count = int(outcome[0])
        return losses[:count], accuracies[:count], bool(outcome[1])

    def load(self, flats: list[Tensors]) -> None:
        """Take over the parameters and then what the optimizer keeps."""
        for inside, outside in self._pairs(flats, "p"):
            inside[...] = outside

    def store(self, flats: list[Tensors], *, as_of: str = "p") -> None:
        """Give back what load took over, as of the end of the last epoch or as of "before" it."""
        for inside, outside in self._pairs(flats, as_of):
            outside[...] = inside

    def seen(self) -> tuple[Array, Array]:
        """Losses and hits of each row in the last epoch."""
        n, losses, hits = (int(self.job[name]) for name in ("n", "losses", "hits"))
        return self.S[losses:][:n], self.S[hits:][:n]

    def _pairs(self, flats: list[Tensors], start: str) -> Iterator[tuple[Array, Array]]:
        """(place in S, array outside) of each tensor."""
        for index, flat in enumerate(flats):
            shift = int(self.job[start] - self.job["p"] + index * self.job["size"])
            for k, layer in enumerate(self.network, start=1):
                W = self.S[int(layer["W"]) + shift :][: layer["depth"] * layer["m"]]
                W = W.reshape(-1, layer["m"])
                yield W[: layer["d"]], flat[f"W{k}"]
                if self.plan.has_bias:
                    yield W[-1], flat[f"b{k}"]

    def _fill(self, X: Array, Y: Array, labels: Array | None, w: Array) -> None:
        """What fills the last block repeats the last row, with a weight of 0."""
        job, n = self.job, len(X)
        blocks, row = int(job["blocks"]), int(job["row"])
        rows = np.minimum(np.arange(blocks * row), n - 1).reshape(blocks, row)

        def blocks_of(name: str, height: int) -> Array:
            start = int(job[name])
            return self.S[start : start + blocks * height * row].reshape(blocks, height, row)

        inputs = blocks_of("X", int(self.network["depth"][0]))
        inputs[:, X.shape[1] :] = 1
        inputs[:, : X.shape[1]] = X[rows].transpose(0, 2, 1)
        blocks_of("Y", Y.shape[1])[...] = Y[rows].transpose(0, 2, 1)
        blocks_of("w", 1).reshape(-1)[:n] = w
        if labels is not None:
            blocks_of("labels", 1)[:, 0] = labels[rows]
        for layer in self.network[:-1]:
            self.S[int(layer["F"] + layer["m"] * row) :][:row] = 1

    def _take(self, count: Any) -> int:
        """The place of so many numbers, on a boundary of vectors."""
        place, self._end = self._end, self._end + -(-int(count) // self._lanes) * self._lanes
        return place
