"""Execution: the two ways to run an epoch, and the choice between them."""

import logging
from typing import TYPE_CHECKING, Any, Protocol, cast

from fastnn import compiling
from fastnn.errors import ArgumentError
from fastnn.fused import Fused
from fastnn.lanes import Lanes, fits
from fastnn.layered import Layered
from fastnn.parts import obstacles
from fastnn.prediction import is_uncompiled
from fastnn.progress import Progress
from fastnn.replayed import Replayed

if TYPE_CHECKING:
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
    is_here = run.net.device == "cpu"
    if execution == "auto" and not is_here:
        _log.info("execution auto: layers, because on a GPU fused has not been measured yet; "
                  "execution='fused' asks for it")  # fmt: skip
    if execution == "layers" or (execution == "auto" and not is_here):
        return Layered(run)
    fused = Fused if is_here else Replayed
    missing = ", ".join(obstacles(run) or fused.obstacles(run))
    if missing and execution == "fused":
        raise ArgumentError(f"execution='fused' cannot do {missing}; use 'layers' or 'auto'")
    if missing:
        _log.info("execution auto: layers, because fused cannot do %s", missing)
        return Layered(run)
    way: Any = Replayed(run) if not is_here else Lanes(run) if fits(run) else Fused(run)
    is_ready = execution == "fused" or (way.plan.is_compiled and not _waits_to_evaluate(run))
    if not is_ready and not compiling.is_worth(way.plan, way.layered_seconds):
        _log.info("execution auto: layers, because they take less time than compiling the fused "
                  "trainer would; 'fastnn doctor --compile' compiles it once")  # fmt: skip
        return Layered(run)
    _log.info("execution %s: the fused trainer, %s", execution, way.plan)
    return cast(Way, way)


def _waits_to_evaluate(run: "Run") -> bool:
    """Whether what evaluates beside the fused trainer is to be compiled first."""
    evaluates = bool(run.metrics) or run.held_out is not None
    return evaluates and is_uncompiled(run.net, "identity")
