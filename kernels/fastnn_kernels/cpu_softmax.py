"""Softmax and cross-entropy against labels, over padded rows: whole vectors, no rest of a row.

The same as cpu.softmax_cross_entropy_labels and cpu.hits, where no logit is NaN.  Of all rows the
exponentials are taken together: LLVM makes vectors of a long loop, and of a row's it makes none.
"""

import numpy as np

from fastnn_kernels import scalars, simd
from fastnn_kernels.calls import vector
from fastnn_kernels.jit import inner, jit


@jit
def exponentials(x):
    """In place."""
    simd.wide()
    for i in range(x.size):
        x[i] = scalars.exp(x[i])


@inner
def softmax_cross_entropy(S, z, d, width, k, y, w, scale, losses, hits):
    """S[d] = scale w (softmax(S[z]) - Y), losses and hits of the rows of y.

    S[z], S[d] (rows, width), d may be z; k <= width numbers of a row count, and the others of D
    become zero.  y, w, losses, hits (rows,).
    """
    lanes, infinity = simd.lanes(S), S.dtype.type(np.inf)
    for i in range(y.size):
        row, out, largest = z + i * width, d + i * width, -infinity
        for v in range(0, width, lanes):
            simd.keep(S, row + v, k - v, -infinity)
            largest = max(largest, simd.largest_of_vector(S, row + v))
        logits = vector(S, row, k)
        true_logit = logits[y[i]]
        is_first = true_logit == largest if k > 1 else (true_logit > 0) == (y[i] == 1)
        for j in range(k):  # of equal ones, the one before
            is_first &= (logits[j] != largest) | (j >= y[i])
        hits[i], losses[i] = S.dtype.type(is_first), true_logit - largest
        for v in range(0, width, lanes):
            simd.add(S, row + v, -largest, out + v)
    exponentials(vector(S, d, y.size * width))
    for i in range(y.size):
        out, total = d + i * width, S.dtype.type(0)
        for v in range(0, width, lanes):
            total += simd.sum_of_vector(S, out + v)
        weight = S.dtype.type(scale) * w[i]
        for v in range(0, width, lanes):
            simd.multiply(S, out + v, weight / total)
        S[out + y[i]] -= weight
        losses[i] = w[i] * (scalars.log(total) - losses[i])
