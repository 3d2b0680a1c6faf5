"""Cold start: what a new process costs before it has trained, as whole processes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
FIT = """
import fastnn
X, y = fastnn.datasets.load_iris()
fastnn.MLP([4, 5, 3], seed=0).fit(X, y)
"""
PROCESSES = {
    "python": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "import fastnn": ["-c", "import fastnn"],
    "first fit, warm cache": ["-c", FIT],
    "first fit, empty cache": ["-c", FIT],
    "fastnn train iris, warm cache": ["-m", "fastnn", "train", "iris"],
    "fastnn train iris, empty cache": ["-m", "fastnn", "train", "iris"],
}


@pytest.mark.parametrize("name", PROCESSES)
def test_start(benchmark: Any, name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'kernels'}",
                   "FASTNN_CACHE": str(cache)}  # fmt: skip
    environment.pop("FASTNN_NUM_THREADS", None)  # holding BLAS to it would cost an import

    def empty() -> None:
        shutil.rmtree(cache)
        cache.mkdir()

    def work() -> None:
        command = [sys.executable, *PROCESSES[name]]
        subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True)

    benchmark.group = "start"
    benchmark.extra_info.update(
        kind="start", workload=name, sizes=None, batch_size=None, samples=1, contender="fastnn",
        device="cpu", execution="", turn=0, loss_error=None, counts=True,
    )  # fmt: skip
    if "warm" in name:
        work()
    benchmark.pedantic(
        work,
        setup=empty if "empty" in name else None,
        rounds=1 if request.config.getoption("--quick") else 5,
    )
