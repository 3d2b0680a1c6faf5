"""Comparison: what of fastnn became faster or slower from one file of results to another.

python -m bench.compare A.json B.json
"""

import math
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from bench.results import Case, Row, machine, read
from bench.table import number
from fastnn import files
from fastnn.errors import FastnnError


@dataclass(frozen=True)
class Change:
    """A contender in a case, before and after.

    drift: how many times as fast the others became there, which no change of fastnn touches:
    the machine.
    """

    before: Row
    after: Row
    drift: float = 1.0

    @property
    def counts(self) -> bool:
        return self.before.counts and self.after.counts

    @property
    def ratio(self) -> float:
        """After by before, in samples/s, beside the others: above 1 where it became faster."""
        return self.after.samples_per_second / self.before.samples_per_second / self.drift

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest ratio of any two turns."""
        return (self.after.low / self.before.high / self.drift,
                self.after.high / self.before.low / self.drift)  # fmt: skip

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
    """What is of fastnn in both files, the largest change first, what does not count last.

    Raises as `bench.results.read`.
    """
    before, after = ({(row.case, row.contender): row for row in read(path)} for path in (a, b))
    pairs = [Change(before[key], after[key]) for key in before if key in after]
    drifts: dict[Case, list[float]] = defaultdict(list)
    for pair in pairs:
        if pair.counts and not pair.before.is_ours:
            drifts[pair.before.case].append(pair.ratio)
    changes = [replace(pair, drift=median(drifts[pair.before.case] or [1.0]))
               for pair in pairs if pair.before.is_ours]  # fmt: skip
    return sorted(changes, key=lambda change: (not change.counts, -abs(math.log(change.ratio))))


def lines(a: files.PathLike, b: files.PathLike) -> Iterator[str]:
    """What changed of fastnn beyond noise, as an aligned table, and how much did not."""
    yield f"A: {machine(a)}"
    yield f"B: {machine(b)}"
    yield ""
    changes = compare(a, b)
    real = [change for change in changes if not (change.counts and change.is_noise)]
    table = [["case", "contender", "A", "B", "others", "B/A", "spread", ""], *map(_cells, real)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        padded = (cell.rjust(width) if 2 <= k <= 6 else cell.ljust(width)
                  for k, (cell, width) in enumerate(zip(cells, widths, strict=True)))  # fmt: skip
        yield "  ".join(padded).rstrip()
    yield ""
    yield ("A and B in samples/s, or calls/s of what has no samples; others: how many times as "
           "fast all else became in the case, by which B/A is divided")  # fmt: skip
    faster, slower = (sum(change.counts and sign * math.log(change.ratio) > 0 for change in real)
                      for sign in (1, -1))  # fmt: skip
    yield f"{faster} faster, {slower} slower, {len(changes) - len(real)} within noise"
    shared = {(change.before.case, change.before.contender) for change in changes}
    for name, path in (("A", a), ("B", b)):
        alone = (row for row in read(path) if row.is_ours)
        count = sum((row.case, row.contender) not in shared for row in alone)
        if count:
            yield f"only in {name}: {count}"


def _cells(change: Change) -> list[str]:
    low, high = change.spread
    rates = [number(row.samples_per_second) for row in (change.before, change.after)]
    ratios = [f"{change.ratio:.3f}", f"{low:.3f}..{high:.3f}"] if change.counts else ["-", "-"]
    return [case_name(change.before), change.before.contender, *rates, f"{change.drift:.3f}",
            *ratios, change.remark]  # fmt: skip


def case_name(row: Row) -> str:
    batch = f"batch {row.batch_size}" if row.batch_size else ""
    words = (row.kind, row.workload, row.sizes, batch, row.device)
    return " ".join(word for word in words if word)


if __name__ == "__main__":
    main(sys.argv[1:])
