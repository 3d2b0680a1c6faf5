"""Comparison: what became faster or slower from one file of results to another.

python -m bench.compare A.json B.json
"""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.results import Row, machine, read
from bench.table import number
from fastnn import files
from fastnn.errors import FastnnError


@dataclass(frozen=True)
class Change:
    """A contender in a case, before and after."""

    before: Row
    after: Row

    @property
    def counts(self) -> bool:
        return self.before.counts and self.after.counts

    @property
    def ratio(self) -> float:
        """After by before, in samples/s: above 1 where it became faster."""
        return self.after.samples_per_second / self.before.samples_per_second

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest ratio of any two turns."""
        return self.after.low / self.before.high, self.after.high / self.before.low

    @property
    def is_noise(self) -> bool:
        """Whether the turns before and those after overlap."""
        low, high = self.spread
        return low <= 1 <= high

    @property
    def remark(self) -> str:
        if not self.counts:
            return "other loss"
        if self.is_noise:
            return "within noise"
        return "one turn, noise unknown" if self.before.turns == self.after.turns == 1 else ""


def main(arguments: Sequence[str]) -> None:
    if len(arguments) != 2:
        raise SystemExit("usage: python -m bench.compare A.json B.json")
    try:
        print("\n".join(lines(*arguments)))
    except (FastnnError, OSError) as error:
        raise SystemExit(str(error)) from error


def compare(a: files.PathLike, b: files.PathLike) -> list[Change]:
    """What is in both files, the largest change first, what does not count last.

    Raises as `bench.results.read`.
    """
    before = {(row.case, row.contender): row for row in read(a)}
    after = {(row.case, row.contender): row for row in read(b)}
    changes = [Change(before[key], after[key]) for key in before if key in after]
    return sorted(changes, key=lambda change: (not change.counts, -abs(math.log(change.ratio))))


def lines(a: files.PathLike, b: files.PathLike) -> Iterator[str]:
    """The comparison as an aligned table, and what is in one file only."""
    yield f"A: {machine(a)}"
    yield f"B: {machine(b)}"
    yield ""
    changes = compare(a, b)
    table = [["case", "contender", "A", "B", "B/A", "spread", ""], *map(_cells, changes)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        padded = (cell.rjust(width) if 2 <= k <= 5 else cell.ljust(width)
                  for k, (cell, width) in enumerate(zip(cells, widths, strict=True)))  # fmt: skip
        yield "  ".join(padded).rstrip()
    yield ""
    yield "A and B in samples/s, or calls/s of what has no samples"
    shared = {(change.before.case, change.before.contender) for change in changes}
    for name, path in (("A", a), ("B", b)):
        for row in read(path):
            if (row.case, row.contender) not in shared:
                yield f"only in {name}: {_case(row)}, {row.contender}"


def _cells(change: Change) -> list[str]:
    low, high = change.spread
    rates = [number(row.samples_per_second) for row in (change.before, change.after)]
    ratios = [f"{change.ratio:.3f}", f"{low:.3f}..{high:.3f}"] if change.counts else ["-", "-"]
    return [_case(change.before), change.before.contender, *rates, *ratios, change.remark]


def _case(row: Row) -> str:
    batch = f"batch {row.batch_size}" if row.batch_size else ""
    words = (row.kind, row.workload, row.sizes, batch, row.device)
    return " ".join(word for word in words if word)


if __name__ == "__main__":
    main(sys.argv[1:])
