"""Callbacks: what looks on at a training run, with the method names of Keras.

>>> import fastnn
>>> class Loud(fastnn.Callback):
...     def on_epoch_end(self, epoch, logs=None):
...         print(epoch, logs["loss"])

Epochs and batches count from 0; logs are an epoch's figures by name.  A number that a callback
adds to them becomes a column of the History; what is none raises ArgumentError once all have been
told.  model.stop_training = True ends the run after the epoch.  An exception ends it too: in
on_train_batch_* the network is then as at the start of the epoch, elsewhere as it is.
"""

import csv
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastnn import files
from fastnn.backend import Array
from fastnn.checks import choice, count, flag, number
from fastnn.errors import ArgumentError
from fastnn.files import PathLike
from fastnn.metrics import is_better_when_larger

if TYPE_CHECKING:
    from fastnn.network import MLP
    from fastnn.training import Run

Logs = dict[str, float]
State = dict[str, Any]


class Callback:
    """Looks on at a fit, and does nothing.

    model is the network, between steps; run is the fit, see fastnn.training.Run, and is there
    from before on_train_begin until the end of the fit.
    """

    model: "MLP"
    run: "Run"

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch; run.history has those before it in a run that goes on."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch, unless the run was interrupted or failed."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before the first batch."""

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """After the validation."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before each batch."""

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        """After each batch; logs are those of the epoch so far.  It makes a GPU wait."""

    def state(self) -> State:
        """What a run that goes on must have back: int, float, and vectors like model.params.

        It is asked for after on_train_begin, too.
        """
        return {}

    def restore(self, state: State) -> None:
        """Take back what state gave to the callback of the same class, and place among those of
        it; comes before on_train_begin, with run.history in place."""

    @property
    def watches_batches(self) -> bool:
        """Whether a class of its own has one of the methods for batches."""
        names = "on_train_batch_begin", "on_train_batch_end"
        return any(getattr(type(self), name) is not getattr(Callback, name) for name in names)


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

    def state(self) -> State:
        return {} if self.best_params is None else {"best": self.best_params}

    def restore(self, state: State) -> None:
        self.best_params = state.get("best")

    def on_train_begin(self, logs: Logs | None = None) -> None:
        super().on_train_begin()
        epochs = len(self.run.history)
        if not epochs:
            self.best_params = None
        self._wait(epochs - 1)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if self._improves(epoch, logs[self.monitor]) and self.restore_best:
            self.best_params = self.model.params.copy()
        self._wait(epoch)

    def _wait(self, epoch: int) -> None:
        if epoch - max(self.best_epoch, 0) >= self.patience:
            self.model.stop_training, self.run.reason = True, "patience"

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.best_params is not None:
            self.model.params[...] = self.best_params
            self.run.history.best_epoch = self.best_epoch


class Checkpoint(_Monitor):
    """Saves the network: whenever `monitor` is better than ever, or after `every` so many epochs.

    path: may have {epoch}, from 1 on, and the names of logs, as in "{epoch:03d}-{val_loss:.3f}".
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


class CSVLogger(Callback):
    """Writes a row per epoch to a CSV file: epoch, from 0 on, and the epoch's figures.

    Those of callbacks that come before it in the list are among them.  A file that is there is
    written anew.  Raises OSError where the system refuses.
    """

    def __init__(self, path: PathLike) -> None:
        self.path, self._names = files.checked_path(path), list[str]()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        files.check_target(self.path)
        self._names = []

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        rows = [{"epoch": epoch} | logs]
        is_wider = not rows[0].keys() <= {*self._names}
        if is_wider:
            self._names = [*dict.fromkeys([*self._names, *rows[0]])]
            rows[:0] = [{"epoch": i} | figures for i, figures in enumerate(self.run.history)]
        with open(self.path, "w" if is_wider else "a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._names, math.nan, "ignore")
            if is_wider:
                writer.writeheader()
            writer.writerows(rows)


class LearningRateLogger(Callback):
    """Adds the learning rate of each epoch's last step to the history, as learning_rate."""

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        logs["learning_rate"] = self.run.optimizer.at("learning_rate", self.run.step - 1)


class TerminateOnNaN(Callback):
    """Ends a run that stops being finite without a DivergenceError, as at its epoch's start.

    History.stopped is then "nan".
    """


def _mode(monitor: str) -> str:
    return "max" if is_better_when_larger(monitor) else "min"
