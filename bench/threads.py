"""Threads: one number of them for every library."""

import os
import sys

from threadpoolctl import threadpool_limits


def set_threads(n: int) -> None:
    """For fastnn, NumPy's BLAS, PyTorch and JAX, whether they are imported already or not.

    JAX sizes its pool once, by the environment, when it first looks for devices: RuntimeError if
    it has been imported with another number.
    """
    if "jax" in sys.modules and os.environ.get("PJRT_NPROC") != str(n):
        raise RuntimeError(f"JAX is imported: set_threads({n}) must come before")
    for library in ("FASTNN", "OMP", "OPENBLAS", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = str(n)
    os.environ["PJRT_NPROC"] = str(n)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # a GPU is the others' too
    threadpool_limits(n)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n)
