"""Settings: the plain arguments of a fit, checked before anything is touched."""

from dataclasses import dataclass
from typing import Any

from fastnn.callbacks import Callback
from fastnn.checks import choice, count, flag, number
from fastnn.errors import ArgumentError
from fastnn.precision import PRECISIONS
from fastnn.schedules import Schedule, is_schedule, value_at


@dataclass(kw_only=True)
class Settings:
    """See MLP.fit.  Raises ArgumentError."""

    epochs: int
    batch_size: int | Schedule | None
    shuffle: bool
    reduction: str
    l1: float
    l2: float
    label_smoothing: float
    target_loss: float | None
    patience: int | None
    callbacks: Any
    progress: bool | None
    execution: str
    precision: str
    checkpoint: Any
    resume: bool

    def __post_init__(self) -> None:
        self.epochs = count("epochs", self.epochs)
        if self.batch_size is not None and not is_schedule(self.batch_size):
            self.batch_size = count("batch_size", self.batch_size)
        if self.patience is not None:
            self.patience = count("patience", self.patience)
        if self.target_loss is not None:
            self.target_loss = number("target_loss", self.target_loss)
        if self.progress is not None:
            self.progress = flag("progress", self.progress)
        self.shuffle = flag("shuffle", self.shuffle)
        self.l1, self.l2 = (
            number(name, value, ">= 0", lambda x: x >= 0)
            for name, value in (("l1", self.l1), ("l2", self.l2))
        )
        self.label_smoothing = number(
            "label_smoothing", self.label_smoothing, "in [0, 1)", lambda x: 0 <= x < 1
        )
        choice("reduction", self.reduction, ["mean", "sum"])
        choice("execution", self.execution, ["auto", "layers", "fused"])
        choice("precision", self.precision, PRECISIONS)
        self.callbacks = _callbacks(self.callbacks)
        self.resume = flag("resume", self.resume)
        if self.resume and self.checkpoint is None:
            raise ArgumentError("resume=True needs checkpoint=FOLDER, which holds what to go on "
                                "from")  # fmt: skip

    def batch_sizes(self, n: int) -> list[int]:
        """The rows of a batch in each epoch, of n rows in all; the last stands for those after."""
        if self.batch_size is None:
            return [n]
        if not callable(self.batch_size):
            return [min(self.batch_size, n)]
        need, allowed = ">= 1", lambda size: size >= 1
        return [
            min(round(value_at(self.batch_size, epoch, "batch_size", need, allowed, "epoch")), n)
            for epoch in range(self.epochs)
        ]


def _callbacks(callbacks: Any) -> list[Callback]:
    if not isinstance(callbacks, list | tuple):
        raise ArgumentError(f"callbacks is {callbacks!r}, need a list of fastnn.Callback")
    for place, callback in enumerate(callbacks):
        if not isinstance(callback, Callback):
            hint = ": an instance, made by calling it" if isinstance(callback, type) else ""
            raise ArgumentError(f"callbacks[{place}] is {callback!r}, need a fastnn.Callback{hint}")
    return list(callbacks)
