"""The whole benchmark: what `fastnn bench` runs in a checkout.

python -m bench.run --out FOLDER [--device cpu|cuda] [--workload NAME] [--quick]

FOLDER gets DEVICE.json (DEVICE-quick.json), the tables as .md, pictures, and log.txt with what
pytest said.
"""

import argparse
import contextlib
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench import pictures, table
from bench.command import run
from fastnn.backend import get_backend
from fastnn.errors import DataError

ROOT = Path(__file__).parent.parent
# the name last, which is cut where a terminal is narrow
BAR = "{percentage:3.0f}%|{bar:10}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}] {desc}"


class Bar:
    """A bar with a step for each benchmark, and the name of what is timed.

    reasons: why some were skipped, and how many.
    """

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        from tqdm import tqdm

        self._bar: Any = tqdm(total=len(session.items), dynamic_ncols=True, bar_format=BAR)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        what = nodeid.partition("[")[2].rstrip("]").partition(", turn ")[0]
        self._bar.set_description_str(what)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and isinstance(report.longrepr, tuple):
            self.reasons[report.longrepr[2].removeprefix("Skipped: ")] += 1

    def pytest_runtest_logfinish(self) -> None:
        self._bar.update()

    def pytest_sessionfinish(self) -> None:
        if hasattr(self, "_bar"):
            self._bar.close()


def main(arguments: Sequence[str]) -> None:
    """Ends with pytest's exit code where that is not 0; raises DeviceUnavailableError, OSError, and
    DataError where there is nothing to show."""
    parser = argparse.ArgumentParser("python -m bench.run")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--workload")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args(arguments)
    get_backend(args.device)  # there is one
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"{args.device}{'-quick' * args.quick}.json"
    for old in (path, path.with_suffix(".md"), *pictures.paths(path)):
        old.unlink(missing_ok=True)  # what is there afterwards is of this run
    options = [f"--device={args.device}", f"--benchmark-json={path}"]
    options += ["--quick"] * args.quick + [f"--workload={args.workload}"] * bool(args.workload)
    bar = Bar()
    with open(args.out / "log.txt", "w") as log, contextlib.redirect_stdout(log):
        code = int(pytest.main(
            [str(ROOT / "bench"), "-q", "-s", "-p", "no:cacheprovider", *options], plugins=[bar]
        ))  # fmt: skip
    for reason, count in bar.reasons.items():
        print(f"bench: skipped {count}: {reason}", file=sys.stderr)
    if code:
        print(f"bench: pytest ended with exit code {code}, see {args.out / 'log.txt'}",
              file=sys.stderr)  # fmt: skip
    if path.exists():
        tables = table.markdown(path)
        path.with_suffix(".md").write_text(tables + "\n", "utf-8")
        print(tables)
        pictures.draw(path)
    elif not code:
        raise DataError("nothing was timed")
    if code:
        sys.exit(code)


if __name__ == "__main__":
    run(main)
