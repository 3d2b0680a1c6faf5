"""Again: whether two runs of the benchmark agree in how many times as fast as others fastnn is.

python -m bench.again A.json B.json
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from statistics import median

from bench.command import run, two_files
from bench.compare import OTHERS, case_name
from bench.results import KINDS, Row, machine, ratio, read
from fastnn import files
from fastnn.errors import DataError

NEAR = 1.15  # what two ratios that agree differ by at most
BEST = "the best peer"
Ratios = dict[tuple[str, str, str, int], float]  # by kind, case, peer and samples of a call


def main(arguments: Sequence[str]) -> None:
    print("\n".join(lines(*two_files("again", arguments))))


def lines(a: files.PathLike, b: files.PathLike) -> Iterator[str]:
    """How many ratios agree, kind by kind, and those that do not.

    Raises as `read`, and DataError where the files have no ratio in common.
    """
    before, after = (ratios(path) for path in (a, b))
    apart = {key: after[key] / before[key] for key in before.keys() & after.keys()}
    if not apart:
        raise DataError(f"{a} and {b} have no ratio in common, need two runs of the same jobs "
                        "(those of --quick are shorter)")  # fmt: skip
    yield f"- A: {machine(a)}"
    yield f"- B: {machine(b)}"
    yield ""
    yield f"| ratios | of | within {NEAR - 1:.0%} | median distance |"
    yield "| --- | --: | --: | --: |"
    for kind in KINDS:
        for what, is_best in (("to single peers", False), ("to " + BEST, True)):
            some = [max(x, 1 / x) for (found, _, peer, _), x in apart.items()
                    if found == kind and (peer == BEST) == is_best]  # fmt: skip
            if some:
                near = sum(x <= NEAR for x in some)
                yield f"| {kind}, {what} | {len(some)} | {near} | {median(some) - 1:.1%} |"
    yield ""
    yield "| further apart | peer | A | B |"
    yield "| --- | --- | --: | --: |"
    for key in sorted(apart, key=lambda key: (-max(apart[key], 1 / apart[key]), key)):
        if not 1 / NEAR <= apart[key] <= NEAR:
            yield f"| {key[1]} | {key[2]} | {before[key]:.2f} | {after[key]:.2f} |"
    if len(before) + len(after) > 2 * len(apart):
        yield ""
        yield (f"only in A: {len(before) - len(apart)}, only in B: {len(after) - len(apart)} "
               f"({OTHERS})")  # fmt: skip


def ratios(path: files.PathLike) -> Ratios:
    """Of a file, to each peer in each case, and to the best."""
    found: Ratios = {}
    for _, group in groupby(read(path), key=lambda row: row.case):
        rows: list[Row] = list(group)
        peers = {row.contender: row.contender for row in rows if row.is_peer}
        for name, peer in {**peers, BEST: None}.items():
            value = ratio(rows, peer)
            if value is not None:
                found[rows[0].kind, case_name(rows[0]), name, rows[0].samples] = value
    return found


if __name__ == "__main__":
    run(main)
