"""Tiles of products with sparse rows, which are held in registers, and where a row is not zero.

A sparse row has values[q] in columns[q], first <= q < end; a mask has a bit for each of a few rows.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastnn_kernels.simd import INDEX, INT32, Code, named


def tile(vectors: int, sets: int) -> Any:
    """S[c] = S[i] + the sum over q in first..end of values[q] S[b + columns[q] b_row]."""

    def product(typing_context, S, columns, values, first, end, b, b_row, c, i):
        def codegen(context, builder, signature, args):
            S, columns, values, first, end, b, b_row, c, i = args
            code = Code(context, builder, signature.args[0])
            S, columns, values = map(code.pointer, signature.args, (S, columns, values))

            def add(q: Any, totals: list[Any]) -> None:
                row = code.at(b, _column(builder, columns, q), b_row)
                x = code.element(values, q)
                for v, total in enumerate(totals):
                    B = code.load(S, code.at(row, 0, b_row, v))
                    builder.store(code.multiply_add(x, B, builder.load(total)), total)

            start = [code.load(S, code.at(i, 0, b_row, v)) for v in range(vectors)]
            for v, total in enumerate(code.sums_of_terms(first, end, sets, start, add)):
                code.store(total, S, code.at(c, 0, b_row, v))
            return context.get_dummy_value()

        return types.none(S, columns, values, *[types.intp] * 6), codegen

    return named(product, vectors, sets)


def update(vectors: int) -> Any:
    """S[w + columns[q] w_row] += values[q] S[d] for q in first..end."""

    def add(typing_context, S, columns, values, first, end, d, w, w_row):
        def codegen(context, builder, signature, args):
            S, columns, values, first, end, d, w, w_row = args
            code = Code(context, builder, signature.args[0])
            S, columns, values = map(code.pointer, signature.args, (S, columns, values))
            D = [code.load(S, code.at(d, 0, w_row, v)) for v in range(vectors)]
            with code.loop(first, end) as q:
                row = code.at(w, _column(builder, columns, q), w_row)
                x = code.element(values, q)
                for v in range(vectors):
                    place = code.at(row, 0, w_row, v)
                    code.store(code.multiply_add(x, D[v], code.load(S, place)), S, place)
            return context.get_dummy_value()

        return types.none(S, columns, values, *[types.intp] * 5), codegen

    return named(add, vectors)


def masked_update(vectors: int) -> Any:
    """S[w] += S[t + s] S[d + s d_row], for the bits s of mask."""

    def update(typing_context, S, mask, t, d, d_row, w):
        def codegen(context, builder, signature, args):
            S, mask, t, d, d_row, w = args
            code = Code(context, builder, signature.args[0])
            S = code.pointer(signature.args[0], S)
            places = [code.at(w, 0, d_row, v) for v in range(vectors)]
            sums = code.variables([code.load(S, place) for place in places])
            (left,) = code.variables([mask])
            with code.loop(INDEX(0), builder.ctpop(mask)):
                bits = builder.load(left)
                s = builder.cttz(bits, ir.Constant(ir.IntType(1), 1))
                builder.store(builder.and_(bits, builder.sub(bits, INDEX(1))), left)
                x, row = code.element(S, builder.add(t, s)), code.at(d, s, d_row)
                for v, total in enumerate(sums):
                    D = code.load(S, code.at(row, 0, d_row, v))
                    builder.store(code.multiply_add(x, D, builder.load(total)), total)
            for place, total in zip(places, sums, strict=True):
                code.store(builder.load(total), S, place)
            return context.get_dummy_value()

        return types.none(S, types.uint64, *[types.intp] * 4), codegen

    return named(update, vectors)


def row_tile(vectors: int, sets: int) -> Any:
    """C[c] = the sum over q in first..end of A[columns[q]] W[w + columns[q] w_row].

    Of the last vector, only `last` numbers are read and written.
    """

    def product(typing_context, A, columns, first, end, W, w, w_row, last, C, c):
        def codegen(context, builder, signature, args):
            A, columns, first, end, W, w, w_row, last, C, c = args
            code = Code(context, builder, signature.args[0])
            A, columns, W, C = (code.pointer(signature.args[i], args[i]) for i in (0, 1, 4, 8))
            is_there = code.first_lanes(last)

            def add(q: Any, totals: list[Any]) -> None:
                column = _column(builder, columns, q)
                row, x = code.at(w, column, w_row), code.element(A, column)
                for v, total in enumerate(totals):
                    place = code.at(row, 0, w_row, v)
                    is_last = v == vectors - 1
                    row_part = (
                        code.load_some(is_there, W, place) if is_last else code.load(W, place)
                    )
                    builder.store(code.multiply_add(x, row_part, builder.load(total)), total)

            sums = code.sums_of_terms(first, end, sets, [code.zero] * vectors, add)
            for v, total in enumerate(sums):
                place = code.at(c, 0, w_row, v)
                if v < vectors - 1:
                    code.store(total, C, place)
                else:
                    code.store_some(is_there, total, C, place)
            return context.get_dummy_value()

        integer = types.intp
        kinds = A, columns, integer, integer, W, integer, integer, integer, C, integer
        return types.none(*kinds), codegen

    return named(product, vectors, sets)


@intrinsic
def nonzero(typing_context, A, a, columns, base, q):
    """columns[q:] = base + those lanes of the vector A[a] that are not zero; returns q past them.

    NaN is not zero.  What follows up to a whole vector of columns is spoiled.
    """

    def codegen(context, builder, signature, args):
        A, a, columns, base, q = args
        code = Code(context, builder, signature.args[0])
        A, columns = code.pointer(signature.args[0], A), code.pointer(signature.args[2], columns)
        x = code.load(A, a)
        return _compress(code, x, [(_numbers(code, base), columns)], q)

    return types.intp(A, types.intp, columns, types.intp, types.intp), codegen


@intrinsic
def nonzero_and_values(typing_context, A, a, columns, values, base, q):
    """The same, and values[q:] = those numbers of A[a]; values are spoiled likewise."""

    def codegen(context, builder, signature, args):
        A, a, columns, values, base, q = args
        code = Code(context, builder, signature.args[0])
        A, columns, values = (code.pointer(signature.args[k], args[k]) for k in (0, 2, 3))
        x = code.load(A, a)
        return _compress(code, x, [(_numbers(code, base), columns), (x, values)], q)

    return types.intp(A, types.intp, columns, values, types.intp, types.intp), codegen


def _numbers(code: Code, base: Any) -> Any:
    """base, base + 1, ... in the lanes of a vector of integers."""
    builder, n = code.builder, code.lanes
    integers = ir.VectorType(INT32, n)
    first = builder.insert_element(
        ir.Constant(integers, ir.Undefined), builder.trunc(base, INT32), INT32(0)
    )
    first = builder.shuffle_vector(first, first, ir.Constant(integers, [0] * n))
    return builder.add(first, ir.Constant(integers, list(range(n))))


def _compress(code: Code, x: Any, pairs: list[tuple[Any, Any]], q: Any) -> Any:
    """array[q:] = the lanes of a vector where x is not zero, of each (vector, array).

    Returns q past them.
    """
    builder, n = code.builder, code.lanes
    is_nonzero = builder.fcmp_unordered("une", x, code.zero)
    for vector, array in pairs:
        kind, number = vector.type, vector.type.element
        letter, size = ("i", 32) if number == INT32 else ("f", 8 * code.number_bytes)
        compress = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(kind, [kind, is_nonzero.type, kind]),
            f"llvm.experimental.vector.compress.v{n}{letter}{size}",
        )  # fmt: skip
        found = builder.call(compress, [vector, is_nonzero, ir.Constant(kind, ir.Undefined)])
        target = builder.bitcast(builder.gep(array, [q]), kind.as_pointer())
        builder.store(found, target, align=size // 8)
    count = builder.ctpop(builder.bitcast(is_nonzero, ir.IntType(n)))
    return builder.add(q, builder.zext(count, INDEX))


def _column(builder: Any, columns: Any, q: Any) -> Any:
    return builder.sext(builder.load(builder.gep(columns, [q]), typ=INT32), INDEX)
