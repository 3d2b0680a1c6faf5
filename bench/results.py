"""Results: what the JSON of a benchmark says, a row for each case and contender.

Contenders take turns, so that each has several benchmarks in a case.  A contender's time is that of
its quickest round: what else a machine does slows the others, by half again and more where cores
are shared, so that their median says more of the neighbours than of the contender.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np

from fastnn import files
from fastnn.errors import DataError

LIMIT = "BLAS alone"  # the contender that does the matrix products and nothing else
WITHOUT = "without fastnn"  # what a start takes at least
NO_PEERS = LIMIT, "weights copied", WITHOUT  # do other things than fastnn
KINDS = ("training", "inference", "classic", "kernel", "start")
Case = tuple[str, str, str, str, int]


@dataclass(frozen=True)
class Row:
    """A contender in a case.  workload is the operation where kind is "kernel"."""

    kind: str
    workload: str
    sizes: str
    device: str
    batch_size: int
    contender: str
    samples: int  # in a call
    times: Mapping[int, float]  # seconds of the quickest call of each turn
    counts: bool  # its loss is the reference's; otherwise it is in no ratio
    floor: float | None  # samples/s of the products by BLAS alone, or of the traffic

    @property
    def turns(self) -> int:
        return len(self.times)

    @property
    def seconds(self) -> float:
        """Of the quickest call."""
        return min(self.times.values())

    @property
    def samples_per_second(self) -> float:
        return self.samples / self.seconds

    @property
    def low(self) -> float:
        """samples/s of the slowest turn."""
        return self.samples / max(self.times.values())

    @property
    def share_of_floor(self) -> float | None:
        return self.samples_per_second / self.floor if self.floor else None

    @property
    def case(self) -> Case:
        return (*self.network, self.batch_size)

    @property
    def job(self) -> tuple[Case, str, int]:
        """What a row of another file has to have done to be this one's equal."""
        return self.case, self.contender, self.samples

    @property
    def network(self) -> tuple[str, str, str, str]:
        """The case without the batch size."""
        return self.kind, self.workload, self.sizes, self.device

    @property
    def is_ours(self) -> bool:
        return self.contender.startswith("fastnn")

    @property
    def is_peer(self) -> bool:
        return not self.is_ours and self.contender not in NO_PEERS


def read(path: files.PathLike) -> list[Row]:
    """In the file's order of networks, by batch size and contender; fastnn first, LIMIT last.

    Raises OSError, and DataError that names what is wrong.
    """
    benchmarks = _load(path)["benchmarks"]
    turns: dict[tuple[Case, str], list[Row]] = defaultdict(list)
    for index, benchmark in enumerate(benchmarks):
        where = f"{path}: benchmark {index}"
        if isinstance(benchmark, dict) and "name" in benchmark:
            where += f", {benchmark['name']!r},"
        row = _one(benchmark, where)
        others = turns[row.case, row.contender]
        for other in others:
            for turn in row.times.keys() & other.times.keys():
                raise DataError(f"{where} is turn {turn} of {row.contender} once more")
            if other.samples != row.samples:
                raise DataError(
                    f"{where} has other samples than an earlier turn of {row.contender}"
                )
        others.append(row)
    rows = [_merged(each) for each in turns.values()]
    limits = {row.case: row.samples_per_second for row in rows if row.contender == LIMIT}
    rows = [replace(row, floor=_least(row.floor, limits.get(row.case))) for row in rows]
    networks = list(dict.fromkeys(row.network for row in rows))
    return sorted(rows, key=lambda row: (KINDS.index(row.kind), networks.index(row.network),
                                         row.batch_size, rank(row.contender)))  # fmt: skip


def rank(contender: str) -> tuple[bool, bool, str]:
    """What contenders are sorted by: fastnn first, LIMIT last."""
    return not contender.startswith("fastnn"), contender == LIMIT, contender.lower()


def fastest(rows: Iterable[Row]) -> Row | None:
    """Of those that count."""
    counting = [row for row in rows if row.counts]
    return max(counting, key=lambda row: row.samples_per_second, default=None)


def ratio(rows: Iterable[Row], peer: str | None = None) -> float | None:
    """How many times as fast fastnn's best is as a peer, or as the best of them, in one case."""
    ours, theirs = _rivals(rows, peer)
    return ours.samples_per_second / theirs.samples_per_second if ours and theirs else None


def standard_error(rows: Iterable[Row]) -> float | None:
    """Of the ratio to the best peer, as a share of it; None where they have no two turns in common.

    By the bootstrap (Efron 1979): the spread of the ratios that come of as many turns, drawn anew
    from those that both took.  Of least times it is rough, two thirds of what it should be to half
    again as much, and what differs from process to process is not in it.
    """
    ours, theirs = _rivals(rows, None)
    if not ours or not theirs:
        return None
    shared = sorted(ours.times.keys() & theirs.times.keys())
    if len(shared) < 2:
        return None
    drawn = np.random.default_rng(0).integers(len(shared), size=(1000, len(shared)))
    x, y = (
        np.array([row.times[turn] for turn in shared])[drawn].min(axis=1) for row in (theirs, ours)
    )
    return float(np.std(x / y) / np.mean(x / y))


def _rivals(rows: Iterable[Row], peer: str | None) -> tuple[Row | None, Row | None]:
    """fastnn's best, and that peer or the best of them."""
    rows = list(rows)
    ours = fastest(row for row in rows if row.is_ours)
    return ours, fastest(row for row in rows if row.is_peer and peer in (None, row.contender))


