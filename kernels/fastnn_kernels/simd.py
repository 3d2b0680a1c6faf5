"""Vectors: inner loops in the widest registers of this machine, written as LLVM's IR.

Numba leaves it to LLVM which numbers of a matrix product stay in registers, and LLVM keeps too
few.  Here a tile of the result is held in registers by construction: each function is an
intrinsic, a loop of vector instructions that is put where it is called.

All work on S, one vector of floats in memory, and on places in it: a matrix is the place where
it begins and the distance from row to row, both in floats.  A vector is lanes(S) floats.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from llvmlite.binding import llvm_version_info
from numba import types
from numba.core import cgutils, config
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

_FEATURES = (get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES).split(
    ","
)
BYTES = 64 if "+avx512f" in _FEATURES else 32 if "+avx2" in _FEATURES else 16  # of a vector
# Vectors of a tile that is kept in registers: AVX-512 and NEON have 32, others 16, and
# a row of B and an element of A need theirs.
TILE = 24 if BYTES == 64 or "+neon" in _FEATURES else 12

# One instruction puts the marked lanes of a vector side by side, if LLVM can name it.
COMPRESSES = BYTES == 64 and llvm_version_info >= (20,)

_INDEX, _INT32 = ir.IntType(64), ir.IntType(32)


class _Code:
    """Instructions on vectors of S's type, added to the function under construction."""

    def __init__(self, context: Any, builder: Any, array_type: Any) -> None:
        self.context, self.builder = context, builder
        self.number = context.get_value_type(array_type.dtype)
        self.lanes = BYTES * 8 // array_type.dtype.bitwidth
        self.vector = ir.VectorType(self.number, self.lanes)

    def pointer(self, array_type: Any, array: Any) -> Any:
        """To an array's first element."""
        return self.context.make_array(array_type)(self.context, self.builder, value=array).data

    def at(self, place: Any, count: Any, distance: Any, vector: int = 0) -> Any:
        """place + count * distance, and so many vectors on."""
        count = _INDEX(count) if isinstance(count, int) else count
        place = self.builder.add(place, self.builder.mul(count, distance))
        return self.builder.add(place, _INDEX(vector * self.lanes))

    def load(self, array: Any, place: Any) -> Any:
        pointer = self.builder.bitcast(self.builder.gep(array, [place]), self.vector.as_pointer())
        return self.builder.load(pointer, align=self.number_bytes, typ=self.vector)

    def store(self, value: Any, array: Any, place: Any) -> None:
        pointer = self.builder.bitcast(self.builder.gep(array, [place]), self.vector.as_pointer())
        self.builder.store(value, pointer, align=self.number_bytes)

    def repeated(self, number: Any) -> Any:
        """A vector of one number."""
        one = self.builder.insert_element(ir.Constant(self.vector, ir.Undefined), number, _INT32(0))
        lanes = ir.Constant(ir.VectorType(_INT32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, one, lanes)

    def element(self, array: Any, place: Any) -> Any:
        """A vector of the number at a place."""
        return self.repeated(self.builder.load(self.builder.gep(array, [place]), typ=self.number))

    def multiply_add(self, x: Any, y: Any, z: Any) -> Any:
        """x y + z."""
        ternary = ir.FunctionType(self.vector, [self.vector] * 3)
        name = f"llvm.fmuladd.v{self.lanes}f{8 * self.number_bytes}"
        function = cgutils.get_or_insert_function(self.builder.module, ternary, name)
        return self.builder.call(function, [x, y, z])

    def first_lanes(self, count: Any) -> Any:
        """A mask of so many lanes."""
        indices = ir.VectorType(_INDEX, self.lanes)
        one = self.builder.insert_element(ir.Constant(indices, ir.Undefined), count, _INT32(0))
        lanes = ir.Constant(ir.VectorType(_INT32, self.lanes), [0] * self.lanes)
        counts = self.builder.shuffle_vector(one, one, lanes)
        return self.builder.icmp_signed("<", ir.Constant(indices, list(range(self.lanes))), counts)

    def load_some(self, mask: Any, array: Any, place: Any) -> Any:
        """Of a mask's lanes; the others are zero and not read."""
        return self._masked("load", self.vector, array, place, mask, self.zero)

    def store_some(self, mask: Any, value: Any, array: Any, place: Any) -> None:
        self._masked("store", ir.VoidType(), array, place, mask, value)

    def _masked(self, what: str, result: Any, array: Any, place: Any, mask: Any, value: Any) -> Any:
        pointer = self.builder.gep(array, [place])
        pointer = self.builder.bitcast(pointer, self.vector.as_pointer())
        align = _INT32(self.number_bytes)
        arguments = [pointer, align, mask, value]
        if what == "store":
            arguments = [value, pointer, align, mask]
        name = f"llvm.masked.{what}.v{self.lanes}f{8 * self.number_bytes}.p0"
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, arguments)

    @property
    def zero(self) -> Any:
        return ir.Constant(self.vector, [0.0] * self.lanes)

    def sum_of_lanes(self, vector: Any) -> Any:
        kind = ir.FunctionType(self.number, [self.number, self.vector])
        name = f"llvm.vector.reduce.fadd.v{self.lanes}f{8 * self.number_bytes}"
        add = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(add, [self.number(-0.0), vector], fastmath=("reassoc",))

    def sums_of_terms(
        self,
        first: Any,
        end: Any,
        sets: int,
        start: list[Any],
        add: Callable[[Any, list[Any]], None],
    ) -> list[Any]:
        """Vectors `start` and what add(q, sums) adds to them, for q in first..end.

        The terms go to so many sets of sums in turn, since an addition waits for the one before it.
        """
        builder, several = self.builder, _INDEX(sets)
        sums = [self.variables(start if s == 0 else [self.zero] * len(start)) for s in range(sets)]
        turns = builder.udiv(builder.sub(end, first), several)
        with self.loop(_INDEX(0), turns) as turn:
            for s, totals in enumerate(sums):
                add(builder.add(self.at(first, turn, several), _INDEX(s)), totals)
        with self.loop(self.at(first, turns, several), end) as q:
            add(q, sums[0])
        totals = [builder.load(total) for total in sums[0]]
        for others in sums[1:]:
            totals = [builder.fadd(x, builder.load(y)) for x, y in zip(totals, others, strict=True)]
        return totals

    def variables(self, values: list[Any]) -> list[Any]:
        """What changes in a loop; LLVM keeps it in registers."""
        return [cgutils.alloca_once_value(self.builder, value) for value in values]

    @property
    def number_bytes(self) -> int:
        return BYTES // self.lanes

    @contextmanager
    def loop(self, first: Any, end: Any) -> Iterator[Any]:
        with cgutils.for_range(self.builder, end, first, intp=_INDEX) as loop:
            yield loop.index


