"""Pictures: the results as curves by batch size, and as bars of how far ahead fastnn is.

    python -m bench.pictures RESULT.json ...

writes RESULT-throughput.png and RESULT-ratios.png beside each.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from bench.bars import ratios
from bench.curves import throughput
from bench.results import read
from fastnn.errors import FastnnError
from fastnn.plots import save


def main(arguments: Sequence[str]) -> None:
    if not arguments:
        raise SystemExit("usage: python -m bench.pictures RESULT.json ...")
    try:
        for path in map(Path, arguments):
            draw(path)
    except (FastnnError, OSError) as error:
        raise SystemExit(str(error)) from error


def draw(path: Path) -> None:
    """Write both pictures.  Raises as `bench.results.read`, and DataError where one is empty."""
    rows = read(path)
    for name, picture in (("throughput", throughput(rows)), ("ratios", ratios(rows))):
        save(picture, path.with_name(f"{path.stem}-{name}.png"))


if __name__ == "__main__":
    main(sys.argv[1:])
