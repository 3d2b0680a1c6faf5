"""Table: the results as Markdown, on the terminal or in the README.

python -m bench.table RESULT.json
python -m bench.table --readme         all that is committed: beside each file of results its
                                       tables, and in the README, between its two marks
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from math import floor, log10
from pathlib import Path
from statistics import median

from bench.command import run
from bench.results import KINDS, Row, fastest, machine, rank, ratio, read, standard_error
from fastnn import files
from fastnn.errors import DataError

README = Path(__file__).parent.parent / "README.md"
RESULTS = Path(__file__).parent / "results"
COMMITTED = [RESULTS / name for name in ("cpu.json", "cuda.json")]  # those in the README
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
_UNITS = {
    "classic": ("milliseconds", 1e3),
    "kernel": ("microseconds a call; the reference is its definition, in float64", 1e6),
    "start": ("seconds", 1.0),
}


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("python -m bench.table")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("file", nargs="?", metavar="RESULT.json")
    what.add_argument("--readme", action="store_true", help="rewrite all tables")
    args = parser.parse_args(arguments)
    if args.readme:
        for path in RESULTS.glob("*.json"):
            files.replace(path.with_suffix(".md"), f"{markdown(path)}\n".encode())
        files.replace(README, rewritten(README.read_text("utf-8"), COMMITTED).encode())
    else:
        print(markdown(args.file))


def markdown(path: files.PathLike, kinds: Sequence[str] = KINDS) -> str:
    """The tables of a file, and what they were measured on.  Raises as `bench.results.read`."""
    rows = [row for row in read(path) if row.kind in kinds]
    blocks = []
    for _, group in groupby(rows, key=lambda row: row.network if row.kind not in _UNITS
                            else (row.kind, row.device)):  # fmt: skip
        some = list(group)
        blocks.append(_by_case(some) if some[0].kind in _UNITS else _by_batch_size(some))
    return "\n\n".join(["\n".join(lines) for lines in blocks] + [_conditions(path, rows)])


def rewritten(readme: str, paths: Sequence[Path]) -> str:
    """readme with the trainings and pictures of those files that are there between its marks.

    Raises DataError where it has no marks.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise DataError(f"the README has no lines {BEGIN} and {END}, need both, in this order")
    blocks = [
        f"{_pictures(path)}{markdown(path, ['training'])}\n" for path in paths if path.exists()
    ]
    return "\n".join([before + begin, *blocks, end + after])


def number(value: float) -> str:
    """Three significant digits."""
    value = float(f"{value:.3g}")
    return f"{value:,.{max(0, 2 - floor(log10(value)))}f}"


def _pictures(path: Path) -> str:
    found = ((path.with_name(f"{path.stem}-{what}.png"), what) for what in ("throughput", "ratios"))
    return "".join(f"![{what} ({path.stem})](bench/results/{picture.name})\n\n"
                   for picture, what in found if picture.exists())  # fmt: skip


def _by_batch_size(rows: list[Row]) -> Iterator[str]:
    """The table of one network: contenders down, batch sizes across."""
    kind, workload, sizes, device = rows[0].network
    cases = {size: list(group) for size, group in groupby(rows, key=lambda row: row.batch_size)}
    yield f"**{workload} {sizes}**, {kind} on {device}, samples/s by batch size"
    yield ""
    yield _line(["", *(f"{size:,}" for size in cases)])
    yield _line(["---", *["--:"] * len(cases)])
    for contender in sorted({row.contender for row in rows}, key=rank):
        yield _line([contender, *(_cell(case, contender, _rate) for case in cases.values())])
    ratios = [_ratio(case) for case in cases.values()]
    if set(ratios) != {"-"}:
        yield _line(["fastnn / best peer", *ratios])


def _by_case(rows: list[Row]) -> Iterator[str]:
    """The table of one kind and device: cases down, contenders across, seconds or the like."""
    kind, device = rows[0].kind, rows[0].device
    unit, factor = _UNITS[kind]
    contenders = sorted({row.contender for row in rows}, key=rank)
    yield f"**{kind.capitalize()}** on {device}, {unit}"
    yield ""
    yield _line(["", *contenders])
    yield _line(["---", *["--:"] * len(contenders)])
    for _, group in groupby(rows, key=lambda row: row.case):
        case = list(group)
        of = case[0]
        batch = f"batch {of.batch_size:,}" if of.batch_size else ""
        name = " ".join(word for word in (of.workload, of.sizes, batch) if word)
        cells = (_cell(case, contender, lambda row: _with_share(factor * row.seconds, row))
                 for contender in contenders)  # fmt: skip
        yield _line([name, *cells])


def _cell(case: list[Row], contender: str, figure: Callable[[Row], str]) -> str:
    """The figure of a contender in a case, bold where it is fastnn's best."""
    row = next((row for row in case if row.contender == contender), None)
    if row is None:
        return "-"
    if not row.counts:
        return f"~~{figure(row)}~~ (other loss)"
    is_best = row == fastest(other for other in case if other.is_ours)
    return f"**{figure(row)}**" if is_best else figure(row)


def _rate(row: Row) -> str:
    return _with_share(row.samples_per_second, row)


def _with_share(figure: float, row: Row) -> str:
    share = row.share_of_floor
    return number(figure) + (f" ({share:.0%})".replace("%", " %") if share else "")


def _ratio(case: list[Row]) -> str:
    """With its standard error, which nobody knows to less than one percent."""
    value, error = ratio(case), standard_error(case)
    if value is None:
        return "-"
    return number(value) + ("" if error is None else f" ± {max(1, round(100 * error))} %")


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _conditions(path: files.PathLike, rows: list[Row]) -> str:
    """What the figures are, and where they come from."""
    if not rows:
        return f"No results. {machine(path)}."
    turns = sorted({row.turns for row in rows})
    count = " to ".join(map(str, dict.fromkeys((turns[0], turns[-1]))))
    lines = [
        f"Measured on {machine(path)}, in {count} turn{'s' * (turns[-1] > 1)} of one call or more."
    ]
    if any(row.is_ours and row.counts for row in rows):
        lines.append("In bold what is quickest of fastnn.")
    if turns[-1] > 1:
        middle, worst = (
            median(figure(row.times.values()) / row.seconds for row in rows)
            for figure in (median, max)
        )
        lines.append("A figure is that of the quickest call of all; the quickest of the median "
                     f"turn usually takes {middle:.2f} times as long, of the worst turn "
                     f"{worst:.2f} times.")  # fmt: skip
    if turns[-1] > 1 and any(row.is_peer for row in rows):
        lines.append("± is a ratio's standard error over these turns, roughly; another process "
                     "may differ by more.")  # fmt: skip
    if any(row.floor for row in rows):
        lines.append("In brackets the share of the floor, which is the time of the dense matrix "
                     "products by BLAS, or in training, where it is longer, that of reading and "
                     "writing all weights once a step; above 100 % is what leaves zeros or "
                     "writes out, or has quicker products than BLAS, as is easy on small "
                     "batches.")  # fmt: skip
    if any(row.floor and row.kind == "kernel" for row in rows):
        lines.append("A kernel's floor is the time to copy what it reads and writes, in a cache.")
    if not all(row.counts for row in rows):
        lines.append("A figure that is struck out belongs to a training that came to another "
                     "loss, and is in no ratio.")  # fmt: skip
    return " ".join(lines)


if __name__ == "__main__":
    run(main)
