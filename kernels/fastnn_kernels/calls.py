"""Calls by address: compiled functions as data, and the arrays that they are given.

A caller that names a function is compiled together with it, once more for every caller.  By
address, one trainer serves all activations, losses and optimizers, and only those that a network
has are ever compiled.
"""

from functools import cache
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array


@cache
def address(function: Any, *arguments: Any) -> int:
    """Of a `jit` function, compiled for arguments of these Numba types."""
    compiled = function.get_compile_result(types.none(*arguments))
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))


@intrinsic
def call(typing_context, address, arguments):
    """Call the function at an address with a tuple, whose types are what it was compiled for."""
    kinds = [types.unliteral(kind) for kind in arguments]

    def codegen(context, builder, signature, args):
        convention = context.call_conv
        function_type = convention.get_function_type(types.none, kinds)
        function = builder.inttoptr(args[0], function_type.as_pointer())
        values = cgutils.unpack_tuple(builder, args[1])
        convention.call_function(builder, function, types.none, kinds, values)
        return context.get_dummy_value()

    return types.none(types.intp, arguments), codegen


@intrinsic
def vector(typing_context, array, place, n):
    """array[place : place + n] without a look at its bounds; see matrix."""
    return _view(types.Array(array.dtype, 1, "C"), array, place, n)


@intrinsic
def matrix(typing_context, array, place, n, m):
    """array[place : place + n m] as (n, m).  The array must live as long."""
    return _view(types.Array(array.dtype, 2, "C"), array, place, n, m)


LOCAL = 2048  # numbers: few beside the smallest stack that a thread has


@intrinsic
def local(typing_context, dtype):
    """(LOCAL,) numbers on the stack, for the calling function alone; memory of its own is dear."""
    view_type = types.Array(dtype.dtype, 1, "C")

    def codegen(context, builder, signature, args):
        size, count = (context.get_constant(types.intp, n)
                       for n in (view_type.dtype.bitwidth // 8, LOCAL))  # fmt: skip
        view = context.make_array(view_type)(context, builder)
        data = cgutils.alloca_once(builder, context.get_data_type(view_type.dtype), count)
        nobody = ir.Constant(view.meminfo.type, None)
        populate_array(view, data, [count], [size], size, nobody)
        return view._getvalue()

    return view_type(dtype), codegen


def _view(view_type: Any, array: Any, *places: Any) -> Any:
    def codegen(context, builder, signature, args):
        pointer = context.make_array(array)(context, builder, value=args[0]).data
        view, shape = context.make_array(view_type)(context, builder), args[2:]
        size = context.get_constant(types.intp, array.dtype.bitwidth // 8)
        strides = [size] if len(shape) == 1 else [builder.mul(shape[1], size), size]
        populate_array(
            view, builder.gep(pointer, [args[1]]), shape, strides, size,
            ir.Constant(view.meminfo.type, None),
        )  # fmt: skip
        return view._getvalue()

    return view_type(array, *[types.intp] * len(places)), codegen
