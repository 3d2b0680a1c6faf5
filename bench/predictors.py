"""Predictors: functions from rows (n, d) to softmax outputs (n, k), from NumPy to NumPy.

make(sizes, activation, layers) gives one for a trained network's layers.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import fastnn
from bench.cases import Layers
from bench.results import LIMIT
from fastnn.prediction import planned

Array = np.ndarray[Any, Any]
Predictor = Callable[[Array], Array]


def of_fused(activation: str, layers: Layers) -> Predictor:
    net = _net(activation, layers)
    planned(net, net.output).compile()
    return partial(net.predict, execution="fused")


def of_layers(activation: str, layers: Layers) -> Predictor:
    return partial(_net(activation, layers).predict, execution="layers")


def _net(activation: str, layers: Layers) -> fastnn.MLP:
    params = {f"{name}{k}": x for k, pair in enumerate(layers, start=1)
              for name, x in zip("Wb", pair, strict=True)}  # fmt: skip
    return fastnn.MLP.from_params(params, activation, device="cpu")


def of_numpy(activation: str, layers: Layers) -> Predictor:
    *hidden, (W_last, b_last) = layers

    def sigmoid(Z: Array) -> Array:
        return 1 / (1 + np.exp(-Z))

    def relu(Z: Array) -> Array:
        return np.maximum(Z, 0)

    activate = {"sigmoid": sigmoid, "relu": relu}[activation]

    def predict(X: Array) -> Array:
        for W, b in hidden:
            X = activate(X @ W + b)
        Z = X @ W_last + b_last
        E = np.exp(Z - Z.max(axis=1, keepdims=True))
        A: Array = E / E.sum(axis=1, keepdims=True)
        return A

    return predict


def of_sklearn(activation: str, layers: Layers) -> Predictor:
    from sklearn.neural_network import MLPClassifier

    d, classes = len(layers[0][0]), len(layers[-1][1])
    hidden = tuple(len(b) for _, b in layers[:-1])
    name = {"sigmoid": "logistic"}.get(activation, activation)
    model = MLPClassifier(hidden, activation=name, max_iter=1, solver="sgd", batch_size=1)
    model.partial_fit(np.zeros((1, d), np.float32), [0], classes=range(classes))
    model.coefs_ = [W for W, _ in layers]
    model.intercepts_ = [b for _, b in layers]
    predict: Predictor = model.predict_proba
    return predict


def of_pytorch(activation: str, layers: Layers) -> Predictor:
    return _of_pytorch(activation, layers, lambda forward: forward)


def of_pytorch_compiled(activation: str, layers: Layers) -> Predictor:
    """For each number of rows anew."""
    from bench.contenders.pytorch import Compiled, compiled

    return _of_pytorch(
        activation, layers, lambda forward: compiled(forward, dynamic=False, **Compiled.how)
    )


def _of_pytorch(activation: str, layers: Layers, compiled: Callable[[Any], Any]) -> Predictor:
    """By plain functions: nn.Module's cost a third of one row."""
    import torch

    activate = {"sigmoid": torch.sigmoid, "relu": torch.relu}[activation]
    *hidden, (W_last, b_last) = [tuple(map(torch.from_numpy, pair)) for pair in layers]

    def forward(X: Any) -> Any:
        for W, b in hidden:
            X = activate(torch.addmm(b, X, W))
        return torch.softmax(torch.addmm(b_last, X, W_last), dim=1)

    model = compiled(forward)

    def predict(X: Array) -> Array:
        with torch.inference_mode():
            A: Array = model(torch.from_numpy(X)).numpy()
        return A

    return predict


def of_jax(activation: str, layers: Layers) -> Predictor:
    import jax

    activate = {"sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu}[activation]

    def forward(X: Any, *parameters: Any) -> Any:
        *hidden, (W_last, b_last) = parameters
        for W, b in hidden:
            X = activate(X @ W + b)
        return jax.nn.softmax(X @ W_last + b_last)

    model, there = jax.jit(forward), jax.device_put(layers, jax.devices("cpu")[0])
    return lambda X: np.asarray(model(X, *there))


def of_products(_: str, layers: Layers) -> Predictor:
    """The matrix products and nothing else, into arrays that are there."""
    rooms: dict[int, list[Array]] = {}

    def products(X: Array) -> Array:
        if len(X) not in rooms:
            rooms[len(X)] = [np.empty((len(X), len(b)), np.float32) for _, b in layers]
        for (W, _), out in zip(layers, rooms[len(X)], strict=True):
            X = np.dot(X, W, out)
        return X

    return products


PREDICTORS = {
    "fastnn fused": ("fastnn", of_fused),
    "fastnn layers": ("fastnn", of_layers),
    "NumPy loop": ("numpy", of_numpy),
    "scikit-learn": ("sklearn", of_sklearn),
    "PyTorch eager": ("torch", of_pytorch),
    "PyTorch compiled": ("torch", of_pytorch_compiled),
    "JAX compiled": ("jax", of_jax),
    LIMIT: ("numpy", of_products),
}
