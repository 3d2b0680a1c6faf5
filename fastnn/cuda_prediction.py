"""CudaPrediction: a network's outputs on a GPU in one launch.

The result is that of the layers up to rounding.
"""

from typing import TYPE_CHECKING, Any

from fastnn.backend import Array
from fastnn.inputs import Rows
from fastnn.replayed import most_bytes

if TYPE_CHECKING:
    from fastnn.network import MLP

MOST = 2**31  # rows, whose numbers are 32-bit integers


def obstacles(net: "MLP", head: str) -> list[str]:
    """What stands in the way of it."""
    from fastnn_kernels.cuda_plan import ACTIVATIONS, MOST_LAYERS
    from fastnn_kernels.cuda_predictor import needs

    found = [f"activation {name!r}" for name in (*net.activations, head) if name not in ACTIVATIONS]
    if len(net.sizes) - 1 > MOST_LAYERS:
        found.append(f"{len(net.sizes) - 1} layers, more than {MOST_LAYERS}")
    needed, most = needs(net.sizes, net.dtype), most_bytes(net.backend)
    if needed > most:
        found.append(f"so many units: {needed:,} bytes of shared memory of {most:,}")
    return found


class CudaPrediction:
    """From a network's parameters as they are at each call."""

    def __init__(self, net: "MLP", head: str) -> None:
        from fastnn_kernels.cuda_predictor import Predictor

        scaling, self.net = net.scaling, net
        self.row_bytes = net.sizes[-1] * net.dtype.itemsize
        offset, factor = (0, 1) if scaling is None else (scaling.offset, scaling.factor)
        self.predictor = Predictor(
            net.backend.xp, net.sizes, (*net.activations, head), net.params, net.layout.offsets,
            offset, factor, most_bytes(net.backend),
        )  # fmt: skip

    def row(self, _: Any) -> None:
        """There is no shorter way for one row."""

    def rows(self, X: Array) -> Array | None:
        """Outputs (n, k) for X (n, d) of real numbers, where X is.  Raises DataError."""
        from fastnn_kernels.cuda_trainer import takes

        net, backend = self.net, self.net.backend
        if X.ndim != 2 or X.shape[1] != net.sizes[0]:
            return None
        stays, out_bytes = isinstance(X, backend.xp.ndarray), len(X) * self.row_bytes
        if len(X) >= MOST or out_bytes + (0 if stays else X.nbytes) > backend.room:
            return None
        rows = X if stays else backend.upload(X)
        if not takes(rows.dtype):
            rows = rows.astype(net.dtype)  # float16
        A, is_finite = self.predictor(backend.xp.ascontiguousarray(rows))
        if not is_finite:
            Rows(rows, net.sizes[0], net.scaling, backend)  # refuses it by its place, if it is X
        return A if stays else backend.asnumpy(A)
