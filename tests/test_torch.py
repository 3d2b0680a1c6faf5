"""400 steps on MNIST beside PyTorch: the same weights, batches and hyper-parameters.

The largest difference of a parameter over the largest parameter is rounding alone: plain
NumPy differs from PyTorch by 9e-7 in float32 and 2e-15 in float64.
"""

from typing import Any

import numpy as np
import pytest

import fastnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

pytestmark = pytest.mark.usefixtures("device")

STEPS, BATCH = 400, 32
BOUND = {"float32": 5e-6, "float64": 1e-12}
ADAPTIVE_BOUND = {"float32": 1e-4, "float64": 1e-12}  # a small gradient's rounding is divided by it
OPTIMIZERS: list[tuple[Any, Any]] = [
    (fastnn.SGD(0.1), lambda p: torch.optim.SGD(p, 0.1)),
    (fastnn.SGD(0.1, weight_decay=1e-3), lambda p: torch.optim.SGD(p, 0.1, weight_decay=1e-3)),
    (fastnn.SGD(0.01, 0.9), lambda p: torch.optim.SGD(p, 0.01, 0.9)),
    (fastnn.SGD(0.01, 0.9, True), lambda p: torch.optim.SGD(p, 0.01, 0.9, nesterov=True)),
    (
        fastnn.SGD(0.01, 0.9, True, 1e-3),
        lambda p: torch.optim.SGD(p, 0.01, 0.9, nesterov=True, weight_decay=1e-3),
    ),
    (fastnn.Adam(), lambda p: torch.optim.Adam(p)),
    (
        fastnn.Adam(0.003, 0.8, 0.99, 1e-6, 1e-3),
        lambda p: torch.optim.Adam(p, 0.003, (0.8, 0.99), 1e-6, 1e-3),
    ),
    (fastnn.AdamW(), lambda p: torch.optim.AdamW(p)),
    (
        fastnn.AdamW(0.003, weight_decay=0.1),
        lambda p: torch.optim.AdamW(p, 0.003, weight_decay=0.1),
    ),
    (fastnn.RMSprop(0.001), lambda p: torch.optim.RMSprop(p, 0.001)),
    (
        fastnn.RMSprop(0.001, 0.9, 1e-6, 1e-3),
        lambda p: torch.optim.RMSprop(p, 0.001, 0.9, 1e-6, 1e-3),
    ),
    (fastnn.AdaGrad(), lambda p: torch.optim.Adagrad(p)),
    (
        fastnn.AdaGrad(0.02, weight_decay=1e-3),
        lambda p: torch.optim.Adagrad(p, 0.02, weight_decay=1e-3),
    ),
]


def torch_net(net: fastnn.MLP, activation: Any) -> Any:
    layers: list[Any] = []
    tensors = iter(net.get_params_dict().values())
    for W, b in zip(tensors, tensors, strict=True):
        linear = torch.nn.Linear(*W.shape, dtype=getattr(torch, str(net.dtype)))
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(W.T.copy()))
            linear.bias.copy_(torch.from_numpy(b))
        layers += [linear, activation()]
    return torch.nn.Sequential(*layers[:-1])


def difference(net: fastnn.MLP, twin: Any) -> float:
    theirs = [p.detach().numpy().T for p in twin.parameters()]
    ours = net.get_params_dict().values()
    worst = max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))
    return worst / max(float(np.abs(t).max()) for t in theirs)


# Not on the stand-in, which rounds as the CPU does and takes as long.
@pytest.mark.parametrize(
    "device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)], indirect=True
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("ours", "theirs"), OPTIMIZERS, ids=lambda v: str(v)[:60])
def test_optimizers_follow_pytorch_for_400_steps(
    ours: Any, theirs: Any, dtype: str, mnist: Any
) -> None:
    (X, y), _ = mnist
    n = STEPS * BATCH
    X, y = X[:n].astype(dtype), y[:n].astype(np.int64)
    net = fastnn.MLP([784, 50, 100, 10], "sigmoid", seed=0, dtype=dtype)
    twin = torch_net(net, torch.nn.Sigmoid)
    optimizer = theirs(twin.parameters())
    loss_of = torch.nn.CrossEntropyLoss()

    net.fit(X, y, optimizer=ours, batch_size=BATCH, shuffle=False)
    for i in range(0, n, BATCH):
        optimizer.zero_grad()
        loss = loss_of(twin(torch.from_numpy(X[i : i + BATCH])), torch.from_numpy(y[i : i + BATCH]))
        loss.backward()
        optimizer.step()

    assert net.steps == STEPS
    assert difference(net, twin) <= (BOUND if type(ours) is fastnn.SGD else ADAPTIVE_BOUND)[dtype]


