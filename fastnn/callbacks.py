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
import os
from typing import TYPE_CHECKING, Any

from fastnn import files
from fastnn.files import PathLike

if TYPE_CHECKING:
    from fastnn.network import MLP
    from fastnn.run import Run

Logs = dict[str, float]
State = dict[str, Any]


class Callback:
    """Looks on at a fit, and does nothing.

    model is the network, between steps; run is the fit, see fastnn.run.Run, and is there
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
        """Whether it has one of the methods for batches of its own."""
        return self._has_one_of("on_train_batch_begin", "on_train_batch_end")

    @property
    def watches_epochs(self) -> bool:
        """Whether it has one of the methods for epochs of its own."""
        return self._has_one_of("on_epoch_begin", "on_epoch_end")

    def _has_one_of(self, *names: str) -> bool:
        return any(
            name in vars(self) or getattr(type(self), name) is not getattr(Callback, name)
            for name in names
        )


class CSVLogger(Callback):
    """Writes a row per epoch to a CSV file: epoch, from 0 on, and the epoch's figures.

    Those of callbacks that come before it in the list are among them.  A file that is there is
    written anew.  Raises OSError where the system refuses.
    """

    def __init__(self, path: PathLike) -> None:
        self.path, self._names = files.checked_path(path), list[str]()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        files.check_target(self.path)
        if os.path.exists(self.path) and not os.access(self.path, os.W_OK):
            raise PermissionError(f"cannot write {self.path}: it is not writable")
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
