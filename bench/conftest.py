"""What the benchmarks share: their options, the machine in the JSON, and turns.

pytest bench                      all, in an hour; --quick in two minutes
pytest bench --benchmark-disable  each once on a few rows, untimed: that it runs, and learns
"""

import gc
import os
import platform
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import fastnn
from bench.cases import QUICK, Job
from bench.contenders import Contender, load, missing
from bench.contenders.limit import CACHED, LARGE, copy_bandwidth, traffic_seconds
from bench.gpu.machine import PACKAGES, STILL, commit, nvidia_smi, processor
from bench.memory import keep_memory
from bench.threads import set_threads
from fastnn.gpu import version
from fastnn.threads import thread_count

HERE = Path(__file__).parent
_KEEPS_MEMORY, _GPU = pytest.StashKey[bool](), pytest.StashKey[dict[str, str]]()
_LOAD = pytest.StashKey[float | None]()
_COMPILED = [job.short() for job in QUICK["cpu"] if job.batch_size >= 100]
TURNS = {"cpu": 16, "cuda": 7}  # of each contender; a GPU is seldom shared
SECONDS = 0.2  # of timed work in a turn


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="a part of the cases, in one turn")
    parser.addoption("--threads", type=int, default=thread_count(), help="default: all")
    parser.addoption("--device", choices=["cpu", "cuda"], default="cpu")
    parser.addoption("--workload", help="iris, digits or mnist alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep to a workload, and on a GPU to networks: bench/gpu times all else there.

    All that there is takes a turn before anything takes its next, an hour between first and last:
    what a machine does for some minutes is one turn of each.
    """
    workload, device = config.getoption("--workload") or "", config.getoption("--device")
    others: list[pytest.Item] = []  # of other folders
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        is_there = device == "cpu" or item.path.stem in ("test_training", "test_inference")
        is_wanted = is_there and item.nodeid.partition("[")[2].startswith(workload)
        (others if item.path.parent != HERE else kept if is_wanted else left).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = others + sorted(kept, key=_turn)


def _turn(item: Any) -> int:
    turn: int = item.callspec.params["turn"]
    return turn


def pytest_configure(config: pytest.Config) -> None:
    # of the last minute: what others are at; Windows has none
    config.stash[_LOAD] = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    config.addinivalue_line("filterwarnings", "ignore")  # of the peers' own code
    set_threads(config.getoption("--threads"))
    config.stash[_KEEPS_MEMORY] = keep_memory()
    config.stash[_GPU] = nvidia_smi(STILL) if config.getoption("--device") == "cuda" else {}


def pytest_benchmark_update_machine_info(
    config: pytest.Config, machine_info: dict[str, Any]
) -> None:
    """What a figure means nothing without."""
    gpu = config.stash[_GPU]
    machine_info.update(
        cpu_model=processor()["model"], cores=os.cpu_count(), threads=config.getoption("--threads"),
        blas=processor()["threads"], system=platform.platform(), commit=commit(),
        versions={"fastnn": fastnn.__version__, "python": platform.python_version()}
        | {name: found for name in PACKAGES if (found := version(name))},
        load=config.stash[_LOAD], precision="float32, products in full float32",
        memory="kept by the process" if config.stash[_KEEPS_MEMORY] else "left to the C library",
        copies={f"{size >> 20} MB": copy_bandwidth(size) for size in (CACHED, LARGE)},  # bytes/s
        data="iris, digits" + ", MNIST" * bool(os.environ.get("FASTNN_DATA")),
        gpu=gpu.get("name"), driver=gpu.get("driver_version"), power_limit=gpu.get("power.limit"),
    )  # fmt: skip


def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Leave out the times of single rounds, 60 MB of them, unless they are asked for."""
    if not config.getoption("--benchmark-save-data"):
        for benchmark in output_json["benchmarks"]:
            benchmark["stats"].pop("data", None)


class Arena:
    """The contenders of all jobs, each made and warmed up once."""

    def __init__(self, is_timed: bool, device: str) -> None:
        self.is_timed, self.device = is_timed, device
        self.traffic: dict[Job, float] = {}  # seconds of a job; known of a CPU, once it is timed
        self.ready: dict[tuple[Job, str], tuple[Contender, float]] = {}

    def enter(self, job: Job, contender: str) -> tuple[Contender, float]:
        """It, and the seconds that a job takes it.

        Skips the test where the contender, named as in bench.contenders, cannot run.
        """
        if (job, contender) not in self.ready:
            self._see_whether_it_can(job, contender)
            if self.is_timed and self.device == "cpu" and job not in self.traffic:
                self.traffic[job] = traffic_seconds(job)
            trainer = load(contender)(job)
            trainer.train()
            trainer.begin()
            if self.is_timed:
                rest()
            began = time.perf_counter()
            trainer.train()
            self.ready[job, contender] = trainer, time.perf_counter() - began
            gc.collect()
            gc.freeze()  # it all stays: what others are timed at need not look through it again
        return self.ready[job, contender]

    def _see_whether_it_can(self, job: Job, contender: str) -> None:
        if job.workload.startswith("mnist") and not os.environ.get("FASTNN_DATA"):
            pytest.skip("FASTNN_DATA names no folder with MNIST")
        if reason := missing(contender):
            pytest.skip(reason)
        if contender == "pytorch:Compiled" and not self.is_timed and job.short() not in _COMPILED:
            pytest.skip("compiling takes long, and once for each network is enough untimed")


def turns(config: pytest.Config) -> range:
    """Numbers of the turns, which is one where it is quick or untimed."""
    if config.getoption("--quick") or not times(config):
        return range(1)
    return range(TURNS[config.getoption("--device")])


def times(config: Any) -> bool:
    """Whether pytest-benchmark takes times: not where it is told so, nor in several processes."""
    return not config._benchmarksession.disabled


def rounds(seconds: float) -> int:
    """So many jobs of such a length are timed in a turn."""
    return max(1, min(20, round(SECONDS / seconds)))


def in_turn(contenders: Iterable[str], turn: int) -> list[str]:
    """There and back, so that nobody always follows the same one."""
    return list(contenders)[:: -1 if turn % 2 else 1]


def rest() -> None:
    """Let the threads of whoever came before go to sleep.

    OpenBLAS's wait 25 ms for more work, and keep a core busy meanwhile.
    """
    time.sleep(0.05)


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> str:
    name: str = request.config.getoption("--device")
    return name


@pytest.fixture(scope="session")
def arena(is_timed: bool, device: str) -> Arena:
    return Arena(is_timed, device)


@pytest.fixture(scope="session")
def is_timed(request: pytest.FixtureRequest) -> bool:
    """Whether times are taken, and the whole job is done."""
    return times(request.config)
