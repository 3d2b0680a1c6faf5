"""fastnn, in each execution and on each device."""

from typing import ClassVar

import fastnn
from bench.cases import SEED, Job, Layers
from bench.contenders import Contender
from fastnn.errors import ArgumentError, DeviceUnavailableError


class FastnnLayers(Contender):
    """`fit`, with all that it checks and counts."""

    name = "fastnn layers"
    execution: ClassVar[str] = "layers"

    def __init__(self, job: Job) -> None:
        self.job = job
        self.net = fastnn.MLP(job.sizes, job.activation, seed=SEED, device=self.device)
        self.start = self.net.params.copy()
        self.X, self.y = job.X, job.y
        if job.is_resident:
            self.X, self.y = map(self.net.backend.upload, (job.X, job.y))

    def begin(self) -> None:
        self.net.params[...] = self.start
        self.net.epochs = self.net.steps = 0  # as the orders of its epochs go by them

    def train(self) -> None:
        job = self.job
        self.net.fit(
            self.X, self.y, optimizer=fastnn.SGD(job.learning_rate), epochs=job.epochs,
            batch_size=job.batch_size, shuffle=job.shuffles, execution=self.execution,
            progress=False,
        )  # fmt: skip
        self.net.backend.synchronize()

    def layers(self) -> Layers:
        params = self.net.get_params_dict()
        return [(params[f"W{k}"], params[f"b{k}"]) for k in range(1, len(self.job.sizes))]

    @classmethod
    def obstacle(cls) -> str | None:
        """Found by training a tiny job."""
        try:
            cls(Job("iris", (4, 3, 3), "sigmoid", 120, 120, 1)).train()
        except (ArgumentError, DeviceUnavailableError) as error:
            return str(error)
        return None


class FastnnFused(FastnnLayers):
    """`fit` by the fused trainer."""

    name = "fastnn fused"
    execution = "fused"


class FastnnLayersOnCuda(FastnnLayers):
    device = "cuda"


class FastnnFusedOnCuda(FastnnFused):
    device = "cuda"
