"""Precision: to what a GPU may round the factors in products of float32 matrices, if asked to.

Its tensor cores take factors of 10 bits behind the point ("tf32") or of 7 ("bf16"), where float32
has 23; they add up in float32, and what is between the products stays float32.  See "Precision"
in NVIDIA's CUDA C++ programming guide, and cublasComputeType_t in the guide to cuBLAS.
"""

from types import ModuleType
from typing import Any

import numpy as np

PRECISIONS = ["float32", "tf32", "bf16"]
OLDEST = 80  # compute capability that has them, times ten

Array = Any  # cupy.ndarray


class Products:
    """Of float32 matrices; CuPy's own know no bf16."""

    def __init__(self, cupy: ModuleType, precision: str) -> None:
        cublas = cupy.cuda.cublas
        self.cupy, self.multiply = cupy, cublas.gemmEx
        self.compute = {"tf32": cublas.CUBLAS_COMPUTE_32F_FAST_TF32,
                        "bf16": cublas.CUBLAS_COMPUTE_32F_FAST_16BF}[precision]  # fmt: skip
        self.number = cupy.cuda.runtime.CUDA_R_32F
        self.one, self.zero = np.ones(1, np.float32), np.zeros(1, np.float32)

    def matmul(self, A: Array, B: Array, out: Array | None = None) -> Array:
        """A B (n, m) of A (n, k) and B (k, m)."""
        (n, k), m = A.shape, B.shape[1]
        C = self.cupy.empty((n, m), A.dtype) if out is None else out
        # To cuBLAS, whose matrices are in Fortran order, these are transposes: C^T = B^T A^T.
        (B, turn_B, row_B), (A, turn_A, row_A) = map(self._in_order, (B, A))
        self.multiply(
            self.cupy.cuda.get_cublas_handle(), turn_B, turn_A, m, n, k, self.one.ctypes.data,
            B.data.ptr, self.number, row_B, A.data.ptr, self.number, row_A, self.zero.ctypes.data,
            C.data.ptr, self.number, m, self.compute, -1,
        )  # fmt: skip
        return C

    dot = matmul

    def _in_order(self, X: Array) -> tuple[Array, int, int]:
        """X in C order, or else as the transpose of a matrix that is (1), and its rows' length."""
        if X.flags.f_contiguous and not X.flags.c_contiguous:
            return X, 1, X.shape[0]
        return self.cupy.ascontiguousarray(X), 0, X.shape[1]
