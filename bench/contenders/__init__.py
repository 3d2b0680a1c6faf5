"""Contenders: each a class, the peers of one library in a file of its own.

All do a job's work at the best that their library can.  What a training need not repeat, copying
the rows, drawing the orders and compiling, belongs into the constructor or the first `train`.
Importing this package imports no peer.
"""

from importlib import import_module
from typing import ClassVar, Protocol, cast

from bench.cases import Job, Layers


class Contender(Protocol):
    """Trains a job's network on its device."""

    name: ClassVar[str]
    device: ClassVar[str] = "cpu"

    def __init__(self, job: Job) -> None: ...

    def begin(self) -> None:
        """Put the job's first weights in their places."""

    def train(self) -> None:
        """One job, from the weights that are there; returns when all its work is done."""

    def layers(self) -> Layers | None:
        """The weights as they are, float32, in host memory; None if it trains none."""
        ...

    @classmethod
    def obstacle(cls) -> str | None:
        """Why it cannot run here although its library is installed."""
        return None


CPU = [
    "ours:FastnnLayers", "ours:FastnnFused", "textbook:Textbook", "sklearn:ScikitLearn",
    "pytorch:Eager", "pytorch:Compiled", "jax:Scanned", "limit:Products",
]  # fmt: skip
CUDA = [
    "ours:FastnnLayersOnCuda", "ours:FastnnFusedOnCuda", "cupy:Loop", "pytorch:EagerOnCuda",
    "pytorch:CompiledOnCuda", "pytorch:CudaGraph", "jax:ScannedOnCuda", "cupy:Products",
]  # fmt: skip


def load(contender: str) -> type[Contender]:
    """The class named as in CPU and CUDA; imports its library."""
    module, _, name = contender.partition(":")
    return cast(type[Contender], getattr(import_module(f"{__name__}.{module}"), name))


def missing(contender: str) -> str | None:
    """Why it cannot run here, or None if it can."""
    try:
        return load(contender).obstacle()
    except ImportError as error:
        return f"{error.name} is not installed" if error.name else str(error)
