"""What several test files need: real MNIST, and quiet kernels where they are interpreted."""

import os
from collections.abc import Iterator
from typing import Any

import numba
import numpy as np
import pytest

import fastnn

Array = np.ndarray[Any, Any]


@pytest.fixture(scope="session")
def mnist() -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    if not os.environ.get("FASTNN_DATA"):
        pytest.skip("FASTNN_DATA names no folder with MNIST")
    return fastnn.datasets.load_mnist()


@pytest.fixture(autouse=True)
def interpreted_kernels_may_warn() -> Iterator[None]:
    """Under NUMBA_DISABLE_JIT=1, for coverage, a kernel is Python on NumPy's scalars."""
    with np.errstate(all="ignore" if numba.config.DISABLE_JIT else None):
        yield
