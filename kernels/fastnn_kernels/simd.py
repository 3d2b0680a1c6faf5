"""Vectors: instructions on the widest registers of this machine, written as LLVM's IR.

Numba leaves it to LLVM which numbers of a matrix product stay in registers, and LLVM keeps too
few.  Here a tile of the result is held in registers by construction: each function is an
intrinsic, a loop of vector instructions that is put where it is called; see simd_tiles and
simd_sparse.

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

INDEX, INT32 = ir.IntType(64), ir.IntType(32)


class Code:
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
        count = INDEX(count) if isinstance(count, int) else count
        place = self.builder.add(place, self.builder.mul(count, distance))
        return self.builder.add(place, INDEX(vector * self.lanes))

    def load(self, array: Any, place: Any) -> Any:
        pointer = self.builder.bitcast(self.builder.gep(array, [place]), self.vector.as_pointer())
        return self.builder.load(pointer, align=self.number_bytes, typ=self.vector)

    def store(self, value: Any, array: Any, place: Any) -> None:
        pointer = self.builder.bitcast(self.builder.gep(array, [place]), self.vector.as_pointer())
        self.builder.store(value, pointer, align=self.number_bytes)

    def repeated(self, number: Any) -> Any:
        """A vector of one number."""
        one = self.builder.insert_element(ir.Constant(self.vector, ir.Undefined), number, INT32(0))
        lanes = ir.Constant(ir.VectorType(INT32, self.lanes), [0] * self.lanes)
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
        indices = ir.VectorType(INDEX, self.lanes)
        one = self.builder.insert_element(ir.Constant(indices, ir.Undefined), count, INT32(0))
        lanes = ir.Constant(ir.VectorType(INT32, self.lanes), [0] * self.lanes)
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
        align = INT32(self.number_bytes)
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
        builder, several = self.builder, INDEX(sets)
        sums = [self.variables(start if s == 0 else [self.zero] * len(start)) for s in range(sets)]
        turns = builder.udiv(builder.sub(end, first), several)
        with self.loop(INDEX(0), turns) as turn:
            for s, totals in enumerate(sums):
                add(builder.add(self.at(first, turn, several), INDEX(s)), totals)
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
        with cgutils.for_range(self.builder, end, first, intp=INDEX) as loop:
            yield loop.index


@intrinsic
def lanes(typing_context, S):
    """Numbers in a vector of S's type."""
    count = INDEX(BYTES * 8 // S.dtype.bitwidth)

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


@intrinsic
def sum_of_vector(typing_context, S, a):
    """The sum of a vector's numbers."""

    def codegen(context, builder, signature, args):
        code = Code(context, builder, signature.args[0])
        return code.sum_of_lanes(code.load(code.pointer(signature.args[0], args[0]), args[1]))

    return S.dtype(S, types.intp), codegen


@intrinsic
def largest_of_vector(typing_context, S, a):
    """The largest of a vector's numbers; any where one is NaN."""

    def codegen(context, builder, signature, args):
        code = Code(context, builder, signature.args[0])
        x, half = code.load(code.pointer(signature.args[0], args[0]), args[1]), code.lanes // 2
        while half:
            places = ir.Constant(ir.VectorType(INT32, half), list(range(half)))
            others = ir.Constant(ir.VectorType(INT32, half), list(range(half, 2 * half)))
            upper, lower = (builder.shuffle_vector(x, x, which) for which in (places, others))
            x, half = (
                builder.select(builder.fcmp_ordered(">", upper, lower), upper, lower),
                half // 2,
            )
        return builder.extract_element(x, INT32(0))

    return S.dtype(S, types.intp), codegen


@intrinsic
def keep(typing_context, S, a, count, other):
    """The vector S[a] keeps so many numbers, and all others become `other`."""

    def codegen(context, builder, signature, args):
        S, a, count, other = args
        code = Code(context, builder, signature.args[0])
        S = code.pointer(signature.args[0], S)
        kept = builder.select(code.first_lanes(count), code.load(S, a), code.repeated(other))
        code.store(kept, S, a)
        return context.get_dummy_value()

    return types.none(S, types.intp, types.intp, S.dtype), codegen


@intrinsic
def add(typing_context, S, a, number, c):
    """The vector S[c] = S[a] + a number."""

    def codegen(context, builder, signature, args):
        code = Code(context, builder, signature.args[0])
        S = code.pointer(signature.args[0], args[0])
        code.store(builder.fadd(code.load(S, args[1]), code.repeated(args[2])), S, args[3])
        return context.get_dummy_value()

    return types.none(S, types.intp, S.dtype, types.intp), codegen


@intrinsic
def multiply(typing_context, S, a, number):
    """The vector S[a] times a number, in place."""

    def codegen(context, builder, signature, args):
        code = Code(context, builder, signature.args[0])
        S = code.pointer(signature.args[0], args[0])
        code.store(builder.fmul(code.load(S, args[1]), code.repeated(args[2])), S, args[1])
        return context.get_dummy_value()

    return types.none(S, types.intp, S.dtype), codegen


@intrinsic
def dot(typing_context, S, a, b, width):
    """The sum of S[a + j] S[b + j], over `width` vectors, lane by lane and then over the lanes."""

    def codegen(context, builder, signature, args):
        S, a, b, width = args
        code = Code(context, builder, signature.args[0])
        S = code.pointer(signature.args[0], S)
        (total,) = code.variables([code.zero])
        with code.loop(INDEX(0), width) as v:
            x, y = (code.load(S, code.at(place, v, INDEX(code.lanes))) for place in (a, b))
            builder.store(code.multiply_add(x, y, builder.load(total)), total)
        return code.sum_of_lanes(builder.load(total))

    return S.dtype(S, *[types.intp] * 3), codegen


@intrinsic
def copy(typing_context, A, a, count, C, c):
    """The vector C[c] = A[a]; only so many numbers are read, the others are zero."""

    def codegen(context, builder, signature, args):
        A, a, count, C, c = args
        code = Code(context, builder, signature.args[0])
        A, C = code.pointer(signature.args[0], A), code.pointer(signature.args[3], C)
        code.store(code.load_some(code.first_lanes(count), A, a), C, c)
        return context.get_dummy_value()

    return types.none(A, types.intp, types.intp, C, types.intp), codegen


@intrinsic
def prefetch(typing_context, array, place):
    """Ask for the cache line of array[place], which soon will be read once."""

    def codegen(context, builder, signature, args):
        array_type = signature.args[0]
        data = context.make_array(array_type)(context, builder, value=args[0]).data
        byte = ir.IntType(8).as_pointer()
        pointer = builder.bitcast(builder.gep(data, [args[1]]), byte)
        kind = ir.FunctionType(ir.VoidType(), [byte, INT32, INT32, INT32])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(ask, [pointer, INT32(0), INT32(2), INT32(1)])
        return context.get_dummy_value()

    return types.none(array, types.intp), codegen


def named(make: Any, *constants: int) -> Any:
    """The intrinsic of what `make` makes, with its constants in its name: see jit.name_apart."""
    make.__qualname__ = "_".join(map(str, (make.__qualname__, *constants)))
    return intrinsic(make)
