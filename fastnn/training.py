"""fit: what is asked for, checked, becomes a run."""

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.data import divided
from fastnn.errors import ArgumentError
from fastnn.history import History
from fastnn.losses import Loss
from fastnn.metrics import Metric
from fastnn.optimizers import SGD, Optimizer
from fastnn.progress import Progress
from fastnn.run import Run
from fastnn.settings import Settings
from fastnn.streams import checked_seed

if TYPE_CHECKING:
    from fastnn.network import MLP


def fit(
    net: "MLP", X: Any, Y: Any, settings: Settings, *, loss: str | None,
    optimizer: Optimizer | None, sample_weight: Any, class_weight: Any, validation: Any,
    metrics: dict[str, Metric], seed: int | None,
) -> History:  # fmt: skip
    """Train net; see MLP.fit."""
    optimizer = SGD() if optimizer is None else optimizer
    if not isinstance(optimizer, Optimizer):
        raise ArgumentError(f"optimizer is {optimizer!r}, need an instance: fastnn.SGD(...) or "
                            "another")  # fmt: skip
    seed = net.seed if seed is None else checked_seed(seed)
    objective = Loss(loss, net.output, net.sizes[-1], net.backend)
    if "step" in net.activations or (net.output == "step" and objective.name != "perceptron"):
        raise ArgumentError(
            "activation 'step' has no slope to learn by; it is for inference, and "
            "as output for loss 'perceptron'; train with 'sigmoid' instead"
        )
    data, held_out = divided(
        net, X, Y, objective, validation, seed,
        sample_weight=sample_weight, class_weight=class_weight,
    )  # fmt: skip
    run = Run(net, objective, optimizer, settings, seed, data, held_out, metrics)
    bar = Progress(settings.progress, settings.epochs * len(data), settings.epochs)
    with bar, np.errstate(all="ignore"):  # divergence is reported once, by name
        return run.epochs(bar)