@pytest.mark.parametrize("how", ["clip_value", "clip_norm"])
def test_clipping_follows_pytorch(how: str) -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(0, 1, (320, 20)), rng.uniform(0, 1, (320, 10))
    net = fastnn.MLP([20, 15, 10], "tanh", "identity", seed=0, dtype="float64")
    twin = torch_net(net, torch.nn.Tanh)
    optimizer, limit = torch.optim.SGD(twin.parameters(), 0.1, 0.9), 0.01
    kind: dict[str, Any] = {how: limit}
    clip = {"clip_value": torch.nn.utils.clip_grad_value_,
            "clip_norm": torch.nn.utils.clip_grad_norm_}[how]  # fmt: skip

    net.fit(X, Y, optimizer=fastnn.SGD(0.1, 0.9, **kind), batch_size=40, shuffle=False)
    for i in range(0, len(X), 40):
        optimizer.zero_grad()
        torch.nn.MSELoss()(twin(torch.from_numpy(X[i : i + 40])),
                           torch.from_numpy(Y[i : i + 40])).backward()  # fmt: skip
        clip(twin.parameters(), limit)
        optimizer.step()

    assert difference(net, twin) <= 1e-12


LOSSES = [
    ("sigmoid", "binary_cross_entropy", lambda z, y: 10 * torch.nn.BCEWithLogitsLoss()(z, y)),
    ("sigmoid", "mean_squared_error", lambda z, y: torch.nn.MSELoss()(torch.sigmoid(z), y)),
    ("identity", "huber", lambda z, y: torch.nn.HuberLoss()(z, y)),
    ("tanh", "squared_error", lambda z, y: ((torch.tanh(z) - y) ** 2).sum(1).mean() / 2),
]
ACTIVATIONS = [
    ("relu", torch.nn.ReLU), ("leaky_relu", torch.nn.LeakyReLU), ("elu", torch.nn.ELU),
    ("softplus", torch.nn.Softplus), ("gelu", lambda: torch.nn.GELU("tanh")),
    ("silu", torch.nn.SiLU), ("tanh", torch.nn.Tanh),
]  # fmt: skip


@pytest.mark.parametrize(("output", "loss", "theirs"), LOSSES, ids=lambda v: str(v)[:20])
def test_other_losses_follow_pytorch(output: str, loss: str, theirs: Any) -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(0, 1, (320, 20)), rng.uniform(0, 1, (320, 10))
    net = fastnn.MLP([20, 15, 10], "tanh", output, seed=0, dtype="float64")
    twin = torch_net(net, torch.nn.Tanh)

    follow(net, twin, X, Y, loss, theirs)


@pytest.mark.parametrize(("activation", "module"), ACTIVATIONS, ids=lambda v: str(v)[:20])
def test_other_activations_follow_pytorch(activation: str, module: Any) -> None:
    rng = np.random.default_rng(1)
    X, Y = rng.normal(0, 1, (320, 20)), rng.uniform(0, 1, (320, 10))
    net = fastnn.MLP([20, 15, 15, 10], activation, "identity", seed=0, dtype="float64")
    twin = torch_net(net, module)

    follow(net, twin, X, Y, "mean_squared_error", torch.nn.MSELoss())


def follow(net: fastnn.MLP, twin: Any, X: Any, Y: Any, loss: str, theirs: Any) -> None:
    """Ten epochs of 33 rows a batch, the last one smaller, with momentum."""
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.5)
    tx, ty = torch.from_numpy(X), torch.from_numpy(Y)

    net.fit(X, Y, loss=loss, optimizer=fastnn.SGD(0.1, 0.5), epochs=10, batch_size=33,
            shuffle=False)  # fmt: skip
    for _ in range(10):
        for i in range(0, len(X), 33):
            optimizer.zero_grad()
            theirs(twin(tx[i : i + 33]), ty[i : i + 33]).backward()
            optimizer.step()

    assert difference(net, twin) <= 1e-12


def test_a_beta_may_be_a_schedule_as_in_pytorch() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(0, 1, (320, 20)), rng.uniform(0, 1, (320, 10))
    net = fastnn.MLP([20, 15, 10], "tanh", "identity", seed=0, dtype="float64")
    twin = torch_net(net, torch.nn.Tanh)
    optimizer = torch.optim.Adam(twin.parameters(), 0.01)
    beta1, beta2 = (
        fastnn.schedules.polynomial(0.95, 60, 0.85),
        fastnn.schedules.cosine(0.9, 80, 0.999),
    )

    net.fit(X, Y, epochs=10, batch_size=32, shuffle=False,
            optimizer=fastnn.Adam(0.01, beta1, beta2))  # fmt: skip
    for step in range(100):
        i = step % 10 * 32
        optimizer.param_groups[0]["betas"] = beta1(step), beta2(step)
        optimizer.zero_grad()
        loss = torch.nn.MSELoss()
        loss(twin(torch.from_numpy(X[i : i + 32])), torch.from_numpy(Y[i : i + 32])).backward()
        optimizer.step()

    assert difference(net, twin) <= 1e-12
