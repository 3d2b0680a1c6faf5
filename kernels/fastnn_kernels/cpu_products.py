"""Products: C = I + A B over places in one vector S, with a dense and with a sparse A.

See simd_tiles.tile for the places; a width is counted in vectors.  I may be a row of zeros or of
biases (i_row = 0), or C itself.
"""

from typing import Any

from fastnn_kernels import simd, simd_sparse, simd_tiles
from fastnn_kernels.jit import inner, jit

AHEAD = 3  # In an order of chance rows come from memory: each is asked for so many rows before.
VECTORS = 64 // simd.BYTES  # in a line of the caches


def _strip(vectors: int) -> Any:
    """The product for so many vectors of columns, as many rows at a time as registers hold."""
    many = min(simd.TILE // vectors, 12)
    some = many // 3
    many_rows, some_rows, one_row = (simd_tiles.tile(rows, vectors) for rows in (many, some, 1))

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
            simd_tiles.transpose(S, a + r * a_row + j, a_row, c + j * c_row + r, c_row)


@inner
def copy_row(A, a, size, C, c, width):
    """C[c] (width,) = A[a] (size,) and zeros, in whole vectors."""
    for j in range(0, width, simd.lanes(A)):
        simd.copy(A, a + j, size - j, C, c + j)


@inner
def gather(A, d, order, C, c, width):
    """C[c] (rows, width) = the rows `order` of A (., d), and zeros, in whole vectors."""
    for r in range(order.size):
        for k in _ahead(r, order.size):
            ask(A, order[k] * d, (order[k] + 1) * d)
        copy_row(A, order[r] * d, d, C, c + r * width, width)


@inner
def ask_ahead(starts, columns, values, order, r):
    """For the sparse rows after order[r] whose time it is."""
    for k in _ahead(r, order.size):
        ask(columns, starts[order[k]], starts[order[k] + 1])
        ask(values, starts[order[k]], starts[order[k] + 1])


@inner
def _ahead(r, rows):
    """Which rows to ask for at row r: the one that comes AHEAD later, and first those before it."""
    return range(r + AHEAD if r else 1, min(r + AHEAD + 1, rows))


@inner
def ask(array, first, end):
    """For the cache lines of array[first:end], but for the end where they begin within a line."""
    for place in range(first, end, VECTORS * simd.lanes(array)):
        simd.prefetch(array, place)


_sparse = {n: (simd_sparse.tile(n, 1), simd_sparse.update(n)) for n in (4, 2, 1)}
(_multiply_4, _update_4), (_multiply_2, _update_2), (_multiply_1, _update_1) = _sparse.values()


@jit
def sparse_product(S, starts, columns, values, order, width, b, b_row, c, c_row, i):
    """S[c] (rows, width vectors) = S[i], repeated, + X[order] S[b]; X is sparse."""
    lanes = simd.lanes(S)
    for r in range(order.size):
        first, end = starts[order[r]], starts[order[r] + 1]
        j, j_end, row = 0, width * lanes, c + r * c_row
        ask_ahead(starts, columns, values, order, r)
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
