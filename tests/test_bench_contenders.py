"""bench/contenders: each trains what the reference trains; what trains another thing is caught."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from itertools import product
from typing import Any

import numpy as np
import pytest

from bench import contenders, reference
from bench.cases import Job
from bench.contenders import limit
from bench.contenders.textbook import Textbook
from bench.predictors import PREDICTORS
from bench.test_inference import formulas

NETS = [((64, 16, 10), "sigmoid"), ((64, 16, 12, 10), "sigmoid"),
        ((64, 16, 10), "relu"), ((64, 16, 12, 10), "relu")]  # fmt: skip
# batch size, rows, epochs; the last batch has 1 row, 5, 50 and all
SIZES = [(1, 150, 2), (10, 205, 4), (100, 450, 10), (450, 450, 60)]
JOBS = [
    Job("digits", sizes, activation, batch_size, rows, epochs, learning_rate=0.05)
    for (sizes, activation), (batch_size, rows, epochs) in product(NETS, SIZES)
]
TRAINERS = [
    *(contender for contender in contenders.CPU if contender != "limit:Products"),
    *(pytest.param(contender, marks=pytest.mark.gpu) for contender in contenders.CUDA
      if contender != "cupy:Products"),
]  # fmt: skip
TO_COMPILE = {"pytorch:Compiled": [JOBS[5]], "jax:Scanned": [JOBS[i] for i in (0, 7, 13)]}


def runnable(contender: str) -> type[contenders.Contender]:
    reason = contenders.missing(contender)
    if reason is not None:
        pytest.skip(f"{contender}: {reason}")
    return contenders.load(contender)


@pytest.mark.parametrize("contender", TRAINERS)
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")  # torch's own
def test_a_contender_trains_what_the_reference_trains(contender: str) -> None:
    contestant = runnable(contender)
    for job in TO_COMPILE.get(contender.removesuffix("OnCuda"), JOBS):
        trained = contestant(job)
        trained.train()

        for _ in range(2):
            trained.begin()
            trained.train()

            layers = trained.layers()
            assert layers is not None
            assert reference.error(job, layers) <= reference.TOLERANCE, job


@pytest.mark.parametrize("contender", TRAINERS)
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")  # torch's own
def test_rows_that_each_job_copies_are_the_same(contender: str) -> None:
    job = replace(JOBS[1], is_resident=False)
    if contender.startswith("pytorch:Compiled"):
        pytest.skip("copies as the eager one does, and compiling takes long")
    trained: Any = runnable(contender)(job)
    if contender.startswith("pytorch"):
        trained.X.zero_()  # is not what is copied
    elif contender.startswith("jax"):
        trained.data = [0 * x for x in trained.data]
    elif contender.startswith(("textbook", "cupy")):
        trained.X = 0 * trained.X

    trained.train()

    assert reference.error(job, trained.layers()) <= reference.TOLERANCE


@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")  # torch's own
def test_what_is_compiled_for_one_job_stays_so_beside_many_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More of them than torch.compile keeps of one function."""
    contestant: Any = runnable("pytorch:Compiled")
    from torch._dynamo.utils import counters

    monkeypatch.setattr(contestant, "how", {"backend": "eager"})  # traced, which is quick
    jobs = [Job("digits", (64, width, 10), "relu", 100, 200, 1) for width in range(1, 11)]
    trainers = [contestant(job) for job in jobs]
    for trainer in trainers:
        trainer.train()
    compiled = counters["stats"]["unique_graphs"]

    for trainer in trainers:
        trainer.train()

    assert counters["stats"]["unique_graphs"] == compiled >= len(jobs)


@pytest.fixture
def by_cupy(standin: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """A contender by CuPy's stand-in."""
    monkeypatch.delitem(sys.modules, "bench.contenders.cupy", raising=False)
    monkeypatch.setattr(standin, "exp", np.exp, raising=False)
    monkeypatch.setattr(standin, "maximum", np.maximum, raising=False)
    module = import_module("bench.contenders.cupy")
    del sys.modules["bench.contenders.cupy"]
    return lambda name: getattr(module, name)


def test_the_products_by_cupy_are_those_by_numpy(standin: Any, by_cupy: Any) -> None:
    limits = limit.Products(JOBS[6]), by_cupy("Products")(JOBS[6])
    standin.waits.clear()

    for each in limits:
        each.train()

    assert standin.waits == ["stream"]
    here, there = ([out for *_, out in each.products] for each in limits)
    assert {type(out) for out in there} == {standin.ndarray}
    for out, wanted in zip(map(standin.asnumpy, there), here, strict=True):
        np.testing.assert_array_equal(out, wanted)


def test_the_loop_by_cupy_is_the_loop_by_numpy(standin: Any, by_cupy: Any) -> None:
    for job in (*JOBS[:4], JOBS[13], replace(JOBS[1], is_resident=False)):
        trained = by_cupy("Loop")(job)
        standin.waits.clear()
        standin.uploads.clear()

        trained.train()

        assert standin.waits == ["stream"]
        assert bool(standin.uploads) is not job.is_resident
        assert reference.error(job, trained.layers() or []) <= reference.TOLERANCE


@pytest.mark.parametrize("name", ["CuPy loop", "fastnn layers"])
@pytest.mark.usefixtures("by_cupy")
def test_predictions_on_a_gpu_are_those_of_the_formulas(name: str) -> None:
    _, make = PREDICTORS["cuda"][name]

    predict = make(JOBS[5].activation, JOBS[5].start(), "cuda")

    np.testing.assert_allclose(predict(JOBS[5].X), formulas(JOBS[5], JOBS[5].X), atol=1e-6)


def faster_learning(job: Job) -> Textbook:
    return Textbook(replace(job, learning_rate=job.learning_rate * 1.01))


def without_the_last_batch(job: Job) -> Textbook:
    trained = Textbook(job)
    whole = (job.rows - 1) // job.batch_size * job.batch_size
    trained.orders, trained.job = [o[:whole] for o in trained.orders], replace(job, rows=whole)
    return trained


def unshuffled(job: Job) -> Textbook:
    trained = Textbook(job)
    trained.orders = [np.arange(job.rows)] * job.epochs
    return trained


@pytest.mark.parametrize(
    ("wrong", "job"),
    [
        (wrong, job)
        for job in JOBS
        for wrong in (faster_learning, without_the_last_batch, unshuffled)
        if job.shuffles or wrong is faster_learning
    ],
    ids=lambda x: f"{x.name} {x.activation}" if isinstance(x, Job) else x.__name__,
)
def test_a_contender_that_trains_something_else_is_caught(
    wrong: Callable[[Job], Textbook], job: Job
) -> None:
    trained = wrong(job)

    trained.train()

    assert reference.error(job, trained.layers()) > reference.TOLERANCE


def test_naming_the_contenders_imports_no_peer() -> None:
    code = """
import sys
import bench.contenders

print({"torch", "jax", "sklearn", "cupy"} & sys.modules.keys())
"""

    assert in_a_new_python(code) == "set()"


def test_what_cannot_run_here_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "bench.contenders.cupy", raising=False)
    monkeypatch.setitem(sys.modules, "cupy", None)

    assert contenders.missing("cupy:Loop") == "cupy is not installed"
    assert contenders.missing("textbook:Textbook") is None


def in_a_new_python(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env=environment, check=True)  # fmt: skip
    return done.stdout.strip()