@intrinsic
def lanes(typing_context, S):
    """Numbers in a vector of S's type."""
    count = _INDEX(BYTES * 8 // S.dtype.bitwidth)

    def codegen(context, builder, signature, args):
        return count

    return types.intp(S), codegen


@intrinsic
def wide(typing_context):
    """The loops of the function where this stands use whole vectors; LLVM prefers half ones."""

    def codegen(context, builder, signature, args):
        # Past llvmlite, which knows few attributes by name.
        set.add(builder.function.attributes, f'"prefer-vector-width"="{8 * BYTES}"')
        return context.get_dummy_value()

    return types.none(), codegen


@intrinsic
def apart(typing_context):
    """The arrays of the function where this stands do not overlap; LLVM looks at few by itself."""
    numbers = [kind.as_pointer() for kind in (ir.FloatType(), ir.DoubleType())]

    def codegen(context, builder, signature, args):
        for argument in builder.function.args:
            if argument.type in numbers:
                argument.add_attribute("noalias")
        return context.get_dummy_value()

    return types.none(), codegen


def tile(rows: int, vectors: int) -> Any:
    """S[c] = S[i] + S[a] S[b], for so many rows and vectors of columns and any depth.

    a_step is the distance along a row of A, so that A may be a transpose; i_row = 0 repeats one
    row, and i may be c.
    """

    def product(typing_context, S, depth, a, a_row, a_step, b, b_row, c, c_row, i, i_row):
        def codegen(context, builder, signature, args):
            S, depth, a, a_row, a_step, b, b_row, c, c_row, i, i_row = args
            code = _Code(context, builder, signature.args[0])
            S = code.pointer(signature.args[0], S)
            places = [(r, v) for r in range(rows) for v in range(vectors)]
            sums = code.variables([code.zero for _ in places])
            with code.loop(_INDEX(0), depth) as k:
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

    return _named(product, rows, vectors)


def dots(rows: int, columns: int) -> Any:
    """S[c] (rows, columns) = S[i] + the dot products of rows of A with rows of B.

    A and B are so many vectors deep; i_row = 0 repeats one row of I, and i may be c.
    """

    def products(typing_context, S, depth, a, a_row, b, b_row, c, c_row, i, i_row):
        def codegen(context, builder, signature, args):
            S, depth, a, a_row, b, b_row, c, c_row, i, i_row = args
            code = _Code(context, builder, signature.args[0])
            S = code.pointer(signature.args[0], S)
            places = [(r, j) for r in range(rows) for j in range(columns)]
            sums = code.variables([code.zero for _ in places])
            with code.loop(_INDEX(0), depth) as v:
                shift = builder.mul(v, _INDEX(code.lanes))
                A, B = (
                    [code.load(S, builder.add(code.at(x, r, x_row), shift)) for r in range(count)]
                    for x, x_row, count in ((a, a_row, rows), (b, b_row, columns))
                )
                for (r, j), total in zip(places, sums, strict=True):
                    builder.store(code.multiply_add(A[r], B[j], builder.load(total)), total)
            for (r, j), total in zip(places, sums, strict=True):
                here, start = (
                    builder.gep(S, [builder.add(code.at(x, r, x_row), _INDEX(j))])
                    for x, x_row in ((c, c_row), (i, i_row))
                )
                start = builder.load(start, typ=code.number)
                builder.store(builder.fadd(code.sum_of_lanes(builder.load(total)), start), here)
            return context.get_dummy_value()

        return types.none(S, *[types.intp] * 9), codegen

    return _named(products, rows, columns)


def product_and_update(vectors: int) -> Any:
    """S[c] = S[x] S[v], x (depth,), v (depth, v_row), and then S[v] += S[x]^T S[f]."""

    def product(typing_context, S, depth, x, v, v_row, f, c):
        def codegen(context, builder, signature, args):
            S, depth, x, v, v_row, f, c = args
            code = _Code(context, builder, signature.args[0])
            S = code.pointer(signature.args[0], S)
            sums = code.variables([code.zero] * vectors)
            with code.loop(_INDEX(0), depth) as k:
                X, row = code.element(S, builder.add(x, k)), code.at(v, k, v_row)
                for j, total in enumerate(sums):
                    place = code.at(row, 0, v_row, j)
                    V, F = code.load(S, place), code.load(S, code.at(f, 0, v_row, j))
                    builder.store(code.multiply_add(X, V, builder.load(total)), total)
                    code.store(code.multiply_add(X, F, V), S, place)
            for j, total in enumerate(sums):
                code.store(builder.load(total), S, code.at(c, 0, v_row, j))
            return context.get_dummy_value()

        return types.none(S, *[types.intp] * 6), codegen

    return _named(product, vectors)


def sparse_tile(vectors: int, sets: int) -> Any:
    """S[c] = S[i] + the sum over q in first..end of values[q] S[b + columns[q] b_row]."""

    def product(typing_context, S, columns, values, first, end, b, b_row, c, i):
        def codegen(context, builder, signature, args):
            S, columns, values, first, end, b, b_row, c, i = args
            code = _Code(context, builder, signature.args[0])
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

    return _named(product, vectors, sets)


def sparse_update(vectors: int) -> Any:
    """S[w + columns[q] w_row] += values[q] S[d] for q in first..end."""

    def update(typing_context, S, columns, values, first, end, d, w, w_row):
        def codegen(context, builder, signature, args):
            S, columns, values, first, end, d, w, w_row = args
            code = _Code(context, builder, signature.args[0])
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

    return _named(update, vectors)


def masked_update(vectors: int) -> Any:
    """S[w] += S[t + s] S[d + s d_row], for the bits s of mask."""

    def update(typing_context, S, mask, t, d, d_row, w):
        def codegen(context, builder, signature, args):
            S, mask, t, d, d_row, w = args
            code = _Code(context, builder, signature.args[0])
            S = code.pointer(signature.args[0], S)
            places = [code.at(w, 0, d_row, v) for v in range(vectors)]
            sums = code.variables([code.load(S, place) for place in places])
            (left,) = code.variables([mask])
            with code.loop(_INDEX(0), builder.ctpop(mask)):
                bits = builder.load(left)
                s = builder.cttz(bits, ir.Constant(ir.IntType(1), 1))
                builder.store(builder.and_(bits, builder.sub(bits, _INDEX(1))), left)
                x, row = code.element(S, builder.add(t, s)), code.at(d, s, d_row)
                for v, total in enumerate(sums):
                    D = code.load(S, code.at(row, 0, d_row, v))
                    builder.store(code.multiply_add(x, D, builder.load(total)), total)
            for place, total in zip(places, sums, strict=True):
                code.store(builder.load(total), S, place)
            return context.get_dummy_value()

        return types.none(S, types.uint64, *[types.intp] * 4), codegen

    return _named(update, vectors)


@intrinsic
def sum_of_vector(typing_context, S, a):
    """The sum of a vector's numbers."""

    def codegen(context, builder, signature, args):
        code = _Code(context, builder, signature.args[0])
        return code.sum_of_lanes(code.load(code.pointer(signature.args[0], args[0]), args[1]))

    return S.dtype(S, types.intp), codegen


@intrinsic
def dot(typing_context, S, a, b, width):
    """The sum of S[a + j] S[b + j], over `width` vectors, lane by lane and then over the lanes."""

    def codegen(context, builder, signature, args):
        S, a, b, width = args
        code = _Code(context, builder, signature.args[0])
        S = code.pointer(signature.args[0], S)
        (total,) = code.variables([code.zero])
        with code.loop(_INDEX(0), width) as v:
            x, y = (code.load(S, code.at(place, v, _INDEX(code.lanes))) for place in (a, b))
            builder.store(code.multiply_add(x, y, builder.load(total)), total)
        return code.sum_of_lanes(builder.load(total))

    return S.dtype(S, *[types.intp] * 3), codegen


@intrinsic
def nonzero(typing_context, A, a, columns, base, q):
    """columns[q:] = base + those lanes of the vector A[a] that are not zero; returns q past them.

    NaN is not zero.  What follows up to a whole vector of columns is spoiled.
    """

    def codegen(context, builder, signature, args):
        A, a, columns, base, q = args
        code = _Code(context, builder, signature.args[0])
        A, columns = code.pointer(signature.args[0], A), code.pointer(signature.args[2], columns)
        n = code.lanes
        integers, bits = ir.VectorType(_INT32, n), ir.VectorType(ir.IntType(1), n)
        is_nonzero = builder.fcmp_unordered("une", code.load(A, a), code.zero)
        first = builder.insert_element(
            ir.Constant(integers, ir.Undefined), builder.trunc(base, _INT32), _INT32(0)
        )
        first = builder.shuffle_vector(first, first, ir.Constant(integers, [0] * n))
        numbers = builder.add(first, ir.Constant(integers, list(range(n))))
        compress = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(integers, [integers, bits, integers]),
            f"llvm.experimental.vector.compress.v{n}i32",
        )  # fmt: skip
        found = builder.call(compress, [numbers, is_nonzero, ir.Constant(integers, ir.Undefined)])
        target = builder.bitcast(builder.gep(columns, [q]), integers.as_pointer())
        builder.store(found, target, align=4)
        count = builder.ctpop(builder.bitcast(is_nonzero, ir.IntType(n)))
        return builder.add(q, builder.zext(count, _INDEX))

    return types.intp(A, types.intp, columns, types.intp, types.intp), codegen


