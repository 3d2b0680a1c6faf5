"""Run: the epochs of a fit, and what happens between them.

A network's parameters change only in whole steps, which no signal splits: whatever interrupts a
run, Ctrl-C included, leaves them as of the last step that it knows of.
"""

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import resuming
from fastnn.backend import Array
from fastnn.callbacks import TerminateOnNaN
from fastnn.data import Data
from fastnn.errors import DivergenceError
from fastnn.evaluation import evaluate, mean, means, read
from fastnn.execution import chosen
from fastnn.history import History
from fastnn.interruption import Interruption
from fastnn.losses import Loss
from fastnn.metrics import Metric
from fastnn.monitors import EarlyStopping
from fastnn.optimizers import Optimizer
from fastnn.prediction import Prediction, is_uncompiled, prediction
from fastnn.progress import Progress
from fastnn.settings import Settings
from fastnn.snapshots import Snapshots
from fastnn.streams import Purpose, generator

if TYPE_CHECKING:
    from fastnn.network import MLP


class Run:
    """One fit: where it is, what it holds, and the epochs it makes.

    Callbacks know it as .run, for its net, optimizer, settings, data, held_out, history, and
    epoch, batch and step, which count from 0 in this fit and name the next one.
    """

    def __init__(
        self, net: "MLP", loss: Loss, optimizer: Optimizer, settings: Settings, seed: int,
        data: Data, held_out: Data | None, metrics: dict[str, Metric],
    ) -> None:  # fmt: skip
        backend, n = net.backend, len(data)
        self.net, self.loss, self.optimizer, self.settings = net, loss, optimizer, settings
        self.seed, self.data, self.held_out = seed, data, held_out
        have_classes = all(x.targets.labels is not None for x in (data, held_out) if x is not None)
        self.metrics = {
            name: metric
            for name, metric in metrics.items()
            if name != "accuracy" or not have_classes
        }  # else it is there
        targets = loss.smoothed(data.targets, settings.label_smoothing)
        self.lessons = replace(data, targets=targets)
        self.start = backend.zeros(net.params.size)  # net.params as the epoch began
        self.epoch = self.batch = self.step = 0
        self.first_epoch, self.first_step = net.epochs, net.steps
        self.batch_sizes = settings.batch_sizes(n)
        self.trained = net.params
        if optimizer.ema is not None:  # then net.params is the average
            self.trained = backend.zeros(net.params.size)
            self.trained[...] = net.params
        self.state = optimizer.state(net.params.size, backend)
        self.losses, self.hits = backend.zeros(n), backend.zeros(n)
        self.history, self.reason = History(), "callback"
        self.interruption = Interruption()
        self.callbacks = [*settings.callbacks]
        if settings.patience is not None:
            monitor = "loss" if held_out is None else "val_loss"
            self.callbacks.append(EarlyStopping(monitor, settings.patience))
        self.watching_batches = [c for c in self.callbacks if c.watches_batches]
        # Somebody looks on between epochs.
        self.is_watched = bool(
            self.metrics or held_out is not None or any(c.watches_epochs for c in self.callbacks)
        )
        self.way = chosen(self, settings.execution)
        self.prediction: Prediction | None = None  # of logits
        self.configuration = resuming.configuration(self) if settings.checkpoint else {}
        self.snapshots: Snapshots | None = None

    @property
    def vectors(self) -> list[Array]:
        """The parameters in training, and what the optimizer keeps of each."""
        return [self.trained, *(self.state[name] for name in self.optimizer.keeps)]

    @property
    def rows(self) -> int:
        """Trained on in the epoch under way."""
        return min(self.batch * self.batch_size, len(self.data))

    @property
    def batch_size(self) -> int:
        """In this epoch."""
        return self.batch_sizes[min(self.epoch, len(self.batch_sizes) - 1)]

    @property
    def names(self) -> list[str]:
        """The columns that the history will have, apart from what callbacks add."""
        own = ["loss", *["accuracy"] * (self.data.targets.labels is not None), *self.metrics]
        if (held := self.held_out) is not None:
            own += ["val_loss", *["val_accuracy"] * (held.targets.labels is not None)]
            own += [f"val_{name}" for name in self.metrics]
        return [*dict.fromkeys(own)]

    def epochs(self, bar: Progress) -> History:
        """Run them, from the last snapshot on if there is one."""
        if self.settings.checkpoint is not None:
            self.snapshots = Snapshots(self.settings.checkpoint, resume=self.settings.resume)
        try:
            self._begin()
            bar.advance(self.epoch * len(self.data) + self.rows)
            with self.interruption.handled():
                self._go(bar)
                self._tell("on_train_end")
        finally:
            for callback in self.callbacks:
                vars(callback).pop("run", None)  # nor the data, then
            if self.snapshots is not None:
                self.snapshots.close()
        return self.history

    def _begin(self) -> None:
        """Take up the snapshot and tell the callbacks; an error leaves the network alone."""
        net, settings = self.net, self.settings
        before = net.params.copy(), net.epochs, net.steps
        net.stop_training = False
        for callback in self.callbacks:
            callback.model, callback.run = net, self
        try:
            if self.snapshots is not None and settings.resume:
                resuming.restore(self, self.snapshots)
            self._tell("on_train_begin")
            if self.snapshots is not None:
                resuming.states(self)  # what no snapshot can hold is refused now
        except Exception:
            net.params[...], net.epochs, net.steps = before
            raise
        if self.history.stopped in ("target_loss", "patience"):
            self.history.stopped = "epochs"  # by other settings it may go on
        self._see_whether_to_stop()

    def _go(self, bar: Progress) -> None:
        try:
            while self.epoch < self.settings.epochs and self.history.stopped == "epochs":
                if not self._several(bar):
                    self._epoch(bar)
            self._snapshot()
        except (KeyboardInterrupt, SystemExit):
            self._snapshot()
            raise

    def _several(self, bar: Progress) -> bool:
        """Epochs at once where the way has them and nobody looks on between; False where there are
        none, or one of them failed, as _epoch will say."""
        if self.is_watched or self.batch:
            return False
        count = self.way.epochs(bar)
        if count:
            self._see_whether_to_stop()
            bar.advance(count * len(self.data))
            bar.report(self.epoch, self.history.last())
            self.keep()
        return count > 0

    def _epoch(self, bar: Progress) -> None:
        """One epoch, or what is left of it."""
        net, began = self.net, time.perf_counter()
        if self.batch == 0:
            self.start[...] = net.params
        self._tell("on_epoch_begin", self.epoch)
        net.epochs = self.first_epoch + self.epoch + 1
        try:
            self.way.steps(bar)
            seen = self.seen() | {"finite": np.isfinite(net.params).all()}
            figures = read(seen, net.backend)  # the only wait of an epoch
        except Exception:  # out of memory, say; Ctrl-C is none, and keeps the last whole step
            self._go_back()
            raise
        if not figures.pop("finite") or not math.isfinite(figures["loss"]):
            self._diverged()
            return
        self._look_on(figures, began, bar)
        bar.report(self.epoch, self.history.last())
        self.keep()

    def _look_on(self, figures: dict[str, float], began: float, bar: Progress) -> None:
        """Validate, tell the callbacks, remember, and see whether to stop."""
        if self.metrics:
            worth = self._evaluated(self.data, bar)
            figures |= {name: worth[name] for name in self.metrics if name not in figures}
        if self.held_out is not None:
            worth = self._evaluated(self.held_out, bar)
            figures |= {f"val_{name}": value for name, value in worth.items()}
        figures["seconds"] = time.perf_counter() - began
        self._tell("on_epoch_end", self.epoch, figures)
        with self.interruption:
            self.history.append(figures)
            self.epoch, self.batch = self.epoch + 1, 0
        self._see_whether_to_stop()

    def _evaluated(self, data: Data, bar: Progress) -> dict[str, float]:
        """What the network is worth on it, by the execution that trains it."""
        if self.way.execution == "fused" and self.prediction is None:
            if is_uncompiled(self.net, "identity"):
                bar.tell("compiling")
            self.prediction = prediction(self.net, "identity", may_compile=True)
        logits = None if self.prediction is None else self.prediction.rows(data.rows.X)
        return evaluate(self.net, self.loss, data, self.metrics, logits)

    def _see_whether_to_stop(self) -> None:
        history, target = self.history, self.settings.target_loss
        if target is not None and history.loss[-1:] and history.loss[-1] <= target:
            history.stopped = "target_loss"
        elif self.net.stop_training and self.batch == 0 and history.stopped == "epochs":
            history.stopped = self.reason

    def seen(self) -> dict[str, Array]:
        """Mean loss, and accuracy where there are classes, of the epoch's rows so far."""
        return means(self.losses[: self.rows], self.hits[: self.rows], self.data)

    def order(self, later: int = 0) -> np.ndarray[Any, Any] | None:
        """Of the rows in this epoch, or so many later; None is their own."""
        if not self.settings.shuffle:
            return None
        index = self.first_epoch + self.epoch + later
        return generator(self.seed, Purpose.ORDER, index).permutation(len(self.data))

    def count(self, steps: int) -> None:
        """So many more steps have been taken."""
        self.net.steps += steps
        self.step += steps
        self.batch += steps

    def count_epochs(self, figures: dict[str, list[float]], steps: int) -> None:
        """These more epochs are over, of so many steps together."""
        epochs = len(figures["loss"])
        self.history.extend(figures)
        self.count(steps)
        self.epoch, self.batch = self.epoch + epochs, 0
        self.net.epochs = self.first_epoch + self.epoch

    def keep(self) -> None:
        """Write a snapshot if one is due."""
        if self.snapshots is not None and self.snapshots.is_due():
            self._snapshot()

    def _snapshot(self) -> None:
        if self.snapshots is not None and not self.interruption.is_split:
            resuming.save(self, self.snapshots)

    def _tell(self, event: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(*arguments)

    def _go_back(self) -> None:
        """Put the network where it was as the epoch began."""
        net = self.net
        with self.interruption:
            self.step, self.batch = self.step - self.batch, 0
            net.params[...] = self.start
            net.epochs, net.steps = self.first_epoch + self.epoch, self.first_step + self.step

    def _diverged(self) -> None:
        """Go back, and end the run or raise DivergenceError."""
        error = self._divergence()
        self._go_back()
        if not any(isinstance(callback, TerminateOnNaN) for callback in self.callbacks):
            raise error
        self.history.stopped = "nan"

    def _divergence(self) -> DivergenceError:
        size, finite = self.batch_size, self.net.backend.asnumpy(np.isfinite(self.losses))
        what, row = "the loss", int(np.argmin(finite))
        if finite.all():  # then it was the last step that spoilt a parameter, or one before
            what, row = "a parameter", len(finite) - 1
        step, done = row // size, row - row % size
        known = [float(mean(self.losses[:done]))] if done else self.history.loss[-1:]
        last = f"{known[0]:.4g}" if known else "none"
        rate = self.optimizer.at("learning_rate", self.step - self.batch + step)
        advice = "Try a smaller learning rate, or input_scaling"
        if not np.isfinite(self.start).all():
            advice = "Its parameters were not finite even then: make it anew, or set net.params"
        return DivergenceError(
            f"{what} stopped being finite in epoch {self.epoch + 1}, step {step + 1}, at "
            f"learning rate {rate:g} (last finite loss: {last}); the network is as "
            f"it was at the start of that epoch.  {advice}"
        )
