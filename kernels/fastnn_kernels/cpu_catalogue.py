"""Catalogue: every compiled function that any network on a CPU may need."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from fastnn_kernels import cpu_predictor, cpu_small, simd
from fastnn_kernels.cpu_plan import Function, Plan
from fastnn_kernels.cpu_wide import WIDEST
from fastnn_kernels.face import ELEMENTWISE

_SMOOTH = tuple(name for name in ELEMENTWISE if name != "step")  # those that learn
_OUTPUTS = ("softmax", *_SMOOTH)
_OPTIMIZERS = ("sgd", "sgd_momentum", "sgd_nesterov", "adam", "rmsprop", "adagrad")


def functions() -> list[Function]:
    """Each once, in an order in which a function comes after those that it is compiled with."""
    return list(dict.fromkeys(f for plan in _plans() for f in plan.all_functions()))


class _Planned(Protocol):
    def all_functions(self) -> Iterable[Function]: ...


def make_ready(function: Function) -> None:
    """Compile it unless it is here or on disk."""
    kernel, *arguments = function
    kernel.compile(tuple(arguments))


def _plans() -> Iterator[_Planned]:
    for dtype in map(np.dtype, ("float32", "float64")):
        lanes = simd.BYTES // dtype.itemsize
        plan = Plan(
            sizes=(2, 2, 2, 2), activations=_SMOOTH, dropout=(0.0, 0.0), has_bias=True,
            output="softmax", loss="softmax_cross_entropy_labels", takes_logits=True, optimizer="",
            keeps=0, batch_size=2, block=2, is_mean=True, is_sparse=True, has_labels=True,
            dtype=dtype, threads=1, are_squares_finite=True,
        )  # fmt: skip
        yield plan
        for optimizer in _OPTIMIZERS:
            yield replace(plan, optimizer=optimizer)
        for loss in ("softmax_cross_entropy", "sigmoid_cross_entropy"):
            yield replace(plan, loss=loss)
        for output in _OUTPUTS:
            for loss in ("squared_error", "huber"):
                yield replace(plan, output=output, loss=loss, takes_logits=False)
        late = replace(plan, loss="squared_error", takes_logits=False, is_straight=True)
        yield replace(late, output="step")
        yield replace(late, output="sigmoid", is_late=True)
        yield from _small_plans(dtype)
        yield cpu_predictor.Plan((2, 2), ("step", *_OUTPUTS), dtype)
        one_by_one = replace(plan, batch_size=1, block=1, activations=("sigmoid",), dropout=(0.0,))
        for width in range(1, 2 * WIDEST + 1):
            yield replace(one_by_one, sizes=(2, width * lanes, 2))


def _small_plans(dtype: np.dtype[Any]) -> Iterator[_Planned]:
    plan = cpu_small.Plan(
        sizes=(2, 2, 2), activations=_SMOOTH, has_bias=True, output="softmax",
        loss="softmax_cross_entropy", takes_logits=True, optimizer="sgd", keeps=0,
        has_labels=True, dtype=dtype,
    )  # fmt: skip
    yield plan
    for optimizer in _OPTIMIZERS:
        yield replace(plan, optimizer=optimizer)
    yield replace(plan, loss="sigmoid_cross_entropy")
    for output in _OUTPUTS:
        for loss in ("squared_error", "huber"):
            yield replace(plan, output=output, loss=loss, takes_logits=False)
