"""The streams of randomness, each a pure function of (seed, purpose, index).

NumPy's counter-based Philox on the host, for every device: the same seed begins with
the same weights and sees the same batches everywhere.  What a kernel draws, dropout
masks, comes from its own Philox (fastnn_kernels.face.PhiloxBits).  Golden hashes in
the tests hold these streams still.
"""

import operator
import secrets
from enum import IntEnum
from typing import Any

import numpy as np

from fastnn.errors import ArgumentError


class Purpose(IntEnum):
    """What a stream is for; a number once used keeps its meaning for ever."""

    WEIGHTS = 1  # index: the layer
    ORDER = 2  # index: the epoch
    SPLIT = 3


def generator(seed: int, purpose: Purpose, index: int = 0) -> np.random.Generator:
    """A generator at the beginning of its stream."""
    return np.random.Generator(
        np.random.Philox(
            key=np.array([seed, purpose], np.uint64), counter=np.array([0, 0, 0, index], np.uint64)
        )
    )


def checked_seed(seed: Any) -> int:
    """seed as an int of 64 bits; None draws one."""
    if seed is None:
        return secrets.randbits(32)
    try:
        number = operator.index(seed)
    except TypeError as error:
        raise ArgumentError(f"seed is {seed!r}, need an integer or None") from error
    if not 0 <= number < 2**64:
        raise ArgumentError(f"seed is {seed}, need 0 <= seed < 2**64")
    return number
