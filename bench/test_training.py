"""Training: samples per second of each contender on each job, in turns."""

from typing import Any

import pytest

from bench.cases import ALL, QUICK, Job
from bench.conftest import Arena, in_turn, rest, rounds, turns
from bench.contenders import CPU, CUDA
from bench.reference import TOLERANCE, error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Turn by turn, job by job: what a machine does for a minute meets all contenders alike."""
    config = metafunc.config
    device = config.getoption("--device")
    cases = [
        pytest.param(job, turn, contender, id=f"{job.name}, {contender}, turn {turn}")
        for turn in turns(config)
        for job in (QUICK if config.getoption("--quick") else ALL)[device]
        for contender in in_turn(CPU if device == "cpu" else CUDA, turn)
    ]
    metafunc.parametrize(("job", "turn", "contender"), cases)


def test_training(
    benchmark: Any, arena: Arena, is_timed: bool, job: Job, turn: int, contender: str
) -> None:
    job = job if is_timed else job.short()
    trainer, seconds = arena.enter(job, contender)
    count = rounds(seconds)

    benchmark.group = f"training {job.name}"
    rest()
    # A job that is timed once takes 0.13 s and more, and warms up within itself.
    benchmark.pedantic(
        trainer.train, setup=trainer.begin, rounds=count, warmup_rounds=min(1, count - 1)
    )

    layers = trainer.layers()
    wrong = None if layers is None else error(job, layers)  # after the last of the timed jobs
    counts = wrong is None or wrong <= TOLERANCE
    benchmark.extra_info.update(
        kind="training", workload=job.title, sizes="-".join(map(str, job.sizes)),
        batch_size=job.batch_size, samples=job.samples, contender=trainer.name,
        device=trainer.device, execution=getattr(trainer, "execution", ""), turn=turn,
        loss_error=wrong, counts=counts, traffic_seconds=arena.traffic.get(job),
    )  # fmt: skip
    assert counts or is_timed, f"another loss than the reference's: {wrong:.1e}"
