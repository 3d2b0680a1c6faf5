"""exp, expm1, log, log1p and maximum for Numba on a CPU, as code that compiles to vectors.

Numba's own call the C library or branch, one number at a time.  Largest error found over the
normal numbers, in units in the last place: exp 1.1, expm1 1.2, log 2.0, log1p 1.9.
exp is 0 below the smallest normal number: subnormal numbers slow the arithmetic tenfold.
"""

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload, register_jitable

from fastnn_kernels import scalars
from fastnn_kernels.jit import INNER


@intrinsic
def _times_power_of_two(typing_context, p, t):
    """p * 2^n for t = n + 1.5 * 2^(mantissa bits): n is added to the exponent bits of p."""
    integer, shift = (ir.IntType(32), 23) if p is types.float32 else (ir.IntType(64), 52)

    def codegen(context, builder, signature, args):
        n = builder.shl(builder.bitcast(args[1], integer), ir.Constant(integer, shift))
        bits = builder.add(builder.bitcast(args[0], integer), n)
        return builder.bitcast(bits, args[0].type)

    return p(p, t), codegen


@intrinsic
def _mantissa_and_exponent(typing_context, x):
    """(m, n) with x = m 2^n and m from sqrt(1/2) to sqrt(2), of a normal number x > 0."""
    integer, shift = (ir.IntType(32), 23) if x is types.float32 else (ir.IntType(64), 52)
    root = int(np.array(0.5**0.5, str(x)).view(f"i{x.bitwidth // 8}"))

    def codegen(context, builder, signature, args):
        bits, shift_bits = builder.bitcast(args[0], integer), integer(shift)
        n = builder.ashr(builder.sub(bits, integer(root)), shift_bits)
        m = builder.bitcast(builder.sub(bits, builder.shl(n, shift_bits)), args[0].type)
        pair = [m, builder.sitofp(n, args[0].type)]
        return context.make_tuple(builder, signature.return_type, pair)

    return types.UniTuple(x, 2)(x), codegen


@intrinsic
def _llvm_maximum(typing_context, a, b):
    def codegen(context, builder, signature, args):
        binary = ir.FunctionType(args[0].type, [args[0].type] * 2)
        llvm_maximum = builder.module.declare_intrinsic("llvm.maximum", [args[0].type], binary)
        return builder.call(llvm_maximum, args)

    return a(a, b), codegen


def maximum(a, b):
    """The larger of two numbers, NaN where either is."""
    return np.maximum(a, b)


@overload(maximum)
def _(a, b):
    return lambda a, b: _llvm_maximum(a, b)


def _exponentials(dtype, degree, ln2_low):
    """exp and expm1: x = n ln 2 + r with |r| <= ln(2)/2, Taylor's series in r, times 2^n."""
    info = np.finfo(dtype)
    shifter = dtype(1.5 * 2.0**info.nmant)  # x + shifter has the integer part of x in its low bits
    per_ln2, ln2_high, ln2_low = dtype(1 / math.log(2)), dtype(math.log(2)), dtype(ln2_low)
    coefficients = tuple(dtype(1 / math.factorial(k)) for k in range(degree, 1, -1))
    smallest, largest = dtype(np.log(info.tiny)), dtype(np.log(info.max))
    if float(largest) > math.log(info.max):  # rounded up, its exp would overflow into NaN's bits
        largest = np.nextafter(largest, dtype(0))
    one, zero, infinity = dtype(1), dtype(0), dtype(np.inf)

    @register_jitable(**INNER)
    def reduced(x):
        t = x * per_ln2 + shifter
        n = t - shifter
        r = x - n * ln2_high
        r = r - n * ln2_low
        r2 = r * r
        odd, even = coefficients[0], coefficients[1]  # terms, side by side: each waits for its last
        for k in range(2, len(coefficients), 2):
            odd, even = odd * r2 + coefficients[k], even * r2 + coefficients[k + 1]
        return t, (odd * r + even) * r2 + r

    def exp(x):
        t, series = reduced(x)
        y = _times_power_of_two(series + one, t)
        y = y if x <= largest else x + infinity  # NaN is not <= either, and stays NaN
        return zero if x < smallest else y

    def expm1(x):
        t, series = reduced(x)
        power = _times_power_of_two(one, t)
        y = power * series + (power - one)
        y = y if x <= one else x + infinity
        return -one if x < smallest else y

    return exp, expm1


def _log1p(dtype, terms):
    """log(1 + x) = 2 artanh(s) = 2 (s + s^3/3 + s^5/5 + ...) with s = x / (2 + x) <= 1/3."""
    coefficients = tuple(dtype(1 / (2 * k + 1)) for k in range(terms, 0, -1))
    two = dtype(2)

    def log1p(x):
        s = x / (two + x)
        s2 = s * s
        series = coefficients[0]
        for k in range(1, len(coefficients)):
            series = series * s2 + coefficients[k]
        return two * s + two * s * (s2 * series)

    return log1p


def _log(dtype, terms, ln2_low):
    """log(m 2^n) = n ln 2 + 2 artanh(s) with s = (m - 1) / (m + 1), |s| < 0.172."""
    coefficients = tuple(dtype(1 / (2 * k + 1)) for k in range(terms, 0, -1))
    one, two, largest = dtype(1), dtype(2), np.finfo(dtype).max
    ln2_high, ln2_low = dtype(math.log(2)), dtype(ln2_low)

    def log(x):
        m, n = _mantissa_and_exponent(x)
        s = (m - one) / (m + one)
        s2 = s * s
        series = coefficients[0]
        for k in range(1, len(coefficients)):
            series = series * s2 + coefficients[k]
        y = n * ln2_high + (two * s + (two * s * (s2 * series) + n * ln2_low))
        return y if x <= largest else x  # infinity, or NaN

    return log


# Remainder of the series, relative: 0.347^8/8! = 5e-9 and 0.347^14/14! = 4e-18 for exp,
# 3^-16/17 = 1e-9 and 3^-34/35 = 2e-18 for log1p, 0.172^12/13 = 5e-11 and 0.172^22/23 = 7e-19 for
# log: below a tenth of the rounding error.
# ln2_low is ln 2 less its rounded value, from log(2) to 60 digits.
_exp32, _expm1_32 = _exponentials(np.float32, 7, -1.904654299957768e-09)
_exp64, _expm1_64 = _exponentials(np.float64, 13, 2.319046813846300e-17)
_log1p32, _log1p64 = _log1p(np.float32, 7), _log1p(np.float64, 16)
_log32 = _log(np.float32, 5, -1.904654299957768e-09)
_log64 = _log(np.float64, 10, 2.319046813846300e-17)


@overload(scalars.exp, jit_options=INNER)
def _(x):
    return {types.float32: _exp32, types.float64: _exp64}[x]


@overload(scalars.expm1, jit_options=INNER)
def _(x):
    return {types.float32: _expm1_32, types.float64: _expm1_64}[x]


@overload(scalars.log, jit_options=INNER)
def _(x):
    return {types.float32: _log32, types.float64: _log64}[x]


@overload(scalars.log1p, jit_options=INNER)
def _(x):
    return {types.float32: _log1p32, types.float64: _log1p64}[x]
