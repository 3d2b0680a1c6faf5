"""Tiles of matrix products that are held in registers, and the transpose of a block."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastnn_kernels.simd import INDEX, INT32, Code, named


def tile(rows: int, vectors: int) -> Any:
    """S[c] = S[i] + S[a] S[b], for so many rows and vectors of columns and any depth.

    a_step is the distance along a row of A, so that A may be a transpose; i_row = 0 repeats one
    row, and i may be c.
    """

    def product(typing_context, S, depth, a, a_row, a_step, b, b_row, c, c_row, i, i_row):
        def codegen(context, builder, signature, args):
            S, depth, a, a_row, a_step, b, b_row, c, c_row, i, i_row = args
            code = Code(context, builder, signature.args[0])
            S = code.pointer(signature.args[0], S)
            places = [(r, v) for r in range(rows) for v in range(vectors)]
            sums = code.variables([code.zero for _ in places])
            with code.loop(INDEX(0), depth) as k:
                B = [code.load(S, code.at(b, k, b_row, v)) for v in range(vectors)]
                start = code.at(a, k, a_step)
                A = [code.element(S, code.at(start, r, a_row)) for r in range(rows)]
                for (r, v), total in zip(places, sums, strict=True):
                    builder.store(code.multiply_add(A[r], B[v], builder.load(total)), total)
            for (r, v), total in zip(places, sums, strict=True):
                start = code.load(S, code.at(i, r, i_row, v))  # last: small terms are summed first
                code.store(builder.fadd(builder.load(total), start), S, code.at(c, r, c_row, v))
            return context.get_dummy_value()

        return types.none(S, *[types.intp] * 10), codegen

    return named(product, rows, vectors)


def dots(rows: int, columns: int) -> Any:
    """S[c] (rows, columns) = S[i] + the dot products of rows of A with rows of B.

    A and B are so many vectors deep; i_row = 0 repeats one row of I, and i may be c.
    """

    def products(typing_context, S, depth, a, a_row, b, b_row, c, c_row, i, i_row):
        def codegen(context, builder, signature, args):
            S, depth, a, a_row, b, b_row, c, c_row, i, i_row = args
            code = Code(context, builder, signature.args[0])
            S = code.pointer(signature.args[0], S)
            places = [(r, j) for r in range(rows) for j in range(columns)]
            sums = code.variables([code.zero for _ in places])
            with code.loop(INDEX(0), depth) as v:
                shift = builder.mul(v, INDEX(code.lanes))
                A, B = (
                    [code.load(S, builder.add(code.at(x, r, x_row), shift)) for r in range(count)]
                    for x, x_row, count in ((a, a_row, rows), (b, b_row, columns))
                )
                for (r, j), total in zip(places, sums, strict=True):
                    builder.store(code.multiply_add(A[r], B[j], builder.load(total)), total)
            for (r, j), total in zip(places, sums, strict=True):
                here, start = (
                    builder.gep(S, [builder.add(code.at(x, r, x_row), INDEX(j))])
                    for x, x_row in ((c, c_row), (i, i_row))
                )
                start = builder.load(start, typ=code.number)
                builder.store(builder.fadd(code.sum_of_lanes(builder.load(total)), start), here)
            return context.get_dummy_value()

        return types.none(S, *[types.intp] * 9), codegen

    return named(products, rows, columns)


def product_and_update(vectors: int) -> Any:
    """S[c] = S[x] S[v], x and y (depth,), v (depth, v_row), and then S[v] += S[y]^T S[f]."""

    def product(typing_context, S, depth, x, y, v, v_row, f, c):
        def codegen(context, builder, signature, args):
            S, depth, x, y, v, v_row, f, c = args
            code = Code(context, builder, signature.args[0])
            S = code.pointer(signature.args[0], S)
            sums = code.variables([code.zero] * vectors)
            with code.loop(INDEX(0), depth) as k:
                X, Y = (code.element(S, builder.add(place, k)) for place in (x, y))
                row = code.at(v, k, v_row)
                for j, total in enumerate(sums):
                    place = code.at(row, 0, v_row, j)
                    V, F = code.load(S, place), code.load(S, code.at(f, 0, v_row, j))
                    builder.store(code.multiply_add(X, V, builder.load(total)), total)
                    code.store(code.multiply_add(Y, F, V), S, place)
            for j, total in enumerate(sums):
                code.store(builder.load(total), S, code.at(c, 0, v_row, j))
            return context.get_dummy_value()

        return types.none(S, *[types.intp] * 7), codegen

    return named(product, vectors)


@intrinsic
def transpose(typing_context, S, a, a_row, c, c_row):
    """A block of as many rows as a vector has lanes: S[c] = the transpose of S[a].

    Blocks of 1, 2, 4, ... rows and columns change places, each step by shuffling two vectors.
    """

    def codegen(context, builder, signature, args):
        S, a, a_row, c, c_row = args
        code = Code(context, builder, signature.args[0])
        S, n = code.pointer(signature.args[0], S), code.lanes
        lanes = ir.VectorType(INT32, n)
        rows = [code.load(S, code.at(a, r, a_row)) for r in range(n)]
        half = n // 2
        while half:
            # Lane j of the upper row keeps its place, or comes from the lower one's lane j - half.
            keeps = [not j & half for j in range(n)]
            upper = [j if keeps[j] else n + j - half for j in range(n)]
            lower = [j + half if keeps[j] else n + j for j in range(n)]
            for r in range(n):
                if not r & half:
                    x, y = rows[r], rows[r + half]
                    rows[r] = builder.shuffle_vector(x, y, ir.Constant(lanes, upper))
                    rows[r + half] = builder.shuffle_vector(x, y, ir.Constant(lanes, lower))
            half //= 2
        for r, row in enumerate(rows):
            code.store(row, S, code.at(c, r, c_row))
        return context.get_dummy_value()

    return types.none(S, *[types.intp] * 4), codegen
