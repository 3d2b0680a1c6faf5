"""The loop of the textbooks on a GPU, by CuPy: only the module changes."""

import cupy

from bench.cases import Layers
from bench.contenders.textbook import Textbook


class Loop(Textbook):
    """CuPy multiplies in full float32 unless CUPY_TF32 is set."""

    name = "CuPy loop"
    library = "cupy"
    device = "cuda"
    xp = cupy

    def train(self) -> None:
        super().train()
        cupy.cuda.get_current_stream().synchronize()

    def layers(self) -> Layers:
        return [(cupy.asnumpy(W), cupy.asnumpy(b)) for W, b in self.params]

    @classmethod
    def obstacle(cls) -> str | None:
        return None if cupy.cuda.is_available() else "CuPy sees no GPU"
