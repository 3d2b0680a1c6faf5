"""bench/threads.py: one number of threads, for libraries imported before and after."""

import os
import subprocess
import sys

import pytest


def test_one_number_of_threads_holds_for_all() -> None:
    pytest.importorskip("jax", reason="JAX is not installed")
    code = """
import time
import numpy as np
from threadpoolctl import threadpool_info
from bench.threads import set_threads

set_threads(1)
import jax
from fastnn.threads import thread_count

assert thread_count() == 1

assert {pool["num_threads"] for pool in threadpool_info()} == {1}
X = jax.numpy.ones((1000, 1000))
product = jax.jit(lambda X: X @ X)
product(X).block_until_ready()
wall, work = time.perf_counter(), time.process_time()
for _ in range(20):
    product(X).block_until_ready()
print((time.process_time() - work) / (time.perf_counter() - wall))
try:
    set_threads(2)
except RuntimeError as error:
    print(error)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env=environment, check=True)  # fmt: skip

    busy, complaint = done.stdout.splitlines()
    assert float(busy) < 1.2
    assert complaint == "JAX is imported: set_threads(2) must come before"
