"""Prediction: rows of X to outputs, in one compiled call for a few rows and for many.

As in training, one compiled function per float type serves every network, and LAYER says where
its parts lie and which activations they have.  Zeros of X are left out where there are many.

A few rows are multiplied one by one with the network's own parameters; many rows in blocks,
which stay in the cache from layer to layer, with weights laid out in S as for training, of which
a strip of columns stays there for all rows of a block.
"""

import numpy as np
from numba.extending import register_jitable

from fastnn_kernels import cpu, simd, simd_sparse
from fastnn_kernels.calls import call, local, matrix, vector
from fastnn_kernels.cpu_products import copy_row
from fastnn_kernels.cpu_sparse import nonzero
from fastnn_kernels.jit import inner, jit

LAYER = np.dtype([(name, np.int64) for name in ("d", "m", "W", "b", "z", "width", "activate")])
"""One layer: Z = X W, A = f(Z + b); X (., d), W (d, m).

W, b: places of parameters.  z: a place for Z, and then for A.  width: from row to row of Z and,
of many rows, of W.  activate: the address of a BiasActivation.
"""

JOB = np.dtype([(name, np.int64) for name in ("rows", "X", "multiply")])
"""Of many rows: how many make a block, a place for a block of X, and an address."""

NARROW = 64  # columns of X; zeros of fewer are not looked for
SPARSE = 0.35  # of a block's X not zero, above which skipping zeros takes longer


@jit
def predict_few(X, out, P, network, room, numbers):
    """out (n, k) of X (n, d), row by row, from the flat parameters P; whether X is finite.

    room, numbers: for what is between, empty where LOCAL of each are enough; places of Z are in
    room, and it begins with zeros, the biases of layers without, whose b is -1.
    """
    S, columns = local(X.dtype), local(np.int32)
    if room.size:
        S, columns = room, numbers
    if network[0].b < 0:
        for j in range(network[0].z):
            S[j] = 0
    for i in range(X.shape[0]):
        if not _is_finite(X, i):
            return False
        A = vector(X, i * X.shape[1], X.shape[1])
        for index in range(network.size):
            layer = network[index]
            Z, z = S, layer.z
            if index + 1 == network.size:
                Z, z = vector(out, 0, out.size), i * layer.m
            end, j = nonzero(A, layer.d, columns, 0), 0
            while j < layer.m:
                j += _strip(A, columns, 0, end, P, layer.W + j, layer.m, layer.m - j, Z, z + j)
            b = vector(P, layer.b, layer.m) if layer.b >= 0 else vector(S, 0, layer.m)
            T = matrix(Z, z, 1, layer.m)
            call(layer.activate, (T, b, T))
            A = vector(Z, z, layer.m)
    return True


@jit
def pack(P, few, S, many):
    """The weights from P to S, in rows of whole vectors, whose ends are zero."""
    for index in range(few.size):
        source, target = few[index], many[index]
        for k in range(source.d):
            row, place = source.W + k * source.m, target.W + k * target.width
            copy_row(P, row, source.m, S, place, target.width)
        if source.b >= 0:
            copy_row(P, source.b, source.m, S, target.b, target.width)


@jit
def predict_many(X, out, S, columns, network, jobs, room):
    """out (n, k) of X (n, d), in blocks; whether X is finite.

    S holds the weights and, from `room` on, the block's X and Z; it begins with zeros.  columns:
    room for the rows of a block and one, its numbers, and a vector.
    """
    job, last = jobs[0], network[network.size - 1]
    for r in range(0, X.shape[0], job.rows):
        rows = min(job.rows, X.shape[0] - r)
        if not _first_layer(X, S, columns, network[0], job, room, r, rows):
            return False
        for index in range(1, network.size):
            before, layer = network[index - 1], network[index]
            A = matrix(S, room + before.z, rows, before.width)
            call(before.activate, (A, vector(S, before.b, before.width), A))
            call(job.multiply, (S, rows, layer.width // simd.lanes(S), layer.d,
                                room + before.z, before.width, 1, layer.W, layer.width,
                                room + layer.z, layer.width, 0, 0))  # fmt: skip
        for i in range(rows):
            for j in range(last.m):
                out[r + i, j] = S[room + last.z + i * last.width + j]
        T = matrix(out, r * last.m, rows, last.m)
        call(last.activate, (T, vector(S, last.b, last.m), T))
    return True


@inner
def _first_layer(X, S, columns, layer, job, room, r, rows):
    """Z of rows r to r + rows; whether they are finite."""
    d, z, x, numbers = layer.d, room + layer.z, room + job.X, vector(X, 0, X.size)
    if d >= NARROW and _find_nonzero(X, columns, job.rows + 1, r, rows):
        done = wide = 0
        while done < layer.width:  # a strip of W stays in the cache for all rows
            for i in range(rows):
                if done == 0 and not _is_finite(X, r + i):
                    return False
                wide = _strip(vector(X, (r + i) * d, d), columns, columns[i], columns[i + 1],
                           S, layer.W + done, layer.width, layer.width - done,
                           S, z + i * layer.width + done)  # fmt: skip
            done += wide
        return True
    for i in range(rows):
        if not _is_finite(X, r + i):
            return False
        copy_row(numbers, (r + i) * d, d, S, x + i * d, d)
    call(job.multiply, (S, rows, layer.width // simd.lanes(S), d, x, d, 1,
                        layer.W, layer.width, z, layer.width, 0, 0))  # fmt: skip
    return True


@inner
def _find_nonzero(X, columns, start, r, rows):
    """Row i of r to r + rows has its in columns[columns[i] : columns[i + 1]]; False if too many."""
    end, d = start, X.shape[1]
    columns[0] = end
    for i in range(rows):
        end = nonzero(vector(X, (r + i) * d, d), d, columns, end)
        columns[i + 1] = end
        if end - start > SPARSE * d * rows:
            return False
    return True


_four, _two, _one = (
    simd_sparse.row_tile(vectors, sets) for vectors, sets in ((4, 2), (2, 4), (1, 4))
)


@inner
def _strip(A, columns, first, end, W, w, w_row, m, C, c):
    """The first numbers of C[c] (m,) = A W[w], where A is not zero; how many at most."""
    lanes = simd.lanes(C)
    vectors = (m + lanes - 1) // lanes
    if vectors >= 4:
        _four(A, columns, first, end, W, w, w_row, min(lanes, m - 3 * lanes), C, c)
        return 4 * lanes
    if vectors >= 2:
        _two(A, columns, first, end, W, w, w_row, min(lanes, m - lanes), C, c)
        return 2 * lanes
    _one(A, columns, first, end, W, w, w_row, m, C, c)
    return lanes


@register_jitable(**cpu.IN_ANY_ORDER)
def _is_finite(X, i):
    """Whether row i is: infinity and NaN times zero are NaN."""
    total = zero = X.dtype.type(0)
    for j in range(X.shape[1]):
        total += X[i, j] * zero
    return total == zero
