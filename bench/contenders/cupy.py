"""CuPy: the loop of the textbooks on a GPU, and cuBLAS alone; only the module changes."""

import cupy

from bench.cases import Layers
from bench.contenders import limit
from bench.contenders.textbook import Textbook


class OnCuda:
    """CuPy multiplies in full float32 unless CUPY_TF32 is set."""

    device = "cuda"
    xp = cupy

    def train(self) -> None:
        super().train()  # type: ignore[misc]
        cupy.cuda.get_current_stream().synchronize()

    @classmethod
    def obstacle(cls) -> str | None:
        return None if cupy.cuda.is_available() else "CuPy sees no GPU"


class Loop(OnCuda, Textbook):
    name = "CuPy loop"

    def layers(self) -> Layers:
        return [(cupy.asnumpy(W), cupy.asnumpy(b)) for W, b in self.params]


class Products(OnCuda, limit.Products):
    """One launch after another."""
