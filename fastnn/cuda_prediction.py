"""CudaPrediction: a network's outputs on a GPU in one launch.

The result is that of the layers up to rounding.  What is not plain is left to them, as on a CPU.
"""

from typing import TYPE_CHECKING, Any

from fastnn.backend import Array

if TYPE_CHECKING:
    from fastnn.network import MLP


def obstacles(net: "MLP", head: str) -> list[str]:
    """What stands in the way of it."""
    from fastnn_kernels.cuda_plan import ACTIVATIONS, MOST_LAYERS, STATIC
    from fastnn_kernels.cuda_predictor import needs

    found = [f"activation {name!r}" for name in (*net.activations, head) if name not in ACTIVATIONS]
    if len(net.sizes) - 1 > MOST_LAYERS:
        found.append(f"{len(net.sizes) - 1} layers, more than {MOST_LAYERS}")
    most = net.backend.xp.cuda.Device().attributes["MaxSharedMemoryPerBlockOptin"] - STATIC
    if needs(net.sizes, net.dtype) > most:
        found.append(f"so many units: {needs(net.sizes, net.dtype):,} bytes of shared memory of "
                     f"{most:,}")  # fmt: skip
    return found


class CudaPrediction:
    """From a network's parameters as they are at each call."""

    def __init__(self, net: "MLP", head: str) -> None:
        from fastnn_kernels.cuda_predictor import Predictor

        scaling, self.net = net.scaling, net
        offset, factor = (0, 1) if scaling is None else (scaling.offset, scaling.factor)
        self.predictor = Predictor(
            net.backend.xp, net.sizes, (*net.activations, head), net.params, net.layout.offsets,
            offset, factor,
        )  # fmt: skip

    def row(self, _: Any) -> None:
        """There is no shorter way for one row."""

    def rows(self, X: Array) -> Array | None:
        """Outputs (n, k) for X (n, d) of real numbers, where X is."""
        from fastnn_kernels.cuda_trainer import takes

        backend = self.net.backend
        if X.ndim != 2 or X.shape[1] != self.net.sizes[0] or len(X) == 0 or not takes(X.dtype):
            return None
        stays = isinstance(X, backend.xp.ndarray)
        if not stays and X.nbytes > backend.room:
            return None
        A = self.predictor(backend.xp.ascontiguousarray(X) if stays else backend.upload(X))
        return A if stays or A is None else backend.asnumpy(A)
