"""Plan: what a GPU is to train by cuda_step.cu, where its numbers lie, and how it is launched."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

MOST_LAYERS = 8
THREADS, WARPS, ROWS, COLUMNS = 256, 8, 16, 64  # of a block; the last two of its tile
STEP_THREADS, SHARE = 512, 8  # of the block that takes many steps
FEW = 4  # rows of its batches, at most
CHUNKS = (64, 32, 16)  # rows that it takes at once, as many as it has memory for
WIDEST = 512  # layer that it takes
PART = 64  # rows of a batch, at least, that a part of a gradient sums over
BLOCKS = 264  # two for each of an H200's 132 multiprocessors

ACTIVATIONS = ("identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "gelu",
               "silu", "softmax")  # fmt: skip
LOSSES = ("softmax_cross_entropy", "sigmoid_cross_entropy", "squared_error", "huber")
RULES = ("sgd", "sgd_momentum", "sgd_nesterov", "adam", "rmsprop", "adagrad", "move")
NAMES = {  # of types in C++
    "float32": "float", "float64": "double", "bool": "unsigned char", "int8": "signed char",
    "uint8": "unsigned char", "int16": "short", "uint16": "unsigned short", "int32": "int",
    "uint32": "unsigned", "int64": "long long", "uint64": "unsigned long long",
}  # fmt: skip

CONTROL = np.dtype([
    *[(name, np.int32)
      for name in ("step", "arrived", "batch", "samples", "rows", "numbers", "has_numbers")],
    ("first", np.uint32, 2), ("seed", np.uint32, 2),
])  # fmt: skip

POINTERS = ("control", "X", "offset", "factor", "order", "labels", "Y", "weights", "numbers",
            "work", "losses", "hits", "tickets", "parameters", "state", "state_too")  # fmt: skip


def job_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The record Job of cuda_step.cu, for real numbers of this type."""
    flags = "layers has_bias loss rule keeps size is_scaled_by_column is_mean has_transposes parts"
    a_layer = "width stride f W WT A S D flat_W flat_b"
    return np.dtype([
        *[(name, np.uint64) for name in POINTERS],
        *[(name, np.int32) for name in flags.split()],
        *[(name, np.int32, MOST_LAYERS + 1) for name in a_layer.split()],
        ("threshold", np.uint32, MOST_LAYERS + 1), ("kept", dtype, MOST_LAYERS + 1),
        ("weight", dtype),
    ], align=True)  # fmt: skip


def source(dtype: np.dtype[Any], inputs: np.dtype[Any], plan: "type[Plan]", rows: int) -> str:
    """CUDA C++ for real numbers and inputs of these types, and steps of up to so many rows."""
    types = {"real": dtype, "wide": np.result_type(inputs, dtype), "INPUT": inputs}
    head = [f"typedef {NAMES[each.name]} {name};" for name, each in types.items()]
    head.append(f"#define STEP_ROWS {rows}")
    names = ("device", "scalars", "tile", "job", "inputs", "loss")
    files = [*(f"{name}.cuh" for name in names), plan.file, "gradient.cu", "layout.cu"]
    folder = Path(__file__).parent
    return "\n".join([*head, *((folder / f"cuda_{name}").read_text() for name in files)])


class Launch(NamedTuple):
    """A kernel of the name, with bytes of shared memory for each block."""

    name: str
    grid: tuple[int, int]
    threads: int
    shared: int


