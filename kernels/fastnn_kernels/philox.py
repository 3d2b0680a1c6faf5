"""What the compiled kernels of Philox take, made of Python's numbers, where integers are exact."""

import numpy as np


def key_and_counter(seed: int, step: int, layer: int) -> tuple[np.uint32, ...]:
    """(seed low, seed high, step low, step high, layer)."""
    low = 0xFFFFFFFF
    words = seed & low, seed >> 32, step & low, step >> 32, layer
    return tuple(map(np.uint32, words))


def threshold(rate: float) -> np.uint32:
    """How many of the 2**32 words lie in the share `rate` below it, 0 <= rate < 1."""
    return np.uint32(int(rate * 2**32))  # exact but for the floor: at most 2**32 - 1