def machine(path: files.PathLike) -> str:
    """The machine, the versions, the data and the day, in one line.  Raises as `read`."""
    contents = _load(path)
    info, commit = contents["machine_info"], contents.get("commit_info") or {}
    versions = info.get("versions") or {}
    revision = str(commit.get("id") or "").removeprefix("unversioned")  # pytest-benchmark's word
    parts = [
        _processor(info),
        _told("{} cores", info.get("cores")),
        _told("{} threads", info.get("threads")),
        *(f"{name} with {count}" for name, count in (info.get("blas") or {}).items()),
        _told("copies at {}", _copies(info.get("copies") or {})),
        _told("load {} at the start", info.get("load")),
        _told("{}", info.get("gpu")),
        _told("driver {}", info.get("driver")),
        _told("power limit {}", info.get("power_limit")),
        _told("{}", info.get("precision")),
        _told("memory {}", info.get("memory")),
        _told("data: {}", info.get("data")),
        ", ".join(f"{name} {version}" for name, version in versions.items() if version),
        _told("commit {}", revision[:7]) + " with changes" * (commit.get("dirty") is True),
        str(contents.get("datetime") or "")[:10],
    ]  # fmt: skip
    return ", ".join(part for part in parts if part)


def _load(path: files.PathLike) -> dict[str, Any]:
    with files.open_regular(path, DataError) as file:
        content = file.read()
    try:
        contents = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}") from error
    found = contents if isinstance(contents, dict) else {}
    info, benchmarks = found.get("machine_info"), found.get("benchmarks")
    commit = found.get("commit_info") or {}
    if not isinstance(info, dict) or not isinstance(benchmarks, list):
        raise DataError(f"{path} has no 'machine_info' or no 'benchmarks', need what "
                        "pytest --benchmark-json writes")  # fmt: skip
    tables = {"commit_info": commit, "versions": info.get("versions") or {},
              "copies": info.get("copies") or {}, "blas": info.get("blas") or {}}  # fmt: skip
    for key, value in tables.items():
        if not isinstance(value, dict):
            raise DataError(f"{path} has {key} {value!r}, need an object")
    return found


def _one(benchmark: Any, where: str) -> Row:
    """Of one turn."""
    found = benchmark if isinstance(benchmark, dict) else {}
    extra, stats = found.get("extra_info"), found.get("stats")
    if not isinstance(extra, dict) or not isinstance(stats, dict):
        raise DataError(f"{where} has no 'extra_info' or no 'stats', need both")
    kind, contender = _field(extra, "kind", str, where), _field(extra, "contender", str, where)
    if kind not in KINDS:
        raise DataError(f"{where} is of kind {kind!r}, need one of {', '.join(KINDS)}")
    whole = kind in ("training", "inference")  # of a kernel or a start not all has a meaning
    samples = _field(extra, "samples", int, where, None if whole else 1) or 1
    traffic = extra.get("traffic_seconds")
    seconds = _positive(stats, "min", where)
    return Row(
        kind=kind, contender=contender, samples=samples,
        times={_field(extra, "turn", int, where, 0): seconds},
        workload=_field(extra, "workload", str, where),
        sizes=_field(extra, "sizes", str, where, None if whole else ""),
        device=_field(extra, "device", str, where),
        batch_size=_field(extra, "batch_size", int, where, None if whole else 0),
        counts=_field(extra, "counts", bool, where, None if whole and contender != LIMIT else True),
        floor=None if traffic is None else samples / _positive(extra, "traffic_seconds", where),
    )  # fmt: skip


def _field(found: Mapping[str, Any], name: str, kind: type, where: str, default: Any = None) -> Any:
    """found[name], which is of this kind; default, if it is not None, where it is not there."""
    value = default if found.get(name) is None else found[name]
    is_kind = type(value) is kind  # isinstance would take True for an int
    if not is_kind or (kind is int and not 0 <= value < 2**63):
        raise DataError(f"{where} has {name} {value!r:.80}, need {kind.__name__}")
    return value


def _positive(found: Mapping[str, Any], name: str, where: str) -> float:
    value = found.get(name)
    if not isinstance(value, int | float) or not 1e-12 <= value <= 1e12:
        raise DataError(f"{where} has {name} {value!r:.80}, need seconds from 1e-12 to 1e12")
    return float(value)


def _least(*rates: float | None) -> float | None:
    return min((rate for rate in rates if rate), default=None)


def _merged(turns: list[Row]) -> Row:
    floors = [row.floor for row in turns if row.floor]
    return replace(
        turns[0], times={turn: seconds for row in turns for turn, seconds in row.times.items()},
        counts=all(row.counts for row in turns), floor=median(floors) if floors else None,
    )  # fmt: skip


def _processor(info: Mapping[str, Any]) -> str:
    """Ours, or what pytest-benchmark found of itself."""
    found = info.get("cpu_model") or info.get("cpu") or ""
    return str(found.get("brand_raw", "")) if isinstance(found, dict) else str(found)


def _copies(rates: Mapping[str, Any]) -> str:
    """Bytes a second, read and written, by the size of what is copied."""
    return " and ".join(f"{rate / 1e9:.0f} GB/s (of {size})" for size, rate in rates.items()
                        if isinstance(rate, float))  # fmt: skip


def _told(template: str, value: Any) -> str:
    return "" if value in (None, "") else template.format(value)
