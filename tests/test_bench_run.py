"""bench/run.py: what a run leaves in its folder, and how it ends."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench import pictures, run
from fastnn.errors import DataError, DeviceUnavailableError

Pytest = Callable[[list[str], list[Any]], int]


@pytest.fixture
def as_pytest(monkeypatch: pytest.MonkeyPatch) -> Callable[[Pytest], None]:
    """Puts a function in pytest's place, and empty files in that of the pictures."""

    def draw(path: Path) -> None:
        for picture in pictures.paths(path):
            picture.touch()

    monkeypatch.setattr(pictures, "draw", draw)
    return lambda function: monkeypatch.setattr(pytest, "main", function)


def timing(arguments: list[str], plugins: list[Any]) -> int:
    (path,) = (word.partition("=")[2] for word in arguments if "--benchmark-json=" in word)
    info = {"kind": "training", "workload": "iris", "sizes": "4-5-3", "batch_size": 120,
            "samples": 1000, "contender": "fastnn", "device": "cpu", "counts": True}  # fmt: skip
    one = {"name": "test", "extra_info": info, "stats": {"min": 0.5}}
    Path(path).write_text(json.dumps({"machine_info": {}, "benchmarks": [one]}))
    return 0


def test_a_run_leaves_its_figures_and_tables(
    tmp_path: Path, as_pytest: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    as_pytest(timing)

    run.main(["--out", str(tmp_path / "new"), "--quick"])

    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "cpu-quick.json", "cpu-quick.md", "cpu-quick-ratios.png", "cpu-quick-throughput.png",
        "log.txt",
    }  # fmt: skip
    assert "| fastnn | **2,000** |" in capsys.readouterr().out


@pytest.mark.parametrize("code", [0, 5])
def test_the_figures_of_an_earlier_run_are_not_shown_again(
    tmp_path: Path, as_pytest: Any, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    as_pytest(timing)
    run.main(["--out", str(tmp_path)])
    capsys.readouterr()
    as_pytest(lambda arguments, plugins: code)

    with pytest.raises(SystemExit if code else DataError, match="5" if code else "nothing was"):
        run.main(["--out", str(tmp_path)])

    assert capsys.readouterr().out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["log.txt"]


def test_the_bar_says_what_is_left_and_which_network_is_timed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    what = "mnist-dense 784-50-100-10 batch 100, sklearn:ScikitLearn"
    bar, session = run.Bar(), SimpleNamespace(items=[None, None])

    bar.pytest_collection_finish(cast("pytest.Session", session))
    bar.pytest_runtest_logstart(f"bench/test_training.py::test_training[{what}, turn 15]")
    bar.pytest_runtest_logfinish()
    bar.pytest_sessionfinish()

    assert re.search(
        rf" 50%\|\S+ *\| 1/2 \[00:0\d<00:0\d\] {what}$", capsys.readouterr().err.strip()
    )


@pytest.mark.usefixtures("as_pytest")
def test_without_a_gpu_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(device: str) -> None:
        raise DeviceUnavailableError(f"no {device}")

    monkeypatch.setattr(run, "get_backend", refuse)

    with pytest.raises(DeviceUnavailableError):
        run.main(["--out", str(tmp_path / "new"), "--device", "cuda"])

    assert not (tmp_path / "new").exists()
