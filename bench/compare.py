"""Comparison: what of fastnn became faster or slower from one file of results to another.

python -m bench.compare A.json B.json

Machines have their hours: fastnn's figures count by how many times as fast the others became, which
no change of fastnn touches (but for kernels, whose other is their definition).  Whether that is
chance, the test of Mann and Whitney (1947) says of the turns before and after, each by how slow the
others were in it.  It does not see what differs from process to process, which is mostly small.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb, log
from statistics import median

from scipy.stats import mannwhitneyu

from bench.command import run, two_files
from bench.results import Row, machine, read
from bench.table import number
from fastnn import files
from fastnn.errors import DataError

CHANCE = 0.01  # probability from which on a change may be chance
SMALL = 1.05  # factors below are what processes of one commit differ by

OTHERS = "cases or contenders that were not there, or jobs of another length, as those of --quick"
Pair = tuple[Row, Row]  # before and after


@dataclass(frozen=True)
class Change:
    """A contender in a case, before and after.

    ratio: after by before, in samples/s beside the others: above 1 where it became faster.
    drift: how many times as fast the others became.  chance: the probability that turns which are
    all alike lie so far apart.  is_known: whether there are turns enough to tell a change from
    chance, five before and after, or three beside sixteen.
    """

    before: Row
    after: Row
    ratio: float
    drift: float
    chance: float
    is_known: bool

    @property
    def counts(self) -> bool:
        return self.before.counts and self.after.counts

    @property
    def is_noise(self) -> bool:
        is_small = abs(log(self.ratio)) < log(SMALL)
        return self.is_known and (is_small or self.chance > CHANCE)

    @property
    def remark(self) -> str:
        if not self.counts:
            return "other loss"
        if self.is_noise:
            return "within noise"
        return "" if self.is_known else "too few turns to know"


def main(arguments: Sequence[str]) -> None:
    print("\n".join(lines(*two_files("compare", arguments))))


def compare(a: files.PathLike, b: files.PathLike) -> list[Change]:
    """What is of fastnn in both files, the largest change first, what does not count last.

    Raises as `bench.results.read`, and DataError where there is nothing.
    """
    before, after = ({row.job: row for row in read(path)} for path in (a, b))
    pairs = [(before[job], after[job]) for job in before if job in after]
    changes = [
        _change(pair, [other for other in pairs if other[0].case == pair[0].case])
        for pair in pairs if pair[0].is_ours
    ]  # fmt: skip
    if not changes:
        raise DataError(f"{a} and {b} have no job of fastnn in common, need two runs of the same "
                        "jobs (those of --quick are shorter)")  # fmt: skip
    return sorted(changes, key=lambda change: (not change.counts, -abs(log(change.ratio))))


def _change(pair: Pair, case: list[Pair]) -> Change:
    others = [other for other in case
              if all(row.counts and not row.is_ours for row in other)]  # fmt: skip
    drift = median([_faster(other) for other in others] or [1.0])
    before, after = (_beside(row, others, k) for k, row in enumerate(pair))
    chance = float(mannwhitneyu(before, after, method="exact").pvalue)
    least = 2 / comb(len(before) + len(after), len(before))  # of two that do not overlap
    return Change(*pair, _faster(pair) / drift, drift, chance, least <= CHANCE)


def _faster(pair: Pair) -> float:
    return pair[1].samples_per_second / pair[0].samples_per_second


def _beside(row: Row, others: list[Pair], k: int) -> list[float]:
    """Calls a second in each turn, times how slow the others were in it beside what they took
    before, by the median of them."""
    slow = {turn: [pair[k].times[turn] / pair[0].seconds for pair in others
                   if turn in pair[k].times] for turn in row.times}  # fmt: skip
    turns = [turn for turn in slow if slow[turn]] or list(slow)
    return [median(slow[turn] or [1.0]) / row.times[turn] for turn in turns]


def lines(a: files.PathLike, b: files.PathLike) -> Iterator[str]:
    """What changed of fastnn beyond noise, as an aligned table, and how much did not."""
    yield f"A: {machine(a)}"
    yield f"B: {machine(b)}"
    yield ""
    changes = compare(a, b)
    told = [change for change in changes if not (change.counts and change.is_noise)]
    table = [["case", "contender", "A", "B", "others", "B/A", "chance", ""], *map(_cells, told)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        padded = (cell.rjust(width) if 2 <= k <= 6 else cell.ljust(width)
                  for k, (cell, width) in enumerate(zip(cells, widths, strict=True)))  # fmt: skip
        yield "  ".join(padded).rstrip()
    yield ""
    yield ("A and B in samples/s, or calls/s of what has no samples; others: how many times as "
           "fast all else became in the case, by which B/A is divided; chance: that turns which "
           "are all alike lie so far apart")  # fmt: skip
    real = [log(change.ratio) for change in told if change.counts and change.is_known]
    faster, noise = sum(x > 0 for x in real), len(changes) - len(told)
    few = sum(not change.is_known for change in changes)
    yield f"{faster} faster, {len(real) - faster} slower, {noise} within noise" + (
        f", {few} of too few turns to know" * bool(few))  # fmt: skip
    shared = {change.before.job for change in changes}
    for name, path in (("A", a), ("B", b)):
        count = sum(row.is_ours and row.job not in shared for row in read(path))
        if count:
            yield f"only in {name}: {count} ({OTHERS})"


def _cells(change: Change) -> list[str]:
    rates = [number(row.samples_per_second) for row in (change.before, change.after)]
    ratio, chance = f"{change.ratio:.3f}", f"{change.chance:.4f}"
    return [
        case_name(change.before), change.before.contender, *rates, f"{change.drift:.3f}",
        ratio if change.counts else "-", chance if change.counts and change.is_known else "-",
        change.remark,
    ]  # fmt: skip


def case_name(row: Row) -> str:
    batch = f"batch {row.batch_size}" if row.batch_size else ""
    words = (row.kind, row.workload, row.sizes, batch, row.device)
    return " ".join(word for word in words if word)


if __name__ == "__main__":
    run(main)
