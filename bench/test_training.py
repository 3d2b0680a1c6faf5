"""Training: samples per second of each contender on each job, in turns."""

from typing import Any

import pytest

from bench.cases import JOBS, QUICK, Job
from bench.conftest import Arena, in_turn, rest, turns
from bench.contenders import CPU, CUDA


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Turn by turn, job by job: what a machine does for a minute meets all contenders alike, and
    is one turn of a case."""
    config = metafunc.config
    cases = [
        pytest.param(job, turn, contender, id=f"{job.name}, {contender}, turn {turn}")
        for turn in turns(config)
        for job in (QUICK if config.getoption("--quick") else JOBS)
        for contender in in_turn(CPU if config.getoption("--device") == "cpu" else CUDA, turn)
    ]
    metafunc.parametrize(("job", "turn", "contender"), cases)


def test_training(
    benchmark: Any, arena: Arena, is_timed: bool, job: Job, turn: int, contender: str
) -> None:
    job = job if is_timed else job.short()
    ready = arena.enter(job, contender)
    trainer = ready.trainer

    benchmark.group = f"training {job.name}"
    benchmark.extra_info.update(
        kind="training", workload=job.workload, sizes="-".join(map(str, job.sizes)),
        batch_size=job.batch_size, samples=job.samples, contender=trainer.name,
        device=trainer.device, execution=getattr(trainer, "execution", ""), turn=turn,
        loss_error=ready.loss_error, counts=ready.counts, traffic_seconds=arena.traffic.get(job),
    )  # fmt: skip
    rest()
    # A job that is timed once takes 0.13 s and more, and warms up within itself.
    benchmark.pedantic(trainer.train, rounds=ready.rounds, warmup_rounds=min(1, ready.rounds - 1))

    assert ready.counts or is_timed, f"another loss than the reference's: {ready.loss_error:.1e}"
