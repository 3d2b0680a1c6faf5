"""Dual form: training on one sample at a time, exactly, with the first layer's work in chunks.

For sample s of a chunk, plain SGD has X_s W + b = Z_s + sum over t < s of (X_s . X_t + 1) D_t,
where Z_s is taken with the weights before the chunk and D_t is the step of sample t along its
pre-activation.  So W is read and written once in a chunk: Z for all its samples, the Gram
matrix G = X X^T + 1, the samples one by one on (1, m) vectors, and W += X^T D at the end.  Nothing
is approximated; sums are taken in another order.

For one hidden layer.  Threads divide its columns, and exchange what each has of the logits.
"""

import numpy as np

from fastnn_kernels import simd, simd_sparse
from fastnn_kernels.barrier import wait
from fastnn_kernels.calls import call, matrix, vector
from fastnn_kernels.cpu_products import gather
from fastnn_kernels.cpu_softmax import softmax_cross_entropy
from fastnn_kernels.cpu_training import LABELS, LOGITS, integers
from fastnn_kernels.cpu_wide import CHUNK
from fastnn_kernels.jit import inner, jit

PART = np.dtype(integers(
    "thread threads first columns width half row d k wide W b V c Z D z f G X X_row T logits "
    "slopes late sums apart spare activate slope"
))  # fmt: skip
"""What one thread has: `columns` of the hidden layer from `first` on, which fill `width` vectors.

W (d, row), b (row): of the hidden layer; V (k, row): the output layer's weights, transposed;
c (k): its biases, the same in all threads.  Z, D (CHUNK, row), z, f (row): see above, f = f(z).
G (CHUNK, CHUNK), X (CHUNK, d), whose rows are X_row apart, and T = X^T, zero where there is no
number; both with room for whole vectors of d.  logits, slopes: (k,), padded to `wide`.  late: where
slopes lie, or room for those of the output layer's own parameters.  sums: (2, 2, k) that both
threads have, `apart` from each other: the halves of the logits, and of the next ones.  spare: (2,),
for what another thread tells.
half: of the width, what comes first in the sums; a single thread takes both halves.
activate, slope: addresses.  b, c: 0 without biases, where zeros lie.
"""


