"""Plan: what a GPU is to train, where its numbers lie, and how it is launched."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

MOST_LAYERS = 8
THREADS, ROWS, COLUMNS = 256, 16, 64  # of a block; the last two of its tile
PITCH = ROWS + 4  # of what has ROWS numbers in shared memory: see cuda_tile.cuh
SLAB = THREADS // 32 * COLUMNS * PITCH  # numbers of the sums of a block's warps
STATIC = 4096  # bytes of shared memory, at most, that kernels have without asking
PART = 64  # rows of a batch, at least, that a part of a gradient sums over
BLOCKS = 264  # two for each of an H200's 132 multiprocessors
CONSTANTS = {"THREADS": THREADS, "R": ROWS, "COLUMNS": COLUMNS, "PITCH": PITCH, "SLAB": SLAB,
             "MOST_LAYERS": MOST_LAYERS}  # fmt: skip

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
    """The record Job of cuda_job.cuh, for real numbers of this type."""
    flags = "layers has_bias loss rule keeps size is_scaled_by_column is_mean has_transposes parts"
    a_layer = "width stride f W WT A S D flat_W flat_b"
    return np.dtype([
        *[(name, np.uint64) for name in POINTERS],
        *[(name, np.int32) for name in flags.split()],
        *[(name, np.int32, MOST_LAYERS + 1) for name in a_layer.split()],
        ("threshold", np.uint32, MOST_LAYERS + 1), ("kept", dtype, MOST_LAYERS + 1),
        ("weight", dtype),
    ], align=True)  # fmt: skip


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

    files: ClassVar[tuple[str, ...]] = ("sums.cuh", "rows.cu")

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
    def parts(self) -> int:
        """Of a batch, which are summed over by blocks of their own."""
        return max(1, min(self.turn // PART, BLOCKS // self.tiles))

    @property
    def launches(self) -> list[Launch]:
        """The kernels, in their order."""
        units, item = sum(self.sizes[1:]) * PITCH, self.dtype.itemsize
        return [
            Launch("rows_step", (-(-self.turn // ROWS), 1), THREADS, (SLAB + units) * item),
            Launch("gradient_update", (self.tiles, self.parts), THREADS, SLAB * item),
        ]

    @property
    def needs(self) -> int:
        """Bytes of shared memory for a block, beside those that a kernel has without asking."""
        return max(launch.shared for launch in self.launches)

    @property
    def rule(self) -> str:
        """Of RULES, by which gradient_update moves parameters."""
        return self.optimizer

    def room(self, k: int) -> dict[str, int]:
        """Numbers that layer k needs in work beside its weights."""
        rows = self.turn * self.strides[k]
        transpose = self.sizes[k] * self.strides[k - 1] if k > 1 else 0
        return {"WT": transpose, "A": rows, "S": rows, "D": rows}

    def places(self) -> tuple[list[tuple[str, int, int]], int, int]:
        """Where each name of each layer lies in work, the numbers from a parameter to what the
        optimizer keeps of it, and the numbers of work."""
        found: list[tuple[str, int, int]] = []
        count, layers = 0, range(1, len(self.sizes))
        for k in layers:
            found.append(("W", k, count))
            count += _whole(self.heights[k - 1] * self.strides[k])
        size, count = count, count * (1 + self.keeps)
        for k in layers:
            for name, numbers in self.room(k).items():
                found.append((name, k, count))
                count += _whole(numbers)
        found.append(("parts", 0, count))
        if self.parts > 1:
            count += self.parts * self.tiles * ROWS * COLUMNS
        return found, size, count

    def job(self) -> Any:
        """The record, but for its pointers.  Raises OverflowError beyond 2**31 numbers of work."""
        layers, (places, size, _) = len(self.sizes) - 1, self.places()
        job = np.zeros(1, job_type(self.dtype))
        record = job[0]
        record["layers"], record["has_bias"] = layers, self.has_bias
        record["is_mean"], record["has_transposes"] = self.is_mean, "WT" in self.room(1)
        record["loss"] = LOSSES.index(self.loss.removesuffix("_labels"))
        record["rule"], record["keeps"], record["size"] = RULES.index(self.rule), self.keeps, size
        record["width"][: layers + 1], record["stride"][: layers + 1] = self.sizes, self.strides
        functions = [*self.activations, self.output]
        record["f"][1 : layers + 1] = [ACTIVATIONS.index(name) for name in functions]
        for k, rate in enumerate(self.dropout, start=1):
            record["threshold"][k], record["kept"][k] = int(rate * 2**32), 1 / (1 - rate)
        for name, k, place in places:
            if k:
                record[name][k] = place
            else:
                record[name] = place
        return job

    @property
    def constants(self) -> dict[str, int]:
        """What the source takes from here, by its names."""
        return CONSTANTS

    def source(self, inputs: np.dtype[Any]) -> str:
        """CUDA C++ for an X of this type."""
        files = ("job.cuh", "inputs.cuh", "loss.cuh", *self.files, "gradient.cu", "layout.cu")
        return source(self.dtype, inputs, self.constants, files)


def source(
    dtype: np.dtype[Any], inputs: np.dtype[Any], constants: dict[str, int], files: Iterable[str]
) -> str:
    """CUDA C++ of these files, and of what all have, for an X of type `inputs`."""
    types = {"real": dtype, "wide": np.result_type(inputs, dtype), "INPUT": inputs}
    head = [f"typedef {NAMES[each.name]} {name};" for name, each in types.items()]
    head += [f"constexpr int {name} = {value};" for name, value in constants.items()]
    folder = Path(__file__).parent
    all_files = ("device.cuh", "scalars.cuh", "tile.cuh", "softmax.cuh", *files)
    return "\n".join([*head, *((folder / f"cuda_{name}").read_text() for name in all_files)])


def _whole(numbers: int) -> int:
    """As many as fill whole lines of memory."""
    return -(-numbers // 32) * 32
