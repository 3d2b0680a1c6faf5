"""Products: C = I + A B over places in one vector S, with a dense and with a sparse A.

See simd.tile for the places; a width is counted in vectors.  I may be a row of zeros or of
biases (i_row = 0), or C itself.
"""

from functools import cache
from typing import Any

from fastnn_kernels import simd
from fastnn_kernels.jit import inner, jit

CHUNK = 16  # samples of the dual form: more are fewer passes over W, and longer corrections
WIDEST = 16 if simd.TILE == 24 else 8  # vectors of a row of W that registers hold


def _strip(vectors: int) -> Any:
    """The product for so many vectors of columns, as many rows at a time as registers hold."""
    many = min(simd.TILE // vectors, 12)
    some = many // 3
    many_rows, some_rows, one_row = (simd.tile(rows, vectors) for rows in (many, some, 1))

    @inner
    def strip(S, rows, depth, a, a_row, a_step, b, b_row, c, c_row, i, i_row):
        r = 0
        while r + many <= rows:
            many_rows(S, depth, a + r * a_row, a_row, a_step, b, b_row,
                      c + r * c_row, c_row, i + r * i_row, i_row)  # fmt: skip
            r += many
        while r + some <= rows:
            some_rows(S, depth, a + r * a_row, a_row, a_step, b, b_row,
                      c + r * c_row, c_row, i + r * i_row, i_row)  # fmt: skip
            r += some
        while r < rows:
            one_row(S, depth, a + r * a_row, a_row, a_step, b, b_row,
                    c + r * c_row, c_row, i + r * i_row, i_row)  # fmt: skip
            r += 1

    return strip


_four, _two, _one = _strip(4), _strip(2), _strip(1)


@jit
def product(S, rows, width, depth, a, a_row, a_step, b, b_row, c, c_row, i, i_row):
    """S[c] (rows, width vectors) = S[i] + S[a] (rows, depth) S[b] (depth, width vectors)."""
    lanes, v = simd.lanes(S), 0
    while v + 4 <= width and simd.TILE == 24:
        j = v * lanes
        _four(S, rows, depth, a, a_row, a_step, b + j, b_row, c + j, c_row, i + j, i_row)
        v += 4
    while v + 2 <= width:
        j = v * lanes
        _two(S, rows, depth, a, a_row, a_step, b + j, b_row, c + j, c_row, i + j, i_row)
        v += 2
    if v < width:
        j = v * lanes
        _one(S, rows, depth, a, a_row, a_step, b + j, b_row, c + j, c_row, i + j, i_row)


@jit
def transpose(S, rows, columns, a, a_row, c, c_row):
    """S[c] (columns, rows) = the transpose of S[a] (rows, columns), in whole blocks of vectors."""
    lanes = simd.lanes(S)
    for r in range(0, rows, lanes):
        for j in range(0, columns, lanes):
            simd.transpose(S, a + r * a_row + j, a_row, c + j * c_row + r, c_row)


@inner
def copy_row(A, a, size, C, c, width):
    """C[c] (width,) = A[a] (size,) and zeros, in whole vectors."""
    for j in range(0, width, simd.lanes(A)):
        simd.copy(A, a + j, size - j, C, c + j)


_sparse = {n: (simd.sparse_tile(n), simd.sparse_update(n)) for n in (4, 2, 1)}
(_multiply_4, _update_4), (_multiply_2, _update_2), (_multiply_1, _update_1) = _sparse.values()


@jit
def sparse_product(S, starts, columns, values, order, width, b, b_row, c, c_row, i):
    """S[c] (rows, width vectors) = S[i], repeated, + X[order] S[b]; X is sparse."""
    lanes = simd.lanes(S)
    for r in range(order.size):
        first, end = starts[order[r]], starts[order[r] + 1]
        j, j_end, row = 0, width * lanes, c + r * c_row
        if r + 1 < order.size:  # in an order of chance the next row comes from memory
            for q in range(starts[order[r + 1]], starts[order[r + 1] + 1], 16):
                simd.prefetch(columns, q)
                simd.prefetch(values, q)
        while j + 4 * lanes <= j_end:
            _multiply_4(S, columns, values, first, end, b + j, b_row, row + j, i + j)
            j += 4 * lanes
        if j + 2 * lanes <= j_end:
            _multiply_2(S, columns, values, first, end, b + j, b_row, row + j, i + j)
            j += 2 * lanes
        if j < j_end:
            _multiply_1(S, columns, values, first, end, b + j, b_row, row + j, i + j)


@jit
def sparse_update(S, starts, columns, values, order, width, d, d_row, w, w_row):
    """S[w] += X[order]^T S[d] (rows, width vectors); X is sparse."""
    lanes = simd.lanes(S)
    for r in range(order.size):
        first, end = starts[order[r]], starts[order[r] + 1]
        j, j_end, row = 0, width * lanes, d + r * d_row
        while j + 4 * lanes <= j_end:
            _update_4(S, columns, values, first, end, row + j, w + j, w_row)
            j += 4 * lanes
        if j + 2 * lanes <= j_end:
            _update_2(S, columns, values, first, end, row + j, w + j, w_row)
            j += 2 * lanes
        if j < j_end:
            _update_1(S, columns, values, first, end, row + j, w + j, w_row)


@cache
def masked_update(width: int) -> Any:
    """The update of W (d, width vectors) by columns of T (d, CHUNK) and rows of D.

    W is read and written once where a mask has a bit; masks and T are zero after it.
    """
    first = min(width, WIDEST)
    update_first, update_rest = simd.masked_update(first), simd.masked_update(width - first)

    @jit
    def update(S, masks, t, d, w, row):
        rest = first * simd.lanes(S)
        for i in range(masks.size):
            if masks[i]:
                T, W = t + i * CHUNK, w + i * row
                update_first(S, masks[i], T, d, row, W)
                if width > first:
                    update_rest(S, masks[i], T, d + rest, row, W + rest)
                for s in range(CHUNK):
                    S[T + s] = 0
                masks[i] = 0

    return update