@jit
def train_samples(
    S, job, part, counts, X, starts, columns, values, order, labels, Y, w, numbers, masks, losses,
    hits,
):  # fmt: skip
    """Train on the rows of X in this order, one by one; see cpu_training.train.

    masks (d,): bit s is set where sample s of the chunk has a number that is not zero.
    """
    in_epoch = (job.epoch + CHUNK - 1) // CHUNK
    for chunk in range(order.size // job.epoch * in_epoch):
        epoch = chunk // in_epoch * job.epoch
        start = epoch + chunk % in_epoch * CHUNK
        rows = vector(order, start, min(CHUNK, epoch + job.epoch - start))
        if job.is_sparse:
            _gather_sparse(S, job, part, starts, columns, values, rows, masks)
        else:
            _gather(S, job, part, X, rows)
        for s in range(rows.size):
            now = numbers[min(start + s, numbers.shape[0] - 1)]
            _sample(S, job, part, counts, start + s, s, labels, Y, w, -now[0], losses, hits)
        _apply(S, job, part, rows.size, masks)


@inner
def _gather(S, job, part, X, rows):
    """X, T, Z and G of a chunk."""
    d, row, vectors = part.d, part.X_row, CHUNK // simd.lanes(S)
    gather(vector(X, 0, X.size), d, rows, S, part.X, row)
    call(job.transpose, (S, CHUNK, row, part.X, row, part.T, CHUNK))
    call(job.multiply, (S, rows.size, part.width, d, part.X, row, 1, part.W, part.row,
                        part.Z, part.row, part.b, 0))  # fmt: skip
    call(job.multiply, (S, rows.size, vectors, d, part.X, row, 1, part.T, CHUNK,
                        part.G, CHUNK, job.one if part.b else 0, 0))  # fmt: skip


_gram = simd_sparse.tile(1, 4)


@inner
def _gather_sparse(S, job, part, starts, columns, values, rows, masks):
    """T, masks, Z and G of a chunk.  T has the samples before each one as its row of G is made."""
    call(job.wide_sparse, (S, starts, columns, values, rows, part.W, part.row,
                           part.Z, part.row, part.b))  # fmt: skip
    for s in range(rows.size):
        bit, first, end = np.uint64(1) << np.uint64(s), starts[rows[s]], starts[rows[s] + 1]
        for t in range(0, CHUNK, simd.lanes(S)):
            _gram(S, columns, values, first, end, part.T + t, CHUNK, part.G + s * CHUNK + t,
                  job.one if part.b else 0)  # fmt: skip
        places, numbers = vector(columns, first, end - first), vector(values, first, end - first)
        for q in range(places.size):
            column = np.uint64(places[q])  # one that is not negative takes less time
            S[np.uint64(part.T + s) + column * np.uint64(CHUNK)] = numbers[q]
            masks[column] |= bit


@inner
def _sample(S, job, part, counts, i, s, labels, Y, w, scale, losses, hits):
    """One step of everything but W and b, and D of the sample, which is theirs."""
    d, row, k = part.D + s * part.row, part.row, part.k
    call(job.wide, (S, s, part.G + s * CHUNK, part.D, row, part.z, part.Z + s * row))
    z, f = matrix(S, part.z, 1, row), matrix(S, part.f, 1, row)
    call(part.activate, (z, vector(S, 0, row), f))
    for j in range(part.columns, part.width * simd.lanes(S)):
        S[part.f + j] = 0  # what pads it would count in the logits
    _logits(S, part, counts, i)
    _losses(S, job, part, i, labels, Y, w, scale, losses, hits)
    if job.late:
        _late(S, job, part)
    call(job.wide_and_update, (S, k, part.slopes, part.late, part.V, row, part.f, d))
    if part.c:
        for j in range(k):
            S[part.c + j] += S[part.late + j]
    D = matrix(S, d, 1, row)
    call(part.slope, (z, D, D))


@inner
def _logits(S, part, counts, i):
    """c + V f: the sums of both halves of f, added in one order by any number of threads."""
    k, first = part.k, part.sums + i % 2 * 2 * part.apart
    second, lanes = first + part.apart, simd.lanes(S)
    for j in range(k):
        v = part.V + j * part.row
        if part.threads == 1:
            S[first + j] = simd.dot(S, part.f, v, part.half)
            S[second + j] = simd.dot(
                S, part.f + part.half * lanes, v + part.half * lanes, part.width - part.half
            )
        else:
            S[(second if part.thread else first) + j] = simd.dot(S, part.f, v, part.width)
    wait(counts, part.thread, part.threads, i + 1)
    for j in range(k):
        S[part.logits + j] = S[part.c + j] + (S[first + j] + S[second + j])


@inner
def _losses(S, job, part, i, labels, Y, w, scale, losses, hits):
    """Of sample i, and the slopes of its logits times scale."""
    k = part.k
    logits, D = matrix(S, part.logits, 1, k), matrix(S, part.slopes, 1, k)
    y, w = vector(labels, i, 1), vector(w, i, 1)
    if part.thread:  # the first one writes them: a cache line that two write is slow
        losses, hits = vector(S, part.spare, 1), vector(S, part.spare + 1, 1)
    else:
        losses, hits = vector(losses, i, 1), vector(hits, i, 1)
    if job.takes == LABELS:
        softmax_cross_entropy(S, part.logits, part.slopes, part.wide, k, y, w, scale, losses, hits)
        return
    if job.hits:
        call(job.hits, (logits, y, hits))
    if job.takes == LOGITS:
        call(job.loss, (logits, matrix(Y, i * k, 1, k), w, scale, D, losses))
    else:
        call(job.loss, (logits, vector(S, 0, k), matrix(Y, i * k, 1, k), w, scale, D, losses))


@inner
def _late(S, job, part):
    """The slopes times those of the outputs, which the loss has left for logits."""
    slopes, late = matrix(S, part.slopes, 1, part.k), matrix(S, part.late, 1, part.k)
    call(job.late, (matrix(S, part.logits, 1, part.k), slopes, late))


@inner
def _apply(S, job, part, n, masks):
    """W += X^T D and b += the sum of D's rows, of n samples."""
    if job.is_sparse:
        call(job.update_masked, (S, masks, part.T, part.D, part.W, part.row))
    else:
        call(job.multiply, (S, part.d, part.width, n, part.T, CHUNK, 1, part.D, part.row,
                            part.W, part.row, part.W, part.row))  # fmt: skip
    if part.b:
        call(job.multiply, (S, 1, part.width, n, job.one, 0, 0, part.D, part.row,
                            part.b, 0, part.b, 0))  # fmt: skip
