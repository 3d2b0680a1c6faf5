"""fastnn trains and runs dense neural networks: arrays in, trained network out.

>>> import fastnn
>>> X, y = fastnn.datasets.load_iris()
>>> net = fastnn.MLP([4, 5, 3], seed=0, input_scaling=fastnn.datasets.standard_scaling(X))
>>> net.fit(X, y, epochs=200)  # doctest: +SKIP

Names resolve at first use: importing fastnn loads neither Numba nor CuPy nor matplotlib.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastnn import (
        backend,
        callbacks,
        checkpoint,
        classic,
        datasets,
        errors,
        functional,
        gradients,
        history,
        initializers,
        layers,
        losses,
        metrics,
        network,
        optimizers,
        plots,
        schedules,
        training,
        workloads,
    )
    from fastnn.backend import Backend, devices, get_backend, set_device, use_device
    from fastnn.callbacks import Callback, CSVLogger, LearningRateLogger, TerminateOnNaN
    from fastnn.gradients import GradientCheck, gradient_check
    from fastnn.history import History
    from fastnn.loading import load
    from fastnn.monitors import Checkpoint, EarlyStopping
    from fastnn.network import MLP
    from fastnn.optimizers import SGD, AdaGrad, Adam, AdamW, RMSprop

__version__ = "0.1.0"

_HOME = {
    "Backend": "backend", "devices": "backend", "get_backend": "backend", "set_device": "backend",
    "use_device": "backend", "Callback": "callbacks", "Checkpoint": "monitors",
    "CSVLogger": "callbacks", "EarlyStopping": "monitors", "LearningRateLogger": "callbacks",
    "TerminateOnNaN": "callbacks", "GradientCheck": "gradients", "gradient_check": "gradients",
    "History": "history", "MLP": "network", "load": "loading", "SGD": "optimizers",
    "Adam": "optimizers", "AdamW": "optimizers", "RMSprop": "optimizers", "AdaGrad": "optimizers",
}  # fmt: skip

_MODULES = [
    "backend", "callbacks", "checkpoint", "classic", "datasets", "errors", "functional",
    "gradients", "history", "initializers", "layers", "losses", "metrics", "network",
    "optimizers", "plots", "schedules", "training", "workloads",
]  # fmt: skip

__all__ = [
    "MLP", "SGD", "AdaGrad", "Adam", "AdamW", "Backend", "CSVLogger", "Callback", "Checkpoint",
    "EarlyStopping", "GradientCheck", "History", "LearningRateLogger", "RMSprop", "TerminateOnNaN",
    "backend", "callbacks", "checkpoint", "classic", "datasets", "devices", "errors", "functional",
    "get_backend", "gradient_check", "gradients", "history", "initializers", "layers", "load",
    "losses", "metrics", "network", "optimizers", "plots", "schedules", "set_device", "training",
    "use_device", "workloads",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f"fastnn.{_HOME[name]}"), name)
    elif name in _MODULES:
        value = import_module(f"fastnn.{name}")
    else:
        raise AttributeError(f"module 'fastnn' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
