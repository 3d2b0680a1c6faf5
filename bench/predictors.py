"""Predictors: functions from rows (n, d) to softmax outputs (n, k), from NumPy to NumPy.

make(activation, layers, device) gives one for a trained network's layers; what is given there is
on the device before the first call.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import fastnn
from bench.cases import Layers
from bench.contenders.textbook import ACTIVATIONS
from bench.results import LIMIT
from fastnn.prediction import planned

Array = np.ndarray[Any, Any]
Predictor = Callable[[Array], Array]


def of_fused(activation: str, layers: Layers, device: str) -> Predictor:
    net = _net(activation, layers, device)
    if device == "cpu":
        planned(net, net.output).compile()
    return partial(net.predict, execution="fused")


def of_layers(activation: str, layers: Layers, device: str) -> Predictor:
    return partial(_net(activation, layers, device).predict, execution="layers")


def _net(activation: str, layers: Layers, device: str) -> fastnn.MLP:
    params = {f"{name}{k}": x for k, pair in enumerate(layers, start=1)
              for name, x in zip("Wb", pair, strict=True)}  # fmt: skip
    return fastnn.MLP.from_params(params, activation, device=device)


def of_numpy(activation: str, layers: Layers, _: str) -> Predictor:
    return _loop(np, activation, layers)


def of_cupy(activation: str, layers: Layers, _: str) -> Predictor:
    import cupy

    predict = _loop(cupy, activation, [(cupy.asarray(W), cupy.asarray(b)) for W, b in layers])
    return lambda X: cupy.asnumpy(predict(cupy.asarray(X)))  # type: ignore[no-any-return, unused-ignore]


def _loop(xp: Any, activation: str, layers: Layers) -> Predictor:
    *hidden, (W_last, b_last) = layers
    activate, _ = ACTIVATIONS[activation]

    def predict(X: Array) -> Array:
        for W, b in hidden:
            X = activate(xp, X @ W + b)
        Z = X @ W_last + b_last
        E = xp.exp(Z - Z.max(axis=1, keepdims=True))
        A: Array = E / E.sum(axis=1, keepdims=True)
        return A

    return predict


def of_sklearn(activation: str, layers: Layers, _: str) -> Predictor:
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


def of_pytorch(activation: str, layers: Layers, device: str) -> Predictor:
    def made(forward: Any) -> Any:
        return forward if device == "cpu" else lambda X: forward(X.to(device))

    return _of_pytorch(activation, layers, device, made)


def of_pytorch_compiled(activation: str, layers: Layers, device: str) -> Predictor:
    """For each number of rows anew."""
    from bench.contenders import pytorch

    def made(forward: Any) -> Any:
        kind = pytorch.Compiled if device == "cpu" else pytorch.CompiledOnCuda
        compiled = pytorch.compiled(forward, dynamic=False, **kind.how)
        return compiled if device == "cpu" else lambda X: compiled(X.to(device))

    return _of_pytorch(activation, layers, device, made)


def of_cuda_graph(activation: str, layers: Layers, device: str) -> Predictor:
    """Captured once for each number of rows, which are copied to where the graph reads them."""
    from bench.contenders.pytorch import captured

    def made(forward: Any) -> Any:
        graphs: dict[int, tuple[Any, Any, Any]] = {}

        def replay(X: Any) -> Any:
            if len(X) not in graphs:
                slot = X.to(device)
                graphs[len(X)] = slot, *captured(lambda: forward(slot))
            slot, graph, out = graphs[len(X)]
            slot.copy_(X)
            graph.replay()
            return out

        return replay

    return _of_pytorch(activation, layers, device, made)


def _of_pytorch(
    activation: str, layers: Layers, device: str, made: Callable[[Any], Any]
) -> Predictor:
    """By plain functions: nn.Module's cost a third of one row."""
    import torch

    torch.set_float32_matmul_precision("highest")
    activate = {"sigmoid": torch.sigmoid, "relu": torch.relu}[activation]
    there = [torch.from_numpy(x).to(device) for pair in layers for x in pair]
    for x in there:
        torch._dynamo.mark_static_address(x)
    *hidden, (W_last, b_last) = zip(there[::2], there[1::2], strict=True)

    def forward(X: Any) -> Any:
        for W, b in hidden:
            X = activate(torch.addmm(b, X, W))
        return torch.softmax(torch.addmm(b_last, X, W_last), dim=1)

    model = made(forward)

    def predict(X: Array) -> Any:
        with torch.inference_mode():
            A = model(torch.from_numpy(X))
            return A.numpy() if device == "cpu" else A.cpu().numpy()

    return predict


def of_jax(activation: str, layers: Layers, device: str) -> Predictor:
    import jax

    activate = {"sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu}[activation]

    def product(X: Any, W: Any) -> Any:
        return jax.numpy.dot(X, W, precision="highest")  # on a GPU the default is TF32

    def forward(X: Any, *parameters: Any) -> Any:
        *hidden, (W_last, b_last) = parameters
        for W, b in hidden:
            X = activate(product(X, W) + b)
        return jax.nn.softmax(product(X, W_last) + b_last)

    model, there = jax.jit(forward), jax.device_put(layers, jax.devices(device)[0])
    return lambda X: np.asarray(model(X, *there))


def of_products(_: str, layers: Layers, __: str) -> Predictor:
    """The matrix products and nothing else, into arrays that are there."""
    rooms: dict[int, list[Array]] = {}

    def products(X: Array) -> Array:
        if len(X) not in rooms:
            rooms[len(X)] = [np.empty((len(X), len(b)), np.float32) for _, b in layers]
        for (W, _), out in zip(layers, rooms[len(X)], strict=True):
            X = np.dot(X, W, out)
        return X

    return products


# By device and contender: who of bench.contenders can run where it can, and what makes it.
PREDICTORS: dict[str, dict[str, tuple[str, Callable[[str, Layers, str], Predictor]]]] = {
    "cpu": {
        "fastnn fused": ("ours:FastnnFused", of_fused),
        "fastnn layers": ("ours:FastnnLayers", of_layers),
        "NumPy loop": ("textbook:Textbook", of_numpy),
        "scikit-learn": ("sklearn:ScikitLearn", of_sklearn),
        "PyTorch eager": ("pytorch:Eager", of_pytorch),
        "PyTorch compiled": ("pytorch:Compiled", of_pytorch_compiled),
        "JAX compiled": ("jax:Scanned", of_jax),
        LIMIT: ("limit:Products", of_products),
    },
    "cuda": {
        "fastnn fused": ("ours:FastnnFusedOnCuda", of_fused),
        "fastnn layers": ("ours:FastnnLayersOnCuda", of_layers),
        "CuPy loop": ("cupy:Loop", of_cupy),
        "PyTorch eager": ("pytorch:EagerOnCuda", of_pytorch),
        "PyTorch compiled": ("pytorch:CompiledOnCuda", of_pytorch_compiled),
        "PyTorch CUDA graph": ("pytorch:CudaGraph", of_cuda_graph),
        "JAX compiled": ("jax:ScannedOnCuda", of_jax),
    },
}
