"""Wide: products with whole rows of the hidden layer's weights, compiled for their width.

So each row is read once, while its sums stay in registers.  Rows that these do not hold are taken
in two parts.  Widths are counted in vectors.
"""

from functools import cache
from typing import Any

from fastnn_kernels import simd, simd_sparse, simd_tiles
from fastnn_kernels.cpu_products import ask_ahead
from fastnn_kernels.jit import jit

CHUNK = 16  # samples of the dual form: more are fewer passes over W, and longer corrections
WIDEST = 16 if simd.TILE == 24 else 8  # vectors of a row of W that registers hold


@cache
def product(width: int) -> Any:
    """S[c] = S[i] + S[a] (depth,) S[b] (depth, width)."""
    first = min(width, WIDEST)
    of_first, of_rest = simd_tiles.tile(1, first), simd_tiles.tile(1, width - first)

    @jit
    def multiply(S, depth, a, b, b_row, c, i):
        rest = first * simd.lanes(S)
        of_first(S, depth, a, 0, 1, b, b_row, c, 0, i, 0)
        if width > first:
            of_rest(S, depth, a, 0, 1, b + rest, b_row, c + rest, 0, i + rest, 0)

    return multiply


@cache
def product_and_update(width: int) -> Any:
    """S[c] = S[x] (depth,) S[v] (depth, width), and then S[v] += S[y]^T S[f]."""
    first = min(width, WIDEST)
    of_first, of_rest = (
        simd_tiles.product_and_update(first),
        simd_tiles.product_and_update(width - first),
    )

    @jit
    def multiply(S, depth, x, y, v, v_row, f, c):
        rest = first * simd.lanes(S)
        of_first(S, depth, x, y, v, v_row, f, c)
        if width > first:
            of_rest(S, depth, x, y, v + rest, v_row, f + rest, c + rest)

    return multiply


@cache
def sparse_product(width: int) -> Any:
    """S[c] = S[i], repeated, + X[order] S[b] (d, width); X is sparse."""
    first = min(width, WIDEST)
    of_first, of_rest = simd_sparse.tile(first, 1), simd_sparse.tile(width - first, 1)

    @jit
    def multiply(S, starts, columns, values, order, b, b_row, c, c_row, i):
        rest = first * simd.lanes(S)
        for r in range(order.size):
            q, end, row = starts[order[r]], starts[order[r] + 1], c + r * c_row
            ask_ahead(starts, columns, values, order, r)
            of_first(S, columns, values, q, end, b, b_row, row, i)
            if width > first:
                of_rest(S, columns, values, q, end, b + rest, b_row, row + rest, i + rest)

    return multiply


@cache
def masked_update(width: int) -> Any:
    """The update of W (d, width) by columns of T (d, CHUNK) and rows of D.

    W is read and written once where a mask has a bit; masks and T are zero after it.
    """
    first = min(width, WIDEST)
    of_first, of_rest = simd_sparse.masked_update(first), simd_sparse.masked_update(width - first)

    @jit
    def update(S, masks, t, d, w, row):
        rest = first * simd.lanes(S)
        for i in range(masks.size):
            if masks[i]:
                T, W = t + i * CHUNK, w + i * row
                of_first(S, masks[i], T, d, row, W)
                if width > first:
                    of_rest(S, masks[i], T, d + rest, row, W + rest)
                for s in range(CHUNK):
                    S[T + s] = 0
                masks[i] = 0

    return update
