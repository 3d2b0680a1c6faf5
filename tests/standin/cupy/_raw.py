"""Of the stand-in: CUDA C++ that a GPU would compile, compiled for the host by g++ and emulated."""

import ctypes
import hashlib
import os
import re
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

from cupy import cuda

HEADER = Path(__file__).with_name("emulation.hpp")
FLAGS = ["-std=c++17", "-O1", "-march=native", "-shared", "-fPIC", "-x", "c++", "-w",
         "-fsanitize=alignment,bounds,shift,signed-integer-overflow",
         "-fsanitize-undefined-trap-on-error"]  # fmt: skip


_one_at_a_time = threading.Lock()
_functions: dict[tuple[int, str], "RawKernel"] = {}  # one for all who ask, as a driver has it


class RawModule:
    """Kernels that take one record by value: extern "C" __global__ ... name(... Type name)."""

    def __init__(self, *, code: str, options: tuple[str, ...] = ()) -> None:
        assert options == ("--std=c++17",)
        found = re.findall(r"__global__ [^{]*?(\w+)\(const __grid_constant__ (\w+) \w+\)", code)
        wrappers = [
            f'extern "C" void launch_{name}(unsigned x, unsigned y, int threads, long shared, '
            f"const {record}* job) {{ emulation::launch({{x, y, 1}}, threads, shared, "
            f"[&] {{ {name}(*job); }}); }}"
            for name, record in found
        ]
        sizes = [f'extern "C" long bytes_{name}() {{ return sizeof({record}); }}'
                 for name, record in found]  # fmt: skip
        code = re.sub("extern __shared__.*|#define SHARED.*", "", code)
        text = "\n".join([f'#include "{HEADER}"', code, *wrappers, *sizes])
        self.library = ctypes.CDLL(str(_compiled(text)))

    def get_function(self, name: str) -> "RawKernel":
        return _functions.setdefault((self.library._handle, name), RawKernel(self.library, name))


class RawKernel:
    def __init__(self, library: Any, name: str) -> None:
        self.launch = getattr(library, f"launch_{name}")
        self.bytes = getattr(library, f"bytes_{name}")()
        self.max_dynamic_shared_size_bytes = 48 * 2**10

    def __call__(self, grid: Any, block: Any, args: Any, *, shared_mem: int = 0) -> None:
        (job,) = args
        assert job.shape == (1,)
        assert job.nbytes == self.bytes
        assert shared_mem <= self.max_dynamic_shared_size_bytes <= 227 * 2**10
        record = job.copy()  # by value
        x, y = (*grid, 1)[:2]

        def launch() -> None:
            with _one_at_a_time:
                self.launch(
                    x, y, block[0], ctypes.c_long(shared_mem), ctypes.c_void_p(record.ctypes.data)
                )

        cuda.get_current_stream().take(launch)


def _compiled(code: str) -> Path:
    name = hashlib.sha256((code + HEADER.read_text()).encode()).hexdigest()[:24]
    path = Path(tempfile.gettempdir()) / f"emulated-{os.getuid()}-{name}.so"
    if not path.exists():
        with tempfile.TemporaryDirectory() as folder:
            built = Path(folder) / path.name
            subprocess.run(
                ["g++", *FLAGS, "-o", str(built), "-"], input=code, text=True, check=True
            )
            os.replace(built, path)
    return path
