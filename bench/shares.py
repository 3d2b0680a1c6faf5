"""Shares: where fused training or prediction on a CPU takes its time, kernel by kernel, by perf.

python -m bench.shares 784-50-100-10 --batch-size 100     (Linux with perf; FASTNN_DATA for MNIST)
python -m bench.shares 784-50-100-10 --predict

What a kernel inlines counts as its own.  Cycles are those of all threads together, at the clock of
a chain of dependent multiplications that is timed beside it.  A matrix product of random numbers in
one thread's caches tells what multiply-adds the processor's power allows.
"""

import argparse
import bisect
import gc
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core.registry import CPUDispatcher

import fastnn
from bench.cases import rows_of
from fastnn_kernels.cpu_products import product
from fastnn_kernels.cpu_room import Room

DATA = {"784": "mnist", "64": "digits", "4": "iris"}  # by inputs
SECONDS, RATE = 4.0, 5000  # sampled; samples a second of each thread
REACH = 2**16  # bytes of code after a kernel's start that may be its own


def kernels() -> list[tuple[int, str]]:
    """(address, name) of all that is compiled, in order."""
    found = []
    for each in gc.get_objects():
        if issubclass(type(each), CPUDispatcher):  # isinstance would ask the object
            for compiled in each.overloads.values():
                place = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
                found.append((place, f"{each.__module__.split('.')[-1]}.{each.py_func.__name__}"))
    return sorted(found)


def sampled(work: Any, folder: Path) -> Iterator[tuple[int, str]]:
    """(address, symbol) of each sample while work() runs."""
    data = folder / "perf.data"
    command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(RATE), "-p", str(os.getpid()),
               "-o", str(data)]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as recorder:
        time.sleep(0.5)  # until it looks on
        if recorder.poll() is not None:
            raise OSError(f"perf ended at once: {recorder.communicate()[1].strip()}")
        work()
        recorder.send_signal(signal.SIGINT)
    shown = subprocess.run(["perf", "script", "-i", str(data), "-F", "ip,sym"],
                           capture_output=True, text=True, check=True)  # fmt: skip
    for line in shown.stdout.splitlines():
        address, _, symbol = line.strip().partition(" ")
        if address:
            yield int(address, 16), symbol


def shares(samples: Iterator[tuple[int, str]], known: list[tuple[int, str]]) -> Counter[str]:
    """Samples by kernel, or by symbol elsewhere."""
    places, counts = [place for place, _ in known], Counter[str]()
    for address, symbol in samples:
        index = bisect.bisect(places, address) - 1
        is_own = "unknown" in symbol and index >= 0 and address - places[index] < REACH
        counts[known[index][1] if is_own else symbol] += 1
    return counts


def _chain(count: int) -> int:
    x = 3
    for _ in range(count):
        x = x * x
    return x


def clock(count: int = 10**8) -> float:
    """Cycles a second: a multiplication that waits for the one before takes three."""
    chain = numba.njit(_chain)
    chain(1)
    began = time.perf_counter()
    chain(count)
    return 3 * count / (time.perf_counter() - began)


def multiply_adds(rows: int = 96, vectors: int = 4, depth: int = 784) -> float:
    """Of whole vectors a second in one thread, by the product that training has."""
    room = Room(np.dtype(np.float32))
    width = vectors * room.lanes
    a, b, c = (room.take(size) for size in (rows * depth, depth * width, rows * width))
    S = room.vector(room.end)
    S[:] = np.random.default_rng(0).normal(size=S.size)

    def seconds() -> float:
        began = time.perf_counter()
        product(S, rows, vectors, depth, a, depth, 1, b, width, c, width, a, 0)
        return time.perf_counter() - began

    seconds()  # compiles
    return rows * vectors * depth / statistics.median(seconds() for _ in range(1000))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("sizes", help="784-50-100-10, say; 784 inputs are MNIST, 64 the digits")
    parser.add_argument("--batch-size", type=int, default=100, help="of training, default 100")
    parser.add_argument("--dense", action="store_true", help="no number of X is zero")
    parser.add_argument("--predict", action="store_true", help="all rows in one call, instead")
    args = parser.parse_args(arguments)
    data, _, rest = args.sizes.partition("-")
    if data not in DATA or not re.fullmatch(r"[1-9]\d*(-[1-9]\d*)*", rest):
        parser.error(f"sizes are {args.sizes!r}, need those of a network with {' or '.join(DATA)} "
                     "inputs: 64-32-10")  # fmt: skip
    if shutil.which("perf") is None:
        parser.error("needs Linux's perf, which is not on PATH")
    sizes = [int(size) for size in args.sizes.split("-")]
    X, y = (part[:20_000] for part in rows_of(DATA[data] + "-dense" * args.dense))
    net = fastnn.MLP(sizes, seed=0)

    def predict(times: int) -> None:
        for _ in range(times):
            net.predict(X, execution="fused")

    def train(epochs: int) -> None:
        net.fit(X, y, batch_size=args.batch_size, epochs=epochs, execution="fused",
                optimizer=fastnn.SGD(0.05), progress=False)  # fmt: skip

    work = predict if args.predict else train

    def timed(times: int) -> float:
        began = time.perf_counter()
        work(times)
        return time.perf_counter() - began

    timed(1)
    times = max(1, round(SECONDS / timed(2) * 2))
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        counts = shares(
            iter([*sampled(lambda: seconds.append(timed(times)), Path(folder))]), kernels()
        )
    total, samples = counts.total(), times * len(X)
    cycles = total / RATE * clock() / samples
    print(
        f"{samples / seconds[0]:,.0f} samples/s, {cycles:,.0f} cycles a sample in all threads; "
        f"{multiply_adds() / 1e9:.1f} billion multiply-adds of vectors a second in one"
    )
    print(" share   cycles  kernel, or symbol elsewhere; the first fifteen")
    for name, count in counts.most_common(15):
        print(f"{count / total:6.1%} {cycles * count / total:8,.0f}  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
