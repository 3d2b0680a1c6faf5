"""Cold start: what a new process costs before it has trained, as whole processes."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.conftest import turns
from bench.results import WITHOUT

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
    "fastnn train iris, warm cache": ["-m", "fastnn", "train", "iris", "--device", "cpu"],
    "fastnn train iris, empty cache": ["-m", "fastnn", "train", "iris", "--device", "cpu"],
}
BARE = ("python", "import numpy")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    cases = [(turn, name) for turn in turns(metafunc.config)[::3] for name in PROCESSES]
    metafunc.parametrize(("turn", "name"), cases)


@pytest.fixture(scope="session")
def warm_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_start(benchmark: Any, warm_cache: Path, tmp_path: Path, turn: int, name: str) -> None:
    cache = tmp_path if "empty" in name else warm_cache
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'kernels'}",
                   "FASTNN_CACHE": str(cache), "FASTNN_DEVICE": "cpu"}  # fmt: skip
    environment.pop("FASTNN_NUM_THREADS", None)  # holding BLAS to it would cost an import

    def work() -> None:
        command = [sys.executable, *PROCESSES[name]]
        subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True)

    benchmark.group = "start"
    benchmark.extra_info.update(
        kind="start", workload=name, sizes=None, batch_size=None, samples=1,
        contender=WITHOUT if name in BARE else "fastnn", device="cpu", execution="", turn=turn,
        loss_error=None, counts=True,
    )  # fmt: skip
    if cache == warm_cache:
        work()  # which fills it
    benchmark.pedantic(work)
