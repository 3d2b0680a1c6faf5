"""bench/memory.py: arrays of any size lie where others lay before."""

import os
import platform
import subprocess
import sys

import pytest


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_memory_that_is_given_back_is_taken_again() -> None:
    code = """
import resource
import numpy as np
from bench.memory import keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for size in (10**5, 10**6, 10**7, 10**8):
        np.empty(size, np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
by_itself = faults()
assert keep_memory()
faults()
print(by_itself, faults())
"""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("MALLOC_", "GLIBC_", "LD_"))}  # fmt: skip
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env=environment, check=True)  # fmt: skip

    by_itself, kept = map(int, done.stdout.split())
    if not by_itself:
        pytest.skip("this system counts no page faults")
    assert kept < by_itself / 3  # as many as 49 pages of 2 MB have, or more smaller ones
