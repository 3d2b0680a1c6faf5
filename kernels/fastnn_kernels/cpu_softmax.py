"""Softmax and cross-entropy against labels, over padded rows: whole vectors, no rest of a row.

The same as cpu.softmax_cross_entropy_labels and cpu.hits.  An inner loop over as many numbers as
a vector has lanes is one instruction of each kind; a loop over a short row would be none.
"""

import numpy as np

from fastnn_kernels import scalars, simd
from fastnn_kernels.cpu_math import maximum
from fastnn_kernels.jit import inner


@inner
def softmax_cross_entropy(S, z, d, width, k, y, w, scale, losses, hits):
    """S[d] = scale w (softmax(S[z]) - Y), losses and hits of the rows of y.

    S[z], S[d] (rows, width), d may be z; k <= width numbers of a row count, and the others of D
    become zero.  y, w, losses, hits (rows,).
    """
    lanes = simd.lanes(S)
    for i in range(y.size):
        row, out = z + i * width, d + i * width
        largest = S[row]
        for j in range(1, k):
            largest = maximum(largest, S[row + j])
        for j in range(k, width):
            S[row + j] = -np.inf
        true_logit = S[row + y[i]]
        is_first = true_logit == largest if k > 1 else (true_logit > 0) == (y[i] == 1)
        for j in range(y[i]):
            is_first &= S[row + j] != largest
        total = S.dtype.type(0)
        for v in range(0, width, lanes):
            for j in range(lanes):
                S[out + v + j] = scalars.exp(S[row + v + j] - largest)
            total += simd.sum_of_vector(S, out + v)
        weight = S.dtype.type(scale) * w[i]
        share = weight / total
        for v in range(0, width, lanes):
            for j in range(lanes):
                S[out + v + j] *= share
        S[out + y[i]] -= weight
        losses[i] = w[i] * (scalars.log(total) - (true_logit - largest))
        hits[i] = S.dtype.type(is_first)
