"""Trainer: batches of an epoch without returning to Python, in one thread or several.

One compiled function per float type serves every network.  All that it works on lies in one
vector S; JOB, LAYER and PART say where, and which functions a network, its loss and its optimizer
have.  Rows of a matrix in S begin `width` floats apart, a whole number of vectors; what pads
them is zero in weights and derivatives and stays so.  S[0] begins a row of zeros, which is also
the bias of layers without.

The first layer is divided among the threads by columns, so that each one's weights stay in its
core's cache; what follows by the rows of the batch; the updates of later layers by rows of
weights.  Each number comes from the same sums in the same order whatever the number of threads.
"""

from typing import Any

import numpy as np

from fastnn_kernels import scalars, simd
from fastnn_kernels.barrier import wait
from fastnn_kernels.calls import call, matrix, vector
from fastnn_kernels.cpu_products import gather
from fastnn_kernels.cpu_softmax import softmax_cross_entropy
from fastnn_kernels.jit import inner, jit


def integers(names: str) -> list[tuple[str, Any]]:
    return [(name, np.int64) for name in names.split()]


JOB = np.dtype(
    integers("epoch size block is_mean is_sparse takes k gradient one step key_low key_high "
              "multiply transpose multiply_sparse update_sparse update_masked "
              "wide wide_and_update wide_sparse update loss late hits")
)  # fmt: skip
"""What is common to all.

epoch, size: rows of an epoch and of a batch, of which `block` are worked on at a time.  k:
outputs.  gradient: from a weight to its gradient, and on to what the optimizer keeps of it, 0
where steps are added to the weights at once.  one: where ones lie.  step, key_low, key_high: of
dropout, see face.PhiloxBits.  takes: what the loss does.  The others are addresses; hits may be 0,
and so may late, the output's slope where it is for the last layer's own parameters alone.
"""
LABELS, LOGITS, OUTPUT = range(3)

LAYER = np.dtype(
    [*integers("d m vectors width W W_row b Z F A D turn activate slope threshold words"),
     ("factor", np.float64)]
)  # fmt: skip
"""One layer: Z = X W + b, F = f(Z), A = F less what is dropped, D = dZ; X (., d), W (d, m).

vectors: as many as m numbers fill; width: of a row in S, at least as much.
F lies where Z does, unless the slope needs Z, and then where A does; so the slope reads what is
at Z.  A lies there too where nothing is dropped.  turn: from these to those of the next batch,
in the first layer.  activate, slope: addresses of a BiasActivation and an ActivationGrad.
threshold, factor: see scalars.dropped; factor 0 is none.  words: where the layer's
begin in an array of their own.
"""

PART = np.dtype(integers("thread threads first width W W_row X transpose logits slopes"))
"""What one thread has.

first, width: its columns of the first layer, both in vectors; W, W_row: their weights.  X: room
for the rows of a batch; transpose: for the largest W; logits, slopes: for (size, k) each.
"""