@dataclass(frozen=True)
class Plan:
    """What is to be trained, and how.

    activations, dropout: of the hidden layers.  loss: the name of a kernel of the face.
    optimizer: that of an update in RULES; keeps: how many vectors it keeps.  batch_size: the most
    rows of one.  most_bytes: of shared memory that a block may have.
    """

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    dropout: tuple[float, ...]
    has_bias: bool
    output: str
    loss: str
    optimizer: str
    keeps: int
    dtype: np.dtype[Any]
    batch_size: int
    is_mean: bool
    most_bytes: int
    file: ClassVar[str] = "rows.cu"

    def __str__(self) -> str:
        return "steps of two kernels each, replayed as graphs"

    @property
    def strides(self) -> list[int]:
        """Of a row of each layer's units, X's first: room for a one, and a multiple of 8."""
        return [(size + 8) // 8 * 8 for size in self.sizes]

    @property
    def heights(self) -> list[int]:
        """Rows of each layer's weights, the bias among them."""
        return [d + self.has_bias for d in self.sizes[:-1]]

    @property
    def tiles(self) -> int:
        """Of the gradients of all layers."""
        return sum(
            -(-height // ROWS) * -(-m // COLUMNS)
            for height, m in zip(self.heights, self.sizes[1:], strict=True)
        )

    @property
    def turn(self) -> int:
        """Rows, at most, that the launches take."""
        return self.batch_size

    @property
    def batches(self) -> int:
        """As many do they take."""
        return 1

    @property
    def step_rows(self) -> int:
        """For how many rows of a step the kernels are compiled, where that matters."""
        return 1 if self.batch_size == 1 else FEW

    @property
    def parts(self) -> int:
        """Of a batch, which are summed over by blocks of their own."""
        return max(1, min(self.turn // PART, BLOCKS // self.tiles))

    @property
    def launches(self) -> list[Launch]:
        """The kernels, in their order."""
        slab = WARPS * COLUMNS * (ROWS + 4)
        units = sum(self.sizes[1:]) * ROWS
        item = self.dtype.itemsize
        return [
            Launch("rows_step", (-(-self.turn // ROWS), 1), THREADS, (slab + units) * item),
            Launch("gradient_update", (self.tiles, self.parts), THREADS, slab * item),
        ]

    @property
    def rule(self) -> str:
        """Of RULES, by which gradient_update moves parameters."""
        return self.optimizer

    def room(self, k: int) -> dict[str, int]:
        """Numbers that layer k needs in work beside its weights."""
        rows = self.turn * self.strides[k]
        transpose = self.sizes[k] * self.strides[k - 1] if k > 1 else 0
        return {"WT": transpose, "A": rows, "S": rows, "D": rows}

    def job(self) -> tuple[Any, int]:
        """The record, but for its pointers, and how many numbers `work` has."""
        count, layers = 0, len(self.sizes) - 1
        job = np.zeros(1, job_type(self.dtype))
        record = job[0]

        def take(numbers: int) -> int:
            nonlocal count
            place, count = count, count + -(-numbers // 32) * 32
            return place

        record["layers"], record["has_bias"], record["is_mean"] = (
            layers,
            self.has_bias,
            self.is_mean,
        )
        record["loss"] = LOSSES.index(self.loss.removesuffix("_labels"))
        record["rule"], record["keeps"] = RULES.index(self.rule), self.keeps
        record["width"][: layers + 1], record["stride"][: layers + 1] = self.sizes, self.strides
        functions = [*self.activations, self.output]
        record["f"][1 : layers + 1] = [ACTIVATIONS.index(name) for name in functions]
        for k, rate in enumerate(self.dropout, start=1):
            record["threshold"][k], record["kept"][k] = int(rate * 2**32), 1 / (1 - rate)
        for k in range(1, layers + 1):
            record["W"][k] = take(self.heights[k - 1] * self.strides[k])
        record["size"] = count
        count *= 1 + self.keeps
        record["has_transposes"] = "WT" in self.room(1)
        for k in range(1, layers + 1):
            for name, numbers in self.room(k).items():
                record[name][k] = take(numbers)
        record["parts"] = take(self.parts * self.tiles * ROWS * COLUMNS)
        return job, count


class ChunkPlan(Plan):
    """Of batches of a few rows by plain gradient descent, without dropout: see cuda_chunk.cu."""

    file = "chunk.cu"

    def __str__(self) -> str:
        return f"{self.batches} steps in three kernels, replayed as graphs"

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
        for rows in CHUNKS:
            turn = max(1, rows // self.batch_size) * self.batch_size
            if self._block_bytes(turn) <= self.most_bytes:
                break
        return turn

    @property
    def batches(self) -> int:
        return self.turn // self.batch_size

    @property
    def launches(self) -> list[Launch]:
        slab = WARPS * COLUMNS * (ROWS + 4) * self.dtype.itemsize
        rows, columns = -(-self.turn // ROWS), -(-self.sizes[1] // COLUMNS)
        return [
            Launch("chunk_products", (rows, columns + rows), THREADS, slab),
            Launch("chunk_steps", (1, 1), STEP_THREADS, self._block_bytes(self.turn)),
            Launch("gradient_update", (self.tiles, 1), THREADS, slab),
        ]

    def _block_bytes(self, turn: int) -> int:
        """Of shared memory for the block that takes the steps: see take_steps."""
        rows, h, k = self.step_rows, self.sizes[1], self.sizes[-1]
        counts = [turn * h, turn**2, STEP_THREADS * rows, k * ROWS]
        counts += 3 * [m * rows for m in self.sizes[1:-1]] + list(self.sizes[2:])
        counts += [d * (m + (SHARE - m) % 32) for d, m in pairwise(self.sizes[1:])]
        return sum(-(-count // 4) * 4 for count in counts) * self.dtype.itemsize
