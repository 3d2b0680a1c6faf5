"""Predictors: functions from rows (n, d) to softmax outputs (n, k), from NumPy to NumPy.

make(sizes, activation, layers) gives one for a trained network's layers.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import fastnn
from bench.cases import Layers
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
    return fastnn.MLP.from_params(params, activation)


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
    return _of_pytorch(activation, layers, lambda model: model)


def of_pytorch_compiled(activation: str, layers: Layers) -> Predictor:
    from bench.contenders.pytorch import compiled

    return _of_pytorch(activation, layers, lambda model: compiled(lambda X: model(X)))


def _of_pytorch(activation: str, layers: Layers, compiled: Callable[[Any], Any]) -> Predictor:
    import torch

    kind = {"sigmoid": torch.nn.Sigmoid, "relu": torch.nn.ReLU}[activation]
    parts: list[Any] = []
    for W, b in layers:
        linear = torch.nn.Linear(*W.shape)
        linear.weight.data, linear.bias.data = torch.from_numpy(W.T.copy()), torch.from_numpy(b)
        parts += [linear, kind()]
    model = compiled(torch.nn.Sequential(*parts[:-1], torch.nn.Softmax(dim=1)))

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

    model, there = jax.jit(forward), [tuple(map(jax.device_put, pair)) for pair in layers]
    return lambda X: np.asarray(model(X, *there))


PREDICTORS = {
    "fastnn fused": ("fastnn", of_fused),
    "fastnn layers": ("fastnn", of_layers),
    "NumPy loop": ("numpy", of_numpy),
    "scikit-learn": ("sklearn", of_sklearn),
    "PyTorch eager": ("torch", of_pytorch),
    "PyTorch compiled": ("torch", of_pytorch_compiled),
    "JAX scanned": ("jax", of_jax),
}
