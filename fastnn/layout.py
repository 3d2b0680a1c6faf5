"""Layout: where each weight and bias lies in a network's one flat vector.

W1, b1, W2, b2, ... in this order, each starting on a 128-byte boundary; the gaps are
zero and stay zero.  Parameters, gradients and optimizer state share one layout.
"""

import math

from fastnn.backend import ALIGNMENT, Array


class Layout:
    """Tensors of these shapes as parts of one flat vector of `size` elements."""

    def __init__(self, shapes: dict[str, tuple[int, ...]], itemsize: int) -> None:
        step = ALIGNMENT // itemsize
        self.shapes, self.offsets, self.size = shapes, dict[str, int](), 0
        for name, shape in shapes.items():
            self.offsets[name] = self.size
            self.size += -(-math.prod(shape) // step) * step

    @property
    def count(self) -> int:
        """Parameters: elements without the gaps."""
        return sum(map(math.prod, self.shapes.values()))

    def views(self, flat: Array) -> dict[str, Array]:
        """Name to a view of flat (size,)."""
        return {
            name: flat[start : start + math.prod(self.shapes[name])].reshape(self.shapes[name])
            for name, start in self.offsets.items()
        }
