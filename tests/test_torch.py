"""400 steps on MNIST beside PyTorch: the same weights, batches and hyper-parameters.

The largest difference of a parameter over the largest parameter is rounding alone: plain
NumPy differs from PyTorch by 9e-7 in float32 and 2e-15 in float64.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn_kernels import reference

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


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """PyTorch's threads and those of NumPy's BLAS would wait for each other, 8 times as long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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
@pytest.mark.parametrize(("ours", "theirs"), OPTIMIZERS)
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


class Mask:
    """A forward hook: dropout by the bits that fastnn names for (seed, step, layer)."""

    def __init__(self, rate: float, seed: int, layer: int) -> None:
        self.rate, self.seed, self.step, self.layer = rate, seed, 0, layer

    def __call__(self, module: Any, inputs: Any, A: Any) -> Any:
        bits = np.empty(A.numel(), np.uint32)
        reference.philox_bits(self.seed, self.step, self.layer, bits)
        self.step += 1
        kept = torch.from_numpy(bits >= int(self.rate * 2**32)).reshape(A.shape)
        return torch.where(kept, A / (1 - self.rate), 0)


RATE = fastnn.schedules.cosine(0.003, 500, 1e-4)  # its formula is in test_schedules.py


@dataclass(frozen=True)
class Regularized:
    """A run of 400 steps; rows are cut into batches of so many in each epoch."""

    dropout: Any = 0.0
    l1: float = 0.0
    l2: float = 0.0
    ema: float = 0.0  # then the average is what is trained
    label_smoothing: float = 0.0
    is_adaptive: bool = False
    rows: int = STEPS * BATCH
    batches: tuple[int, ...] = (BATCH,)

    @property
    def ours(self) -> Any:
        if self.is_adaptive:
            return fastnn.Adam(RATE, epsilon=1e-3, ema=self.ema or None)
        return fastnn.SGD(0.1, ema=self.ema or None)

    def theirs(self, parameters: Any) -> tuple[Any, Any]:
        """An optimizer and its schedule, which multiplies its rate at each step."""
        if self.is_adaptive:
            optimizer = torch.optim.Adam(parameters, 1.0, eps=1e-3)
            return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, RATE)
        optimizer = torch.optim.SGD(parameters, 0.1)
        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 1.0)

    def penalty(self, twin: Any) -> Any:
        """The l1 and l2 terms, written out."""
        weights = [p for p in twin.parameters() if p.ndim == 2]
        return sum(self.l1 * W.abs().sum() + self.l2 / 2 * (W * W).sum() for W in weights)


# A weight that l1 drives to zero crosses it again and again; where rounding decides on which
# side, the two part by 2 learning_rate l1 = 2e-6, with Adam by 1 / epsilon of that = 6e-6.
REGULARIZED = {
    "dropout": Regularized(dropout=0.3),
    "dropout of a layer": Regularized(dropout=[0.0, 0.5]),
    "l1": Regularized(l1=1e-5),
    "l2": Regularized(l2=1e-3),
    "ema": Regularized(ema=0.99),
    "label smoothing": Regularized(label_smoothing=0.1),
    "all, with Adam": Regularized(
        [0.2, 0.4], 1e-6, 1e-4, 0.97, 0.1, is_adaptive=True, rows=9600, batches=(96, 32)
    ),
}


# Not on the stand-in, which rounds as the CPU does and takes as long.
@pytest.mark.parametrize(
    "device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)], indirect=True
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", REGULARIZED)
def test_regularized_runs_follow_pytorch_for_400_steps(name: str, dtype: str, mnist: Any) -> None:
    (X, y), _ = mnist
    run = REGULARIZED[name]
    X, y = inner_pixels(X[: run.rows]).astype(dtype), y[: run.rows].astype(np.int64)
    net = fastnn.MLP([100, 50, 100, 10], "tanh", dropout=run.dropout, seed=7, dtype=dtype)
    twin = torch_net(net, torch.nn.Tanh)
    for layer, rate in enumerate(net.architecture.dropout, start=1):
        twin[2 * layer - 1].register_forward_hook(Mask(rate, net.seed, layer))

    net.fit(X, y, optimizer=run.ours, epochs=len(run.batches), l1=run.l1, l2=run.l2,
            batch_size=lambda epoch: run.batches[epoch], label_smoothing=run.label_smoothing,
            shuffle=False)  # fmt: skip
    average = torch_average(twin, run, torch.from_numpy(X), torch.from_numpy(y))

    assert net.steps == STEPS
    assert difference(net, average) <= (ADAPTIVE_BOUND if run.is_adaptive else BOUND)[dtype]


def inner_pixels(X: Any) -> Any:
    """100 of the 784, none of them always 0: no weight has a penalty for its only gradient."""
    return X.reshape(-1, 28, 28)[:, 4:24:2, 4:24:2].reshape(-1, 100)


def torch_average(twin: Any, run: Regularized, X: Any, y: Any) -> Any:
    """twin, trained, as the moving average of its steps."""
    optimizer, schedule = run.theirs(twin.parameters())
    loss_of = torch.nn.CrossEntropyLoss(label_smoothing=run.label_smoothing)
    swa = torch.optim.swa_utils
    average = swa.AveragedModel(twin, multi_avg_fn=swa.get_ema_multi_avg_fn(run.ema))
    for batch in run.batches:
        for rows in zip(X.split(batch), y.split(batch), strict=True):
            optimizer.zero_grad()
            (loss_of(twin(rows[0]), rows[1]) + run.penalty(twin)).backward()
            optimizer.step()
            schedule.step()
            average.update_parameters(twin)
    return average


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
