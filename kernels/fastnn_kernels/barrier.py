"""Barrier: threads that wait for each other inside compiled code, without Python's lock.

Each thread counts in a place of its own, a cache line pair from the next one's, and looks at
those of the others.  One that waits long lets the system run something else.
"""

import sys

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastnn_kernels.jit import inner

STRIDE = 16  # int64 from one thread's count to the next one's
_SPINS = 2000  # tens of microseconds: longer than any thread is late that has a core

if sys.platform != "win32":
    _yield = types.ExternalFunction("sched_yield", types.int32())


@intrinsic
def _publish(typing_context, counts, place, value):
    """counts[place] = value, after all that was written before."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, value=args[0]).data
        builder.store_atomic(args[2], builder.gep(data, [args[1]]), "release", 8)
        return context.get_dummy_value()

    return types.none(counts, types.intp, types.int64), codegen


@intrinsic
def _observe(typing_context, counts, place):
    """counts[place], before all that is read after."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, value=args[0]).data
        pointer = builder.gep(data, [args[1]])
        return builder.load_atomic(pointer, "acquire", 8, typ=ir.IntType(64))

    return types.int64(counts, types.intp), codegen


@inner
def wait(counts, thread, threads, count):
    """Return in all threads once all have called with this count, one more than the last."""
    _publish(counts, thread * STRIDE, count)
    for other in range(threads):
        spins = 0
        while _observe(counts, other * STRIDE) < count:
            spins += 1
            if spins > _SPINS:
                _yield()
