"""The family of networks and settings that is trained fused, on each device; test files use it."""

from typing import Any

import numpy as np

import fastnn
from fastnn import schedules

SIZES = (17, 21, 19, 3)  # no multiple of a vector's lanes, 19 > 16
ELEMENTWISE = ["identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "gelu",
               "silu"]  # fmt: skip
# 18 steps of a few hundred sums of about 20 terms each; errors are of the largest parameter.
TOLERANCE = {"float64": 1e-13, "float32": 5e-6}
ADAPTIVE = 1e-4  # of float32, where a step divides by the root of a gradient near zero

DUAL: dict[str, Any] = {"sizes": (17, 37, 3), "batch_size": 1}
ONE_BY_ONE: dict[str, dict[str, Any]] = {
    "sparse": {"sparse": True},
    "dense": {},
    "no bias": {"bias": False},
    "gelu": {"activation": "gelu", "sparse": True},
    "256 wide": {"sizes": (17, 256, 3), "sparse": True},
    "weighted": {"weights": True, "optimizer": fastnn.SGD(schedules.exponential(0.1, 0.9))},
    "rows": {"loss": "squared_error", "sparse": True},
    "one output": {"sizes": (17, 20, 1), "output": "sigmoid", "loss": "binary_cross_entropy"},
    "one class": {"sizes": (17, 20, 1)},
}
LARGE: dict[str, Any] = {"batch_size": 600, "n": 863}  # blocks of 256 rows, and parts of them
LARGE_ONES: dict[str, dict[str, Any]] = {
    "blocks": {},
    "blocks, sparse": {"sparse": True},
    "blocks, dropout": {"dropout": [0.3, 0.6], "sizes": (17, 11, 13, 3)},
    "blocks, weighted, Adam": {
        "weights": True,
        "optimizer": fastnn.Adam(0.01),
        "activation": "silu",
    },
    "one block": {"batch_size": 256},
    "one block and a row": {"batch_size": 257},
}
COMMON: dict[str, dict[str, Any]] = {  # to networks of any width
    **{f"hidden {name}": {"activation": name} for name in ELEMENTWISE},
    **{f"{output}, {loss}": {"output": output, "loss": loss}
       for output in ("softmax", *ELEMENTWISE)
       for loss in ("squared_error", "mean_squared_error", "huber")},
    "rows for cross_entropy": {"loss": "cross_entropy", "rows": True},
    "label_smoothing": {"label_smoothing": 0.1},
    "binary_cross_entropy": {"output": "sigmoid", "loss": "binary_cross_entropy"},
    "momentum": {"optimizer": fastnn.SGD(0.05, momentum=0.9)},
    "Nesterov": {"optimizer": fastnn.SGD(0.05, momentum=0.9, nesterov=True)},
    "weight decay": {"optimizer": fastnn.SGD(0.05, weight_decay=0.1)},
    "a schedule": {"optimizer": fastnn.SGD(schedules.exponential(0.1, 0.9))},
    "Adam": {"optimizer": fastnn.Adam(0.01)},
    "AdamW by a schedule": {"optimizer": fastnn.AdamW(schedules.cosine(0.01, 20))},
    "RMSprop": {"optimizer": fastnn.RMSprop(0.01)},
    "AdaGrad": {"optimizer": fastnn.AdaGrad(0.01)},
    "weights of samples": {"weights": True},
    "summed gradients": {"reduction": "sum", "optimizer": fastnn.SGD(0.005)},
    "no bias": {"bias": False},
    "no bias, Adam": {"bias": False, "optimizer": fastnn.Adam(0.01)},
    "scaled input": {"input_scaling": (0.1, 2.0)},
}  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    **COMMON,
    **{f"batches of {size}": {"batch_size": size} for size in (1, 2, 52, 53, None)},
    **{f"one by one, {name}": DUAL | case for name, case in ONE_BY_ONE.items()},
    **{f"batches of {name}": LARGE | case for name, case in LARGE_ONES.items()},
    "batches that grow": {"batch_size": schedules.step(5, 1, factor=2.0)},
    "Adam on sparse rows": {"optimizer": fastnn.Adam(0.01), "sparse": True},
    "sparse rows": {"sparse": True},
    "dropout": {"dropout": 0.3},
    "dropout before a slope from Z": {"dropout": [0.3, 0.6], "activation": "gelu"},
    "dropout with Adam": {"dropout": 0.3, "optimizer": fastnn.Adam(0.01), "sparse": True},
    "no shuffling": {"shuffle": False},
    "one layer": {"sizes": (17, 3)},
    "one layer, Adam, sparse": {"sizes": (17, 3), "optimizer": fastnn.Adam(0.01), "sparse": True},
    "one input": {"sizes": (1, 5, 3)},
    "one output": {"sizes": (17, 21, 1), "output": "sigmoid", "loss": "binary_cross_entropy"},
    "rows of 128 numbers": {"sizes": (17, 128, 256, 33), "optimizer": fastnn.Adam(0.001)},
    "four layers": {"sizes": (17, 8, 9, 7, 3)},
}  # fmt: skip


def trained(
    execution: str, *, sizes: tuple[int, ...] = SIZES, activation: str = "tanh",
    output: str = "softmax", dtype: str = "float64", loss: str | None = None, rows: bool = False,
    sparse: bool = False, weights: bool = False, bias: bool = True, dropout: Any = 0.0,
    input_scaling: Any = None, n: int = 53, **named: Any,
) -> tuple[Any, fastnn.History]:  # fmt: skip
    """A network after a few epochs, and what was seen of them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, sizes[0])) * (rng.random((n, sizes[0])) < (0.2 if sparse else 2))
    k = sizes[-1]
    Y = rng.random((n, k))
    if loss == "cross_entropy":
        Y /= Y.sum(axis=1, keepdims=True)
    is_of_labels = output == "softmax" and not rows and loss in (None, "cross_entropy")
    net = fastnn.MLP(sizes, activation, output, bias, dropout=dropout, dtype=dtype, seed=1,
                     input_scaling=input_scaling)  # fmt: skip
    settings: dict[str, Any] = {"batch_size": 10, "epochs": 3, "optimizer": fastnn.SGD(0.05)}
    history = net.fit(
        X, rng.integers(0, k, n) if is_of_labels else Y, loss=loss, execution=execution,
        sample_weight=rng.random(n) if weights else None, **settings | named,
    )  # fmt: skip
    return net, history


def error(net: fastnn.MLP, other: fastnn.MLP) -> float:
    """The largest difference of two networks' parameters, over the largest parameter."""
    p, expected = (each.backend.asnumpy(each.params) for each in (net, other))
    return float(np.abs(p - expected).max() / np.abs(expected).max())


def check_alike(
    case: str, dtype: str, net: fastnn.MLP, history: fastnn.History, expected: fastnn.MLP,
    seen: fastnn.History,
) -> None:  # fmt: skip
    """What a case of the family came to is what the layers came to, up to rounding."""
    optimizer = CASES[case].get("optimizer", fastnn.SGD())
    is_wild = dtype == "float32" and not isinstance(optimizer, fastnn.SGD)
    tolerance = ADAPTIVE if is_wild else TOLERANCE[dtype]
    assert error(net, expected) < tolerance
    np.testing.assert_allclose(history.loss, seen.loss, rtol=10 * tolerance)
    np.testing.assert_allclose(history.accuracy, seen.accuracy, atol=1 / 53)  # one row of them
    assert (net.epochs, net.steps) == (expected.epochs, expected.steps)
