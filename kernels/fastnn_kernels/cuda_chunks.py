"""Chunks: how batches of a few rows are trained, many of them in three launches."""

from functools import cached_property
from itertools import pairwise

from fastnn_kernels.cuda_plan import COLUMNS, PITCH, ROWS, SLAB, THREADS, Launch, Plan

STEP_THREADS, SHARE = 512, 8  # of the block that takes the steps; of them, to a row of weights
FEW = 4  # rows of a batch, at most
MOST = 64  # rows of a chunk: as many, or less where a block has no room for them
WIDEST = STEP_THREADS  # layer


class Chunks(Plan):
    """A plan for plain gradient descent without dropout: see cuda_chunk.cu."""

    files = ("chunk.cu",)

    def __str__(self) -> str:
        return f"{self.batches} steps in three kernels, replayed as graphs"

    @property
    def constants(self) -> dict[str, int]:
        own = {"STEP_THREADS": STEP_THREADS, "SHARE": SHARE, "MOST_CHUNK": MOST}
        return super().constants | own | {"STEP_ROWS": self.step_rows}

    @property
    def step_rows(self) -> int:
        """For how many rows of a batch the kernels are compiled."""
        return 1 if self.batch_size == 1 else FEW

    @property
    def rule(self) -> str:
        return "move"

    @property
    def tiles(self) -> int:
        return -(-self.heights[0] // ROWS) * -(-self.sizes[1] // COLUMNS)

    @property
    def parts(self) -> int:
        return 1

    def room(self, k: int) -> dict[str, int]:
        if k > 1:
            return {}
        rows = self.turn * self.strides[1]
        return {"A": rows, "S": self.turn**2, "D": rows}

    @cached_property
    def turn(self) -> int:
        turns = [rows // self.batch_size * self.batch_size for rows in (MOST, MOST // 2, ROWS)]
        return next((n for n in turns if self._block_bytes(n) <= self.most_bytes), turns[-1])

    @property
    def batches(self) -> int:
        return self.turn // self.batch_size

    @property
    def launches(self) -> list[Launch]:
        slab = SLAB * self.dtype.itemsize
        rows, columns = -(-self.turn // ROWS), -(-self.sizes[1] // COLUMNS)
        return [
            Launch("chunk_products", (rows, columns + rows), THREADS, slab),
            Launch("chunk_steps", (1, 1), STEP_THREADS, self._block_bytes(self.turn)),
            Launch("gradient_update", (self.tiles, 1), THREADS, slab),
        ]

    def _block_bytes(self, turn: int) -> int:
        """Of shared memory for the block that takes the steps: see chunk_steps."""
        rows, h, k = self.step_rows, self.sizes[1], self.sizes[-1]
        counts = [turn * h, turn**2, STEP_THREADS * rows, k * PITCH]
        counts += 3 * [m * rows for m in self.sizes[1:-1]] + list(self.sizes[2:])
        counts += [d * (m + (SHARE - m) % 32) for d, m in pairwise(self.sizes[1:])]
        return sum(-(-count // 4) * 4 for count in counts) * self.dtype.itemsize
