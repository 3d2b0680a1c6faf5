"""Curves: how the loss and the accuracy went, epoch by epoch."""

import reprlib
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.checks import choice
from fastnn.errors import ArgumentError
from fastnn.history import History
from fastnn.losses import NAMES
from fastnn.plots.figures import BLUE, GREY, VERMILLION, axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NATS = ("cross_entropy", "binary_cross_entropy")


def learning_curve(
    history: History, ax: "Axes | None" = None, *, loss: str | None = None
) -> "Axes":
    """The losses of each epoch, from 1 on, and on a second axis at the right its accuracies.

    loss: the name of the run's, for the axis to say what is shown and in which unit.  A loss that
    falls below a hundredth of its largest has a logarithmic axis.  Raises ArgumentError.
    """
    if not isinstance(history, History) or not len(history):
        raise ArgumentError(f"history is {reprlib.repr(history)}, need the History of a fit, "
                            "with an epoch")  # fmt: skip
    name = "loss" if loss is None else choice("loss", loss, NAMES).replace("_", " ")
    is_given, ax = ax is not None, axes_for(ax, 6.4, 4.0)
    handles = _lines(ax, history, "loss", BLUE)
    ax.set_xlabel("epoch")
    ax.set_ylabel(f"mean {name.removeprefix('mean ')} per row" + " (nats)" * (loss in _NATS))
    _limit_losses(ax, [*history.loss, *history.val_loss])
    _limit_epochs(ax, len(history))
    accuracies = [*history.accuracy, *history.val_accuracy]
    if accuracies:
        right = ax.twinx()
        handles += _lines(right, history, "accuracy", VERMILLION)
        right.set_ylabel("accuracy (fraction of the rows)")
        lowest = min(*accuracies, 0.99)
        margin = 0.05 * (1 - lowest)
        right.set_ylim(lowest - margin, 1 + margin)
    if history.best_epoch is not None:
        handles.append(ax.axvline(history.best_epoch + 1, color=GREY, linestyle=":",
                                  label="weights kept"))  # fmt: skip
    if is_given:  # there may be a neighbour
        ax.legend(handles=handles, loc="center right", fontsize="small")
    else:
        ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False,
                  ncols=2 if len(handles) < 5 else 3)  # fmt: skip
    return ax


def _lines(ax: Any, history: History, name: str, color: str) -> list[Any]:
    """One line for the training rows, one for the validation rows, as far as there are any."""
    lines = []
    kinds = ((name, "training", "-", "o"), (f"val_{name}", "validation", "--", "s"))
    for column, rows, style, marker in kinds:
        values = history[column]
        if values:
            lines += ax.plot(range(1, len(values) + 1), values, style, color=color,
                             label=f"{rows} {name}", markersize=4,
                             marker=marker if len(values) <= 20 else None)  # fmt: skip
    return lines


def _limit_losses(ax: Any, losses: list[float]) -> None:
    values = np.array(losses)
    values = values[np.isfinite(values)]
    if values.size and 0 < 100 * values.min() < values.max():
        ax.set_yscale("log")
    elif values.size and values.min() >= 0:
        top = values.max() or 1.0
        ax.set_ylim(-0.02 * top, 1.05 * top)


def _limit_epochs(ax: Any, epochs: int) -> None:
    from matplotlib.ticker import MaxNLocator

    ticks = MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]).tick_values(1, epochs)
    ax.set_xticks([tick for tick in ticks if 1 <= tick <= epochs])  # there is no epoch 0
    margin = max(0.5, 0.02 * epochs)
    ax.set_xlim(1 - margin, epochs + margin)
