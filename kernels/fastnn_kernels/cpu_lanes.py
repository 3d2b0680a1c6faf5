"""Lanes: epochs of a very small network on the whole batch, without returning to Python.

Samples lie along the lanes of vectors: X, activations and derivatives are features x samples, so
that no lane is idle in a network of three neurons.  The samples are divided into blocks that stay
in the cache; what fills the last one repeats the last sample, with a weight of 0, so that it is
finite where that is, and adds nothing.  S[0] begins a row of zeros.

The parameters are one vector of tensors W (d, m), each followed by its b; below the rows of a
layer's input lies a row of ones for b.
"""

from typing import Any

import numpy as np
from numba.extending import register_jitable

from fastnn_kernels import simd_tiles
from fastnn_kernels.calls import call, matrix, vector
from fastnn_kernels.cpu import IN_ANY_ORDER
from fastnn_kernels.jit import inner, jit


def _integers(names: str) -> list[tuple[str, Any]]:
    return [(name, np.int64) for name in names.split()]


JOB = np.dtype([
    *_integers("n blocks vectors row k X Y w labels losses hits room p size state gradient before"),
    *_integers("multiply dots loss count_hits update"),
    ("scale", np.float64),
])  # fmt: skip
"""What is common to all, places in S if not said otherwise.

n: samples, in so many blocks of so many vectors, or `row` numbers; k: outputs.  X, Y: block after
block.  p: the parameters, as many as size, and what the optimizer keeps of them, state in all;
gradient: from a parameter on to its gradient; before: room for state.  The last ones are addresses;
count_hits may be 0.  scale: of the losses' gradient.
"""

LAYER = np.dtype(_integers("d depth m W Z F D activate slope"))
"""One layer: Z = W^T A + b, F = f(Z), D = dZ, (m, row) each; A is the F of the layer before.

depth: d, and 1 for b.  F lies where Z does, unless the slope needs Z.  activate, slope: addresses
in cpu_columns; the last layer needs neither, as the loss takes its Z.
"""


@jit
def train(S, job, network, numbers, target, losses, accuracies, outcome):
    """As many epochs as losses has room for, or until one's loss is at most target or diverges.

    numbers: a row for each step, or one for all.  outcome: how many epochs went well, and whether
    another one diverged; what is at `before` is then as it was before that.
    """
    for epoch in range(losses.size):
        for k in range(job.state):
            S[job.before + k] = S[job.p + k]
        for block in range(job.blocks):
            _backpropagate(S, job, network, block)
        losses[epoch] = _sum(vector(S, job.losses, job.n)) / job.n
        if job.count_hits:
            accuracies[epoch] = _sum(vector(S, job.hits, job.n)) / job.n
        outcome[1] = 1
        if not np.isfinite(losses[epoch]):
            break
        p, size, (steps, count) = job.p, job.size, numbers.shape
        now = vector(numbers, min(epoch, steps - 1) * count, count)
        call(job.update, (vector(S, p, size), vector(S, p + job.gradient, size),
                          vector(S, p + size, size), vector(S, p + 2 * size, size),
                          now))  # fmt: skip
        if not _is_finite(vector(S, p, size)):
            break
        outcome[0], outcome[1] = epoch + 1, 0
        if losses[epoch] <= target:
            break


@inner
def _backpropagate(S, job, network, block):
    """Losses, hits and gradient of a block; the gradient is added to that of those before."""
    row, last, start = job.row, network[network.size - 1], block * job.row
    X = job.X + start * network[0].depth
    _forward(S, job, network, X)
    logits, labels = matrix(S, last.Z, job.k, row), vector(S, job.labels + start, row)
    room = vector(S, job.room, row)
    if job.count_hits:
        call(job.count_hits, (logits, labels, vector(S, job.hits + start, row), room))
    call(job.loss, (logits, matrix(S, job.Y + start * job.k, job.k, row),
                    vector(S, job.w + start, row), job.scale, matrix(S, last.D, job.k, row),
                    vector(S, job.losses + start, row), room, vector(S, job.room + row, row),
                    vector(S, job.room + 2 * row, row)))  # fmt: skip
    for index in range(network.size - 1, -1, -1):
        layer, before = network[index], network[max(index - 1, 0)]
        g = layer.W + job.gradient
        i, i_row = (g, layer.m) if block else (0, 0)
        call(job.dots, (S, layer.depth, layer.m, job.vectors, before.F if index else X, row,
                        layer.D, row, g, layer.m, i, i_row))  # fmt: skip
        if index:
            call(job.multiply, (S, layer.d, job.vectors, layer.m, layer.W, layer.m, 1,
                                layer.D, row, before.D, row, 0, 0))  # fmt: skip
            call(before.slope, (matrix(S, before.Z, before.m, row),
                                matrix(S, before.D, before.m, row)))  # fmt: skip


@inner
def _forward(S, job, network, A):
    """From X to the logits."""
    for index in range(network.size):
        layer = network[index]
        call(job.multiply, (S, layer.m, job.vectors, layer.depth, layer.W, 1, layer.m,
                            A, job.row, layer.Z, job.row, 0, 0))  # fmt: skip
        if index < network.size - 1:
            _activate(S, layer, job.row)
        A = layer.F


@inner
def _activate(S, layer, row):
    if layer.F != layer.Z:
        for k in range(layer.m * row):
            S[layer.F + k] = S[layer.Z + k]
    call(layer.activate, (matrix(S, layer.F, layer.m, row),))


@register_jitable(**IN_ANY_ORDER)
def _sum(x):
    total = 0.0
    for i in range(x.size):
        total += x[i]
    return total


@register_jitable(**IN_ANY_ORDER)
def _is_finite(x):
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i] - x[i]  # NaN of infinity, too
    return total == x.dtype.type(0)


def _strip(columns: int) -> Any:
    """The dot products with so many rows of B, four, two and one row of A at a time."""
    four, two, one = (simd_tiles.dots(rows, columns) for rows in (4, 2, 1))

    @inner
    def strip(S, rows, depth, a, a_row, b, b_row, c, c_row, i, i_row):
        r = 0
        while r + 4 <= rows:
            four(S, depth, a + r * a_row, a_row, b, b_row, c + r * c_row, c_row,
                 i + r * i_row, i_row)  # fmt: skip
            r += 4
        if r + 2 <= rows:
            two(S, depth, a + r * a_row, a_row, b, b_row, c + r * c_row, c_row,
                i + r * i_row, i_row)  # fmt: skip
            r += 2
        if r < rows:
            one(S, depth, a + r * a_row, a_row, b, b_row, c + r * c_row, c_row,
                i + r * i_row, i_row)  # fmt: skip

    return strip


_four, _two, _one = _strip(4), _strip(2), _strip(1)


@jit
def dots(S, rows, columns, depth, a, a_row, b, b_row, c, c_row, i, i_row):
    """S[c] (rows, columns) = S[i] + S[a] (rows, depth vectors) times the transpose of S[b]."""
    j = 0
    while j + 4 <= columns:
        _four(S, rows, depth, a, a_row, b + j * b_row, b_row, c + j, c_row, i + j, i_row)
        j += 4
    if j + 2 <= columns:
        _two(S, rows, depth, a, a_row, b + j * b_row, b_row, c + j, c_row, i + j, i_row)
        j += 2
    if j < columns:
        _one(S, rows, depth, a, a_row, b + j * b_row, b_row, c + j, c_row, i + j, i_row)
