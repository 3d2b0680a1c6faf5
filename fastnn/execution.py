"""Execution: the two ways to run an epoch, and the choice between them."""

import logging
from typing import TYPE_CHECKING, Any, Protocol

from fastnn import compiling, cuda_prediction, replayed
from fastnn import prediction as cpu_prediction
from fastnn.checks import choice
from fastnn.cuda_prediction import CudaPrediction
from fastnn.errors import ArgumentError
from fastnn.fused import Fused
from fastnn.lanes import Lanes, fits
from fastnn.layered import Layered
from fastnn.parts import obstacles
from fastnn.prediction import Prediction, is_uncompiled, planned, prediction
from fastnn.progress import Progress
from fastnn.replayed import Replayed

if TYPE_CHECKING:
    from fastnn.network import MLP
    from fastnn.run import Run

_log = logging.getLogger("fastnn")


class Way(Protocol):
    """How the steps of an epoch are made; execution is its name."""

    execution: str

    def epochs(self, bar: Progress, /) -> int:
        """Several at once: how many, or 0 where they go one by one."""

    def steps(self, bar: Progress) -> None:
        """Every batch of the epoch that is left, once."""


def chosen(run: "Run", execution: str) -> Way:
    """The way of this name, or for "auto" the fused one if it can.  Raises ArgumentError."""
    if execution == "layers":
        return Layered(run)
    is_on_gpu = run.net.device != "cpu"
    if is_on_gpu and execution == "auto" and replayed.operations(run) > replayed.MOST:
        why = f"beyond {replayed.MOST:g} operations a step" if replayed.MOST else "not measured yet"
        _log.info("execution auto: layers, because on a GPU fused is %s; execution='fused' asks "
                  "for it", why)  # fmt: skip
        return Layered(run)
    fused = Replayed if is_on_gpu else Fused
    missing = ", ".join(obstacles(run) or fused.obstacles(run))
    if missing and execution == "fused":
        raise ArgumentError(f"execution='fused' cannot do {missing}; use 'layers' or 'auto'")
    if missing:
        _log.info("execution auto: layers, because fused cannot do %s", missing)
        return Layered(run)
    way = Lanes(run) if not is_on_gpu and fits(run) else fused(run)
    if execution == "auto" and not is_on_gpu and not _is_worth(run, way):
        _log.info("execution auto: layers, because they take less time than compiling the fused "
                  "trainer would; 'fastnn doctor --compile' compiles it once")  # fmt: skip
        return Layered(run)
    _log.info("execution %s: the fused trainer, %s", execution, way.plan)
    return way


def predicting(net: "MLP", head: str, execution: str) -> Any:
    """What predicts with output activation `head`; None are the layers.  Raises ArgumentError."""
    choice("execution", execution, ["auto", "layers", "fused"])
    is_on_gpu = net.device != "cpu"
    if execution == "layers" or (is_on_gpu and execution == "auto"):  # see chosen
        return None
    if execution == "auto":
        return prediction(net, head)
    missing = cuda_prediction.obstacles(net, head) if is_on_gpu else cpu_prediction.obstacles(net)
    if missing:
        raise ArgumentError(f"execution='fused' cannot do {', '.join(missing)}; use 'layers' or "
                            "'auto'")  # fmt: skip
    if is_on_gpu:
        return CudaPrediction(net, head)
    return Prediction(net, planned(net, head), left=range(0))


def _is_worth(run: "Run", way: Any) -> bool:
    """Whether nothing is to be compiled for it, nor for evaluating beside it, or it pays."""
    evaluates = bool(run.metrics) or run.held_out is not None
    waits = not way.plan.is_compiled or (evaluates and is_uncompiled(run.net, "identity"))
    return not waits or compiling.is_worth(way.plan, way.layered_seconds)
