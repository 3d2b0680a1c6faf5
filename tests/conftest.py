"""What several test files need: real MNIST, where FASTNN_DATA names a folder with it."""

import os
from typing import Any

import numpy as np
import pytest

import fastnn

Array = np.ndarray[Any, Any]


@pytest.fixture(scope="session")
def mnist() -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    if not os.environ.get("FASTNN_DATA"):
        pytest.skip("FASTNN_DATA names no folder with MNIST")
    return fastnn.datasets.load_mnist()
