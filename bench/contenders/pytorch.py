"""PyTorch: eager, compiled, and with the step in a CUDA graph.

The parameters are plain tensors, updated as optim.SGD updates them (foreach): nn.Module and the
optimizer's own bookkeeping cost half the speed at small batches.
"""

from collections.abc import Callable
from typing import Any, ClassVar, cast

import torch
from torch.nn.functional import cross_entropy

from bench.cases import Array, Job, Layers
from bench.contenders import Contender

Tensor = torch.Tensor
Step = Callable[[list[Tensor], Tensor, Tensor, Tensor], None]  # params, X, y, rows


class Eager(Contender):
    """By autograd; the rows and their orders are where the network is."""

    name = "PyTorch eager"

    def __init__(self, job: Job) -> None:
        torch.set_float32_matmul_precision("highest")
        self.X, self.y = self.tensor(job.X), self.tensor(job.y)
        pairs = [] if job.is_resident else [(self.X, job.X), (self.y, job.y)]
        self.copied = [(there, _pinned(x)) for there, x in pairs]  # by each job
        orders = map(self.tensor, job.orders())
        self.batches = [rows for o in orders for rows in torch.split(o, job.batch_size)]
        self.start = [self.tensor(p) for layer in job.start() for p in layer]
        self.params = [p.clone() for p in self.start]
        self.step = self.made(job)

    def begin(self) -> None:
        with torch.no_grad():
            torch._foreach_copy_(self.params, self.start)

    def tensor(self, array: Array) -> Tensor:
        return torch.tensor(array, device=self.device)

    def made(self, job: Job) -> Step:
        for p in self.params:
            p.requires_grad_()
        return _step(
            job, lambda loss, params, *batch: torch.autograd.grad(loss(params, *batch), params)
        )

    def train(self) -> None:
        for there, here in self.copied:
            there.copy_(here, non_blocking=True)
        for rows in self.batches:
            self.step(self.params, self.X, self.y, rows)
        if self.device == "cuda":
            torch.cuda.synchronize()

    def layers(self) -> Layers:
        arrays = [p.detach().cpu().numpy() for p in self.params]
        return list(zip(arrays[::2], arrays[1::2], strict=True))

    @classmethod
    def obstacle(cls) -> str | None:
        if cls.device == "cuda" and not torch.cuda.is_available():
            return "PyTorch sees no GPU"
        return None


class Compiled(Eager):
    """The whole step, from the gather of its rows to the update, entered through C++."""

    name = "PyTorch compiled"
    how: ClassVar[dict[str, Any]] = {"options": {"cpp_wrapper": True}}

    def made(self, job: Job) -> Step:
        step = _step(job, lambda loss, *args: tuple(torch.func.grad(loss)(*args)))
        return cast(Step, compiled(step, fullgraph=True, dynamic=False, **self.how))


class EagerOnCuda(Eager):
    device = "cuda"


class CompiledOnCuda(Compiled):
    """Its CUDA graphs copy every argument but those whose address is promised to stay."""

    device = "cuda"
    how: ClassVar[dict[str, Any]] = {"mode": "reduce-overhead"}

    def made(self, job: Job) -> Step:
        for argument in (self.X, self.y, *self.params):
            torch._dynamo.mark_static_address(argument)
        return super().made(job)


class CudaGraph(EagerOnCuda):
    """The eager step, captured once for each size of batch."""

    name = "PyTorch CUDA graph"

    def made(self, job: Job) -> Step:
        step, graphs = super().made(job), dict[int, tuple[torch.cuda.CUDAGraph, Tensor]]()

        def replay(params: list[Tensor], X: Tensor, y: Tensor, rows: Tensor) -> None:
            if len(rows) not in graphs:
                graphs[len(rows)] = _captured_step(step, params, X, y, rows)
            graph, slot = graphs[len(rows)]
            slot.copy_(rows)
            graph.replay()

        return replay


def compiled(function: Any, **how: Any) -> Any:
    """By torch.compile, which keeps what it made by code object, and of each not many: the code of
    this function is nobody else's."""
    function.__code__ = function.__code__.replace()
    return torch.compile(function, **how)


def _pinned(array: Array) -> Tensor:
    tensor = torch.from_numpy(array)
    return tensor.pin_memory() if torch.cuda.is_available() else tensor


def captured(work: Callable[[], Any]) -> tuple[torch.cuda.CUDAGraph, Any]:
    """The graph of work and what it returns, after some on a stream of their own: a capture may
    not contain the libraries' first calls."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call, unused-ignore]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = work()
    return graph, out


def _captured_step(
    step: Step, params: list[Tensor], X: Tensor, y: Tensor, rows: Tensor
) -> tuple[torch.cuda.CUDAGraph, Tensor]:
    """The graph of a step, and where it reads the numbers of its rows; params stay as they are."""
    slot, before = rows.clone(), [p.detach().clone() for p in params]
    graph, _ = captured(lambda: step(params, X, y, slot))
    with torch.no_grad():
        torch._foreach_copy_(params, before)
    return graph, slot


def _step(job: Job, gradient: Callable[..., tuple[Tensor, ...]]) -> Step:
    activate = {"sigmoid": torch.sigmoid, "relu": torch.relu}[job.activation]
    lr, shuffles = job.learning_rate, job.shuffles

    def loss(params: list[Tensor], X: Tensor, y: Tensor) -> Tensor:
        for W, b in zip(params[:-2:2], params[1:-2:2], strict=True):
            X = activate(torch.addmm(b, X, W))
        W, b = params[-2:]
        return cross_entropy(torch.addmm(b, X, W), y)

    def step(params: list[Tensor], X: Tensor, y: Tensor, rows: Tensor) -> None:
        batch = (X[rows], y[rows]) if shuffles else (X, y)
        gradients = gradient(loss, params, *batch)
        with torch.no_grad():
            torch._foreach_add_(params, gradients, alpha=-lr)

    return step
