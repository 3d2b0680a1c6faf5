"""Training: samples per second of each contender on each job, in turns."""

from typing import Any

import pytest

from bench.cases import JOBS, QUICK, Job
from bench.conftest import Arena, turns
from bench.contenders import CPU, CUDA


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Job by job, turn by turn: what a machine does meanwhile meets all contenders alike."""
    config = metafunc.config
    cases = [
        pytest.param(job, turn, contender, id=f"{job.name}, {contender}, turn {turn}")
        for job in (QUICK if config.getoption("--quick") else JOBS)
        for turn in turns(config)
        for contender in (CPU if config.getoption("--device") == "cpu" else CUDA)
    ]
    metafunc.parametrize(("job", "turn", "contender"), cases)


def test_training(
    benchmark: Any, arena: Arena, is_timed: bool, job: Job, turn: int, contender: str
) -> None:
    ready = arena.enter(job if is_timed else job.short(), contender)
    trainer = ready.trainer

    benchmark.group = f"training {job.name}"
    benchmark.extra_info.update(
        kind="training", workload=job.workload, sizes="-".join(map(str, job.sizes)),
        batch_size=job.batch_size, samples=job.samples, contender=trainer.name,
        device=trainer.device, execution=getattr(trainer, "execution", ""), turn=turn,
        loss_error=ready.loss_error, counts=ready.counts, floor_seconds=arena.floor_seconds,
    )  # fmt: skip
    benchmark.pedantic(trainer.train, rounds=ready.rounds)

    assert ready.counts or is_timed, f"another loss than the reference's: {ready.loss_error:.1e}"
