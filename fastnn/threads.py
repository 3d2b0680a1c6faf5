"""Threads: how many the process may use, for the fused trainer and for BLAS alike."""

import functools
import math
import os
from pathlib import Path

from fastnn.errors import ArgumentError

_CGROUP = Path("/sys/fs/cgroup")


def thread_count() -> int:
    """FASTNN_NUM_THREADS, else the cores that the process may use.  Raises ArgumentError."""
    wanted = os.environ.get("FASTNN_NUM_THREADS")
    if not wanted:
        return max(1, math.ceil(min(_cores(), _quota())))
    if not wanted.isdecimal() or not 1 <= int(wanted) <= 1024:
        raise ArgumentError(f"FASTNN_NUM_THREADS is {wanted!r}, need an integer from 1 to 1024")
    return int(wanted)


@functools.cache
def limit_blas() -> None:
    """Hold NumPy's BLAS to thread_count, where that is not what it takes by itself.

    More threads than cores wait for each other: OpenBLAS falls to a tenth of its speed.
    """
    if (count := thread_count()) != _cores() or os.environ.get("FASTNN_NUM_THREADS"):
        from threadpoolctl import threadpool_limits

        threadpool_limits(count, "blas")


def _cores() -> int:
    """Those that the scheduler gives the process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota() -> float:
    """Cores' worth of time that a container may take, in Linux's control groups of version 2."""
    try:
        quota, period = (_CGROUP / "cpu.max").read_text().split()
        return float(quota) / float(period)
    except (OSError, ValueError):  # not Linux, or version 1, or "max"
        return math.inf
