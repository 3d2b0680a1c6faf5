"""Monitors: callbacks that know the best epoch so far, by one figure of the history."""

import math
import warnings
from pathlib import Path

from fastnn import files
from fastnn.backend import Array
from fastnn.callbacks import Callback, Logs, State
from fastnn.checks import choice, count, flag, number
from fastnn.errors import ArgumentError
from fastnn.files import PathLike
from fastnn.metrics import is_better_when_larger


class _Monitor(Callback):
    """Knows the best epoch so far by one of the history's columns."""

    def __init__(self, monitor: str, mode: str | None, min_delta: float) -> None:
        if not isinstance(monitor, str):
            raise ArgumentError(f"monitor is {monitor!r}, need the name of a column")
        self.monitor = monitor
        self.mode = choice("mode", _mode(monitor) if mode is None else mode, ["min", "max"])
        self.min_delta = number("min_delta", min_delta, ">= 0", lambda x: x >= 0)
        self.best, self.best_epoch = math.nan, -1

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self.monitor not in self.run.names:
            hint = "" if self.run.held_out else "; val_ needs fit(validation=...)"
            raise ArgumentError(f"monitor is {self.monitor!r}, need one of "
                                f"{', '.join(self.run.names)}, or more metrics{hint}")  # fmt: skip
        self.best, self.best_epoch = math.inf if self.mode == "min" else -math.inf, -1
        for epoch, figures in enumerate(self.run.history):
            self._improves(epoch, figures.get(self.monitor, math.nan))

    def _improves(self, epoch: int, value: float) -> bool:
        """Whether the value is better than the best by min_delta; it is the best then."""
        gain = self.best - value if self.mode == "min" else value - self.best
        if not gain > self.min_delta:
            return False
        self.best, self.best_epoch = value, epoch
        return True


class EarlyStopping(_Monitor):
    """Stops once `patience` epochs have brought nothing better, and restores the best weights.

    monitor: one of the losses, accuracies and metrics; better is less, or more for mode "max",
    by more than min_delta.  mode None: "max" for accuracy, top_N, f1 and r2.  Raises ArgumentError.
    """

    def __init__(
        self, monitor: str = "val_loss", patience: int = 1, *, min_delta: float = 0.0,
        mode: str | None = None, restore_best: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(monitor, mode, min_delta)
        self.patience = count("patience", patience)
        self.restore_best = flag("restore_best", restore_best)
        self.best_params: Array | None = None
        self._params_epoch = -1  # of which they are

    def state(self) -> State:
        if self.best_params is None:
            return {}
        return {"best": self.best_params, "epoch": self._params_epoch}

    def restore(self, state: State) -> None:
        self.best_params, self._params_epoch = state.get("best"), state.get("epoch", -1)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        super().on_train_begin()
        epochs = len(self.run.history)
        if not epochs or self._params_epoch != self.best_epoch or not self.restore_best:
            self.best_params = None  # another monitor's, where the run goes on
        self._wait(epochs - 1)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if self._improves(epoch, logs[self.monitor]) and self.restore_best:
            self.best_params, self._params_epoch = self.model.params.copy(), epoch
        self._wait(epoch)

    def _wait(self, epoch: int) -> None:
        if epoch - max(self.best_epoch, 0) >= self.patience:
            self.model.stop_training, self.run.reason = True, "patience"

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.best_params is not None:
            self.model.params[...] = self.best_params
            self.run.history.best_epoch = self.best_epoch
        elif self.restore_best and self.best_epoch >= 0:
            warnings.warn(f"the weights of epoch {self.best_epoch}, the best by {self.monitor}, "
                          "were not kept by the run that this one goes on from, and the last ones "
                          "stay", RuntimeWarning, stacklevel=2)  # fmt: skip


class Checkpoint(_Monitor):
    """Saves the network: whenever `monitor` is better than ever, or after `every` so many epochs.

    path: may have {epoch}, from 1 on, and the losses, accuracies and metrics by name, as in
    "{epoch:03d}-{val_loss:.3f}".
    Raises ArgumentError, and OSError where the system refuses.
    """

    def __init__(
        self, path: PathLike, *, monitor: str = "val_loss", every: int | None = None,
        mode: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(monitor if every is None else "loss", mode, 0.0)
        self.path = files.checked_path(path)
        self.every = None if every is None else count("every", every)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        super().on_train_begin()
        files.check_target(self._path(0, dict.fromkeys(self.run.names, 0.0)))

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        is_best = self._improves(epoch, logs[self.monitor])
        if is_best if self.every is None else (epoch + 1) % self.every == 0:
            self.model.save(self._path(epoch, logs))

    def _path(self, epoch: int, logs: Logs) -> Path:
        path = Path(self.path)
        try:
            return path.with_name(path.name.format_map(logs | {"epoch": epoch + 1}))
        except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
            raise ArgumentError(f"path is {str(path)!r}, need no fields but epoch, "
                                f"{', '.join(logs)}: {error!r}") from error  # fmt: skip


def _mode(monitor: str) -> str:
    return "max" if is_better_when_larger(monitor) else "min"
