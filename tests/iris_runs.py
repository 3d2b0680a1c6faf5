"""Runs on iris, what they come to, and callbacks to look on at them."""

from collections.abc import Callable
from typing import Any

import fastnn

X, y = fastnn.datasets.load_iris()
SCALING = fastnn.datasets.standard_scaling(X)


def iris_net(**changes: Any) -> fastnn.MLP:
    return fastnn.MLP([4, 5, 3], **{"seed": 0, "input_scaling": SCALING, **changes})


def fit(net: fastnn.MLP, *callbacks: Any, **changes: Any) -> fastnn.History:
    """Three batches an epoch, by layers, so that it is the same whatever looks on."""
    settings = {"epochs": 2, "batch_size": 50, "execution": "layers", **changes}
    return net.fit(X, y, callbacks=callbacks, **settings)


def state(net: fastnn.MLP) -> tuple[bytes, int, int]:
    return net.backend.asnumpy(net.params).tobytes(), net.epochs, net.steps


def after(epochs: int, **changes: Any) -> tuple[bytes, int, int]:
    """The state that so many epochs without callbacks lead to."""
    net = iris_net()
    if epochs:
        fit(net, epochs=epochs, **changes)
    return state(net)


def timeless(history: fastnn.History) -> dict[str, Any]:
    columns = {name: x for name, x in history.columns.items() if x and name != "seconds"}
    return columns | {"best_epoch": history.best_epoch, "stopped": history.stopped}


def calling(function: Callable[..., Any], *hooks: str) -> Any:
    """A callback that calls function(itself, hook, arguments) in these hooks only."""

    def hooked(hook: str) -> Any:
        return lambda callback, *arguments: function(callback, hook, arguments)

    return type("Calling", (fastnn.Callback,), {hook: hooked(hook) for hook in hooks})()


def adding(name: str, *values: Any) -> Any:
    """A callback that adds the next value to an epoch's logs, but none for None."""
    left = iter(values)

    def add(_: Any, hook: str, arguments: Any) -> None:
        value = next(left)
        if value is not None:
            arguments[1][name] = value

    return calling(add, "on_epoch_end")