@jit
def train(
    S, job, network, part, counts, X, starts, columns, values, order, labels, Y, w, numbers,
    words, losses, hits,
):  # fmt: skip
    """Train on the rows of X in this order, `size` at a time.

    X (n, d), or sparse: row i has the values[q] in columns[q] for q in starts[i]..starts[i + 1].
    labels, Y, w, losses and hits are of the rows in this order, an epoch's last batch what is left
    of it.  numbers: a row for each step, or one for all, the learning rate first.
    """
    blocks = 0
    in_epoch = (job.epoch + job.size - 1) // job.size
    for steps in range(order.size // job.epoch * in_epoch):
        epoch, step = steps // in_epoch * job.epoch, steps % in_epoch
        start = epoch + step * job.size
        end = min(start + job.size, epoch + job.epoch)
        now = numbers[min(steps, numbers.shape[0] - 1)]
        scale = 1 / (end - start) if job.is_mean else 1.0
        if job.gradient == 0:
            scale = -now[0] * scale
        for first in range(start, end, job.block):
            rows, turn = vector(order, first, min(job.block, end - first)), blocks % 2
            _first_forward(S, job, network[0], part, X, starts, columns, values, rows, turn)
            wait(counts, part.thread, part.threads, 2 * blocks + 1)
            r, r_end = _share(rows.size, part)
            if r < r_end:
                _forward(S, job, network, first - start, r, r_end, turn, steps, words)
                _head(S, job, network, part, first, r, r_end, turn, labels, Y, w, scale,
                      losses, hits)  # fmt: skip
                _backward(S, job, network, part, first - start, r, r_end, turn, words)
                if job.late:
                    _late(S, job, network[network.size - 1], part, r, r_end)
            wait(counts, part.thread, part.threads, 2 * blocks + 2)
            is_first = first == start and job.gradient != 0
            _first_gradient(S, job, network[0], part, starts, columns, values, rows, is_first)
            _gradients(S, job, network, part, rows.size, turn, is_first)
            blocks += 1
        if job.gradient:
            _step(S, job, network, part, now)


@inner
def _share(n, part):
    """Of n things, those of a thread: from, to."""
    return n * part.thread // part.threads, n * (part.thread + 1) // part.threads


@inner
def _first_forward(S, job, layer, part, X, starts, columns, values, rows, turn):
    """Z of the first layer, all rows of the thread's columns."""
    first = part.first * simd.lanes(S)
    z, b = layer.Z + turn * layer.turn + first, layer.b + first if layer.b else 0
    if job.is_sparse:
        call(job.multiply_sparse, (S, starts, columns, values, rows, part.width,
                                   part.W, part.W_row, z, layer.width, b))  # fmt: skip
        return
    d = layer.d
    gather(vector(X, 0, X.size), d, rows, S, part.X, d)
    call(job.multiply, (S, rows.size, part.width, d, part.X, d, 1,
                        part.W, part.W_row, z, layer.width, b, 0))  # fmt: skip


@inner
def _forward(S, job, network, before, r, r_end, turn, steps, words):
    """From Z of the first layer to the logits, for rows r to r_end after `before` of the batch."""
    rows = r_end - r
    for index in range(network.size - 1):
        layer, after = network[index], network[index + 1]
        place = turn * layer.turn + r * layer.width
        z, f, a = layer.Z + place, layer.F + place, layer.A + place
        call(layer.activate, (matrix(S, z, rows, layer.width), vector(S, 0, layer.width),
                              matrix(S, f, rows, layer.width)))  # fmt: skip
        if layer.factor:
            _draw(job, layer, index + 1, before, r, r_end, steps, words)
            _drop(S, layer, before, r, r_end, f, a, words)
        call(job.multiply, (S, rows, after.vectors, layer.m, a, layer.width, 1,
                            after.W, after.W_row, after.Z + r * after.width, after.width,
                            after.b, 0))  # fmt: skip


@inner
def _head(S, job, network, part, start, r, r_end, turn, labels, Y, w, scale, losses, hits):
    """Losses, hits and D of the last layer, for rows r to r_end.

    Labels have code for padded rows; all other kernels want rows of k.
    """
    layer, k, rows = network[network.size - 1], job.k, r_end - r
    z, d = layer.Z + turn * layer.turn + r * layer.width, layer.D + r * layer.width
    start += r
    y, w = vector(labels, start, rows), vector(w, start, rows)
    losses, hits = vector(losses, start, rows), vector(hits, start, rows)
    if job.takes == LABELS:
        softmax_cross_entropy(S, z, d, layer.width, k, y, w, scale, losses, hits)
        return
    logits, D = matrix(S, part.logits, rows, k), matrix(S, part.slopes, rows, k)
    for i in range(rows):
        for j in range(k):
            logits[i, j] = S[z + i * layer.width + j]
    if job.hits:
        call(job.hits, (logits, y, hits))
    if job.takes == LOGITS:
        call(job.loss, (logits, matrix(Y, start * k, rows, k), w, scale, D, losses))
    else:
        call(job.loss, (logits, vector(S, 0, k), matrix(Y, start * k, rows, k), w, scale,
                        D, losses))  # fmt: skip
    _set_rows(S, d, layer.width, D)


@inner
def _late(S, job, layer, part, r, r_end):
    """D of the last layer times the slope of its outputs, which the loss has left for logits."""
    A = matrix(S, part.logits, r_end - r, job.k)
    D = matrix(S, part.slopes, r_end - r, job.k)
    call(job.late, (A, D, D))
    _set_rows(S, layer.D + r * layer.width, layer.width, D)


@inner
def _set_rows(S, place, width, rows):
    n, k = rows.shape
    for i in range(n):
        for j in range(k):
            S[place + i * width + j] = rows[i, j]


@inner
def _backward(S, job, network, part, before, r, r_end, turn, words):
    """D of the layers before the last one, for rows r to r_end."""
    rows = r_end - r
    for index in range(network.size - 1, 0, -1):
        layer, after = network[index - 1], network[index]
        d = layer.D + r * layer.width
        call(job.transpose, (S, after.d, after.m, after.W, after.W_row,
                             part.transpose, layer.width))  # fmt: skip
        call(job.multiply, (S, rows, layer.vectors, after.m,
                            after.D + r * after.width, after.width, 1, part.transpose,
                            layer.width, d, layer.width, 0, 0))  # fmt: skip
        if layer.factor:
            _drop(S, layer, before, r, r_end, d, d, words)
        D = matrix(S, d, rows, layer.width)
        z = layer.Z + turn * layer.turn + r * layer.width
        call(layer.slope, (matrix(S, z, rows, layer.width), D, D))


@inner
def _first_gradient(S, job, layer, part, starts, columns, values, rows, is_first):
    """Add X^T D, of the thread's columns, to the first layer's weights or to their gradient."""
    first, W = part.first * simd.lanes(S), part.W + job.gradient
    d = layer.D + first
    if job.is_sparse:
        for place in range(W, W + layer.d * part.W_row if is_first else W):
            S[place] = 0
        call(job.update_sparse, (S, starts, columns, values, rows, part.width,
                                 d, layer.width, W, part.W_row))  # fmt: skip
    else:
        _accumulate(S, job, layer.d, part.width, rows.size, part.X, 1, layer.d, d, layer.width,
                    W, part.W_row, is_first)  # fmt: skip
    if layer.b:
        _accumulate(S, job, 1, part.width, rows.size, job.one, 0, 0, d, layer.width,
                    layer.b + job.gradient + first, 0, is_first)  # fmt: skip


@inner
def _gradients(S, job, network, part, rows, turn, is_first):
    """Add A^T D, of the thread's rows of W, to the later layers' weights or their gradients."""
    lanes = simd.lanes(S)
    for index in range(1, network.size):
        before, layer = network[index - 1], network[index]
        k, k_end = _share(layer.d, part)
        W = layer.W + job.gradient + k * layer.W_row
        _accumulate(S, job, k_end - k, layer.vectors, rows,
                    before.A + turn * before.turn + k, 1, before.width, layer.D, layer.width,
                    W, layer.W_row, is_first)  # fmt: skip
        if layer.b:
            v, v_end = _share(layer.vectors, part)
            _accumulate(S, job, 1, v_end - v, rows, job.one, 0, 0, layer.D + v * lanes,
                        layer.width, layer.b + job.gradient + v * lanes, 0, is_first)  # fmt: skip


@inner
def _accumulate(S, job, rows, width, depth, a, a_row, a_step, d, d_row, w, w_row, is_first):
    """S[w] += S[a] S[d]; what is there does not count if it is the first."""
    i, i_row = (0, 0) if is_first else (w, w_row)
    call(job.multiply, (S, rows, width, depth, a, a_row, a_step, d, d_row, w, w_row, i, i_row))


@inner
def _step(S, job, network, part, numbers):
    """The optimizer's step, of the weights whose gradients the thread has."""
    lanes = simd.lanes(S)
    first = network[0]
    _step_of(S, job, part.W, first.d * part.W_row, numbers)
    if first.b:
        _step_of(S, job, first.b + part.first * lanes, part.width * lanes, numbers)
    for index in range(1, network.size):
        layer = network[index]
        k, k_end = _share(layer.d, part)
        _step_of(S, job, layer.W + k * layer.W_row, (k_end - k) * layer.W_row, numbers)
        if layer.b:
            v, v_end = _share(layer.vectors, part)
            _step_of(S, job, layer.b + v * lanes, (v_end - v) * lanes, numbers)


@inner
def _step_of(S, job, p, size, numbers):
    g, v, u = p + job.gradient, p + 2 * job.gradient, p + 3 * job.gradient
    call(job.update, (vector(S, p, size), vector(S, g, size), vector(S, v, size),
                      vector(S, u, size), numbers))  # fmt: skip


@inner
def _draw(job, layer, number, before, r, r_end, steps, words):
    """The random bits of elements (r, 0) to (r_end, 0) and what shares a block of four with them.

    Elements count from the batch's first row, `before` rows before.
    """
    step = np.uint64(job.step + steps)
    low, high = np.uint32(step & np.uint64(0xFFFFFFFF)), np.uint32(step >> np.uint64(32))
    first = before * layer.m // 4
    for block in range((before + r) * layer.m // 4, ((before + r_end) * layer.m + 3) // 4):
        place = layer.words + 4 * (block - first)
        words[place], words[place + 1], words[place + 2], words[place + 3] = scalars.philox4x32(
            np.uint32(block), np.uint32(number), low, high,
            np.uint32(job.key_low), np.uint32(job.key_high),
        )  # fmt: skip


@inner
def _drop(S, layer, before, r, r_end, source, target, words):
    """S[target] = S[source] without what is dropped, for rows r to r_end."""
    threshold, factor = np.uint32(layer.threshold), S.dtype.type(layer.factor)
    for i in range(r_end - r):
        bits = layer.words + (before + r + i) * layer.m - before * layer.m // 4 * 4
        for j in range(layer.m):
            S[target + i * layer.width + j] = scalars.dropped(
                S[source + i * layer.width + j], words[bits + j], threshold, factor
            )
