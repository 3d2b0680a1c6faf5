"""Of the stand-in: cuBLAS's gemmEx on host memory, with factors rounded as tensor cores have it."""

import ctypes
from typing import Any

import numpy as np

CUBLAS_COMPUTE_32F_FAST_16BF, CUBLAS_COMPUTE_32F_FAST_TF32 = 75, 77
_DROPPED = {CUBLAS_COMPUTE_32F_FAST_16BF: 16, CUBLAS_COMPUTE_32F_FAST_TF32: 13}  # bits of 23


def gemmEx(
    handle: int, turn_a: int, turn_b: int, m: int, n: int, k: int, alpha: int, A: int, kind_a: int,
    lda: int, B: int, kind_b: int, ldb: int, beta: int, C: int, kind_c: int, ldc: int,
    compute: int, algorithm: int,
) -> None:  # fmt: skip
    """C (m, n) = A (m, k) B (k, n) in Fortran order, of float32."""
    assert (handle, kind_a, kind_b, kind_c, algorithm) == (1, 0, 0, 0, -1)
    assert (_floats(alpha, 1, 1, 1)[0, 0], _floats(beta, 1, 1, 1)[0, 0]) == (1, 0)
    a = _floats(A, k, m, lda).T if turn_a else _floats(A, m, k, lda)
    b = _floats(B, n, k, ldb).T if turn_b else _floats(B, k, n, ldb)
    dropped = _DROPPED[compute]
    _floats(C, m, n, ldc)[...] = _rounded(a, dropped) @ _rounded(b, dropped)


def _floats(place: int, rows: int, columns: int, distance: int) -> Any:
    assert distance >= rows
    memory = (ctypes.c_float * (distance * columns)).from_address(place)
    return np.ctypeslib.as_array(memory).reshape(columns, distance).T[:rows]


def _rounded(x: Any, dropped: int) -> Any:
    """To the nearest number with so many bits less."""
    bits = x.copy().view(np.uint32)
    return ((bits + (1 << dropped - 1)) >> dropped << dropped).astype(np.uint32).view(np.float32)
