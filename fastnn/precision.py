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
    """Of float32 matrices, each in C order or the transpose of such; CuPy's own know no bf16."""

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
        (turn_B, row_B), (turn_A, row_A) = _order(B), _order(A)
        self.multiply(
            self.cupy.cuda.get_cublas_handle(), turn_B, turn_A, m, n, k, self.one.ctypes.data,
            B.data.ptr, self.number, row_B, A.data.ptr, self.number, row_A, self.zero.ctypes.data,
            C.data.ptr, self.number, m, self.compute, -1,
        )  # fmt: skip
        return C

    dot = matmul


def _order(X: Array) -> tuple[int, int]:
    """Whether X is the transpose of a matrix in C order, and the length of that one's rows."""
    return (0, X.shape[1]) if X.flags.c_contiguous else (1, X.shape[0])
