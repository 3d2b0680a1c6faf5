"""Pictures: the results as curves by batch size, and as bars of how far ahead fastnn is.

    python -m bench.pictures RESULT.json ...

writes RESULT-throughput.png and RESULT-ratios.png beside each.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from bench.bars import ratios
from bench.command import run
from bench.curves import throughput
from bench.results import read
from fastnn.plots import save


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("python -m bench.pictures")
    parser.add_argument("files", nargs="+", type=Path, metavar="RESULT.json")
    for path in parser.parse_args(arguments).files:
        draw(path)


def draw(path: Path) -> None:
    """Write both pictures.  Raises as `bench.results.read`, and DataError where one is empty."""
    rows = read(path)
    for place, picture in zip(paths(path), (throughput(rows), ratios(rows)), strict=True):
        save(picture, place)


def paths(path: Path) -> list[Path]:
    """Where those of a file are."""
    return [path.with_name(f"{path.stem}-{name}.png") for name in ("throughput", "ratios")]


if __name__ == "__main__":
    run(main)