def row_tile(vectors: int, sets: int) -> Any:
    """C[c] = the sum over q in first..end of A[columns[q]] W[w + columns[q] w_row].

    Of the last vector, only `last` numbers are read and written.
    """

    def product(typing_context, A, columns, first, end, W, w, w_row, last, C, c):
        def codegen(context, builder, signature, args):
            A, columns, first, end, W, w, w_row, last, C, c = args
            code = _Code(context, builder, signature.args[0])
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

    return _named(product, vectors, sets)


@intrinsic
def copy(typing_context, A, a, count, C, c):
    """The vector C[c] = A[a]; only so many numbers are read, the others are zero."""

    def codegen(context, builder, signature, args):
        A, a, count, C, c = args
        code = _Code(context, builder, signature.args[0])
        A, C = code.pointer(signature.args[0], A), code.pointer(signature.args[3], C)
        code.store(code.load_some(code.first_lanes(count), A, a), C, c)
        return context.get_dummy_value()

    return types.none(A, types.intp, types.intp, C, types.intp), codegen


@intrinsic
def transpose(typing_context, S, a, a_row, c, c_row):
    """A block of as many rows as a vector has lanes: S[c] = the transpose of S[a].

    Blocks of 1, 2, 4, ... rows and columns change places, each step by shuffling two vectors.
    """

    def codegen(context, builder, signature, args):
        S, a, a_row, c, c_row = args
        code = _Code(context, builder, signature.args[0])
        S, n = code.pointer(signature.args[0], S), code.lanes
        lanes = ir.VectorType(_INT32, n)
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


@intrinsic
def prefetch(typing_context, array, place):
    """Ask for the cache line of array[place], which soon will be read once."""

    def codegen(context, builder, signature, args):
        array_type = signature.args[0]
        data = context.make_array(array_type)(context, builder, value=args[0]).data
        byte = ir.IntType(8).as_pointer()
        pointer = builder.bitcast(builder.gep(data, [args[1]]), byte)
        kind = ir.FunctionType(ir.VoidType(), [byte, _INT32, _INT32, _INT32])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(ask, [pointer, _INT32(0), _INT32(2), _INT32(1)])
        return context.get_dummy_value()

    return types.none(array, types.intp), codegen


def _named(make: Any, *constants: int) -> Any:
    """The intrinsic of what `make` makes, with its constants in its name: see jit.name_apart."""
    make.__qualname__ = "_".join(map(str, (make.__qualname__, *constants)))
    return intrinsic(make)


def _column(builder: Any, columns: Any, q: Any) -> Any:
    return builder.sext(builder.load(builder.gep(columns, [q]), typ=_INT32), _INDEX)
