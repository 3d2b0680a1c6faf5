"""Plan: what is to be trained and how, and the compiled functions that this takes."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numba import from_dtype, types

from fastnn_kernels import (
    cpu,
    cpu_dual,
    cpu_products,
    cpu_rules,
    cpu_sparse,
    cpu_training,
    cpu_wide,
    jit,
    simd,
)
from fastnn_kernels.calls import address
from fastnn_kernels.cpu_wide import CHUNK, WIDEST

FROM_INPUT = ("gelu", "silu")  # their slope needs the input; the others' the output
Function = tuple[Any, ...]  # a jit function, and the types of its arguments

_INTEGER, _FLOAT = types.intp, types.float64
_JOB, _BATCHES = from_dtype(cpu_training.JOB), from_dtype(cpu_training.PART)
_LAYERS, _SAMPLES = types.Array(from_dtype(cpu_training.LAYER), 1, "C"), from_dtype(cpu_dual.PART)
_INTEGERS, _COLUMNS = types.Array(_INTEGER, 1, "C"), types.Array(types.int32, 1, "C")


@dataclass(frozen=True)
class Plan:
    """What is to be trained, and how.

    activations: of the hidden layers.  loss: the name of a kernel, of logits or of the output.
    optimizer: the name of an update in cpu_rules, or "" for steps that are added to the weights
    as they come; keeps: how many vectors it keeps.  batch_size: of the largest batch;
    block: how many of its rows are worked on at a time, all where the optimizer is "".
    is_straight: whether the loss's derivative goes back without the output's slope; is_late:
    whether the last layer's own parameters take that slope all the same.
    """

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    dropout: tuple[float, ...]
    has_bias: bool
    output: str
    loss: str
    takes_logits: bool
    optimizer: str
    keeps: int
    batch_size: int
    block: int
    is_mean: bool
    is_sparse: bool
    has_labels: bool
    dtype: np.dtype[Any]
    threads: int
    are_squares_finite: bool  # of X: the dual form needs products of its rows
    is_straight: bool = False
    is_late: bool = False

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' * (self.threads > 1)}"
        return f"{threads}, zeros of X {'skipped' if self.is_sparse else 'multiplied'}"

    @property
    def takes(self) -> int:
        """What the loss does, as in cpu_training."""
        if not self.takes_logits:
            return cpu_training.OUTPUT
        is_of_labels = self.loss == "softmax_cross_entropy_labels"
        return cpu_training.LABELS if is_of_labels else cpu_training.LOGITS

    @property
    def is_dual(self) -> bool:
        """Whether samples are trained on one by one by cpu_dual."""
        return (
            self.batch_size == 1 and len(self.sizes) == 3 and not any(self.dropout)
            and not self.optimizer and self.are_squares_finite
            and self.sizes[1] <= 2 * WIDEST * self._lanes
        )  # fmt: skip

    @property
    def grain(self) -> int:
        """Batches that go together: parts of an epoch that begin at others round otherwise."""
        return CHUNK if self.is_dual else 1

    @property
    def dual_half(self) -> int:
        """Vectors of the hidden layer that the first of two threads has."""
        return -(-self.sizes[1] // self._lanes) // 2

    @property
    def dual_columns(self) -> list[tuple[int, int, int]]:
        """(first, columns, vectors) of the hidden layer that each thread has."""
        m, lanes = self.sizes[1], self._lanes
        vectors, cut = -(-m // lanes), self.dual_half * lanes
        if self.threads == 1 or not cut:
            return [(0, m, vectors)]
        return [(0, cut, self.dual_half), (cut, m - cut, vectors - self.dual_half)]

    @property
    def _lanes(self) -> int:
        return simd.BYTES // self.dtype.itemsize

    def functions(self) -> dict[str, Function]:
        """What JOB names, by its names."""
        S, M, i = self._array(1), self._array(2), _INTEGER
        found: dict[str, Function] = {
            "multiply": (cpu_products.product, S, *[i] * 12),
            "transpose": (cpu_products.transpose, S, *[i] * 6),
        }
        if self.is_sparse:
            rows = S, _INTEGERS, _COLUMNS, S, _INTEGERS
            found["multiply_sparse"] = cpu_products.sparse_product, *rows, *[i] * 6
            found["update_sparse"] = cpu_products.sparse_update, *rows, *[i] * 5
        if self.is_dual:
            width = max(width for _, _, width in self.dual_columns)
            found["wide"] = cpu_wide.product(width), S, *[i] * 6
            found["wide_and_update"] = cpu_wide.product_and_update(width), S, *[i] * 7
            if self.is_sparse:
                masks = types.Array(types.uint64, 1, "C")
                found["wide_sparse"] = cpu_wide.sparse_product(width), *rows, *[i] * 5
                found["update_masked"] = cpu_wide.masked_update(width), S, masks, *[i] * 4
        if self.optimizer:
            numbers = types.Array(_FLOAT, 1, "C")
            found["update"] = getattr(cpu_rules, self.optimizer), *[S] * 4, numbers
        if self.has_labels and self.takes != cpu_training.LABELS:
            found["hits"] = cpu.hits, M, _INTEGERS, S
        if self.takes != cpu_training.LABELS:
            zeros = [S] if self.takes == cpu_training.OUTPUT else []
            found["loss"] = self._loss(), M, *zeros, M, S, _FLOAT, M, S
        if self.is_late:
            found["late"] = getattr(cpu, f"{self.output}_grad"), M, M, M
        return found

    def layer_functions(self, activation: str) -> dict[str, Function]:
        """What LAYER names of a hidden layer, by its names."""
        S, M = self._array(1), self._array(2)
        return {
            "activate": (getattr(cpu, f"bias_{activation}"), M, S, M),
            "slope": (getattr(cpu, f"{activation}_grad"), M, M, M),
        }

    @property
    def is_compiled(self) -> bool:
        """Whether all is in this process or on disk."""
        return self in _compiled or all(jit.is_compiled(*each) for each in self.all_functions())

    def compile(self) -> None:
        """So that training begins at once."""
        if self not in _compiled:
            for function in self.all_functions():
                address(*function)
            _compiled.add(self)

    def all_functions(self) -> Iterator[Function]:
        """What training by this plan takes."""
        yield from self.functions().values()
        for activation in set(self.activations):
            yield from self.layer_functions(activation).values()
        S, M = self._array(1), self._array(2)
        data = (_INTEGERS, M, _INTEGERS, _COLUMNS, S, _INTEGERS, _INTEGERS, S, S,
                types.Array(_FLOAT, 2, "C"))  # fmt: skip
        if self.is_dual:
            yield (cpu_dual.train_samples, S, _JOB, _SAMPLES,
                   *data, types.Array(types.uint64, 1, "C"), S, S)  # fmt: skip
        else:
            yield (cpu_training.train, S, _JOB, _LAYERS, _BATCHES, *data,
                   types.Array(types.uint32, 1, "C"), S, S)  # fmt: skip
        if self.is_sparse:
            yield cpu_sparse.compress, M, _INTEGERS, _COLUMNS, S

    def _loss(self) -> Any:
        loss = getattr(cpu, self.loss)
        if self.takes_logits:
            return loss
        if self.is_straight:
            return cpu_rules.straight(getattr(cpu, f"bias_{self.output}"), loss)
        make = cpu_rules.by_input if self.output in FROM_INPUT else cpu_rules.by_output
        activate, slope = getattr(cpu, f"bias_{self.output}"), getattr(cpu, f"{self.output}_grad")
        return make(activate, loss, slope)

    def _array(self, dimensions: int) -> Any:
        return _array(self.dtype, dimensions)


_compiled = set[Plan]()  # in this process: to ask Numba takes a millisecond


@cache
def _array(dtype: np.dtype[Any], dimensions: int) -> Any:
    return types.Array(from_dtype(dtype), dimensions, "C")
