"""Results of the benchmarks: what is merged, tabled and compared is what was measured."""

import io
import json
import math
import re
import sys
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import again, command, compare, table
from bench.results import LIMIT, fastest, machine, ratio, read, standard_error
from fastnn.errors import DataError

CASE = {"kind": "training", "workload": "mnist", "sizes": "784-200-10", "device": "cpu",
        "batch_size": 100, "samples": 1000, "counts": True, "turn": 0}  # fmt: skip
MACHINE = {"cpu_model": "Some CPU", "cores": 4, "threads": 2, "blas": {"openblas": 2},
           "versions": {"numpy": "2.3.4", "torch": None}, "data": "MNIST", "gpu": None,
           "load": 1.3, "memory": "kept by the process",
           "copies": {"1 MB": 8e10, "256 MB": 1.2e10}}  # fmt: skip


def timed(contender: str, *times: float, **changed: Any) -> list[dict[str, Any]]:
    """Benchmarks of a contender, a turn for each time in seconds."""
    return [{"name": f"test[{contender}]", "stats": {"min": seconds},
             "extra_info": CASE | {"contender": contender, "turn": turn} | changed}
            for turn, seconds in enumerate(times)]  # fmt: skip


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Writes benchmarks to a file as pytest-benchmark does; its path."""

    def written(*benchmarks: list[dict[str, Any]], name: str = "cpu", **machine: Any) -> Path:
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps({
            "machine_info": MACHINE | machine, "commit_info": {"id": "0123456789", "dirty": True},
            "datetime": "2026-02-03T04:05:06", "benchmarks": [*chain(*benchmarks)],
        }))  # fmt: skip
        return path

    return written


@pytest.fixture
def three(write: Any) -> Path:
    """fastnn at 1,000 and 2,000 samples/s, peers at 500, at 250 and, not counting, at 4,000."""
    return Path(write(
        timed("fastnn layers", 1.0), timed("fastnn fused", 0.5), timed(LIMIT, 0.25, counts=None),
        timed("NumPy loop", 2.0), timed("PyTorch eager", 4.0),
        timed("PyTorch compiled", 0.25, counts=False),
        timed("fastnn layers", 0.1, batch_size=1000), timed("JAX scanned", 0.05, batch_size=1000),
    ))  # fmt: skip


def test_a_time_is_the_least_of_all_turns(write: Any) -> None:
    (row,) = read(write(timed("NumPy loop", 4.0, 2.0, 8.0)))

    assert (row.turns, row.seconds) == (3, 2.0)
    assert (row.low, row.samples_per_second) == (125, 500)


def test_a_contender_counts_only_if_all_its_turns_do(write: Any) -> None:
    benchmarks = timed("NumPy loop", 1.0, 1.0)
    benchmarks[1]["extra_info"]["counts"] = False

    (row,) = read(write(benchmarks))

    assert not row.counts


def test_rows_are_by_batch_size_with_fastnn_first_and_the_limit_last(write: Any) -> None:
    rows = read(write(timed(LIMIT, 1.0), timed("scikit-learn", 1.0), timed("fastnn", 1.0),
                      timed("JAX scanned", 1.0),
                      timed("JAX scanned", 1.0, batch_size=1)))  # fmt: skip

    assert [(row.batch_size, row.contender) for row in rows] == [
        (1, "JAX scanned"), (100, "fastnn"), (100, "JAX scanned"), (100, "scikit-learn"),
        (100, LIMIT),
    ]  # fmt: skip


def test_the_floor_is_the_traffic_s_time_or_the_limit_s(write: Any) -> None:
    by_traffic = read(write(timed("fastnn", 1.0, traffic_seconds=0.5), timed(LIMIT, 0.1)))
    by_limit = read(write(timed("fastnn", 1.0, traffic_seconds=0.1), timed(LIMIT, 0.5)))
    by_one = read(write(timed("fastnn", 1.0), timed(LIMIT, 50.0, samples=200_000)))
    by_nothing = read(write(timed("fastnn", 1.0)))

    floors = [rows[0].share_of_floor for rows in (by_traffic, by_limit, by_one, by_nothing)]
    assert floors == [0.5, 0.5, 0.25, None]


def test_a_ratio_is_of_the_fastest_that_count(three: Path) -> None:
    rows = [row for row in read(three) if row.batch_size == 100]

    assert ratio(rows) == 4  # 2,000 by 500
    assert ratio(rows, "PyTorch eager") == 8
    assert ratio(rows, "PyTorch compiled") is None
    assert ratio(rows, "scikit-learn") is None
    assert ratio([row for row in rows if not row.is_ours]) is None
    best = fastest(row for row in rows if row.is_peer)
    assert best is not None
    assert best.contender == "NumPy loop"


def test_what_trains_nothing_is_no_peer(write: Any) -> None:
    rows = read(write(timed("fastnn", 1.0), timed(LIMIT, 0.5), timed("weights copied", 0.5)))

    assert ratio(rows) is None


def test_a_ratio_leaves_out_the_turns_that_something_slowed(write: Any) -> None:
    rows = read(write(timed("fastnn layers", 9.0, 1.0, 9.0, 9.0, 9.0), timed("JAX scanned", 8.0),
                      timed("NumPy loop", 7.0, 9.0, 6.0, 2.0, 8.0)))  # fmt: skip

    assert ratio(rows, "NumPy loop") == 2
    assert ratio(rows, "JAX scanned") == 8


def test_the_machine_is_told_in_a_line_without_what_it_has_not(three: Path) -> None:
    assert machine(three) == (
        "Some CPU, 4 cores, 2 threads, openblas with 2, copies at 80 GB/s (of 1 MB) and 12 GB/s "
        "(of 256 MB), load 1.3 at the start, memory kept by the process, data: MNIST, numpy 2.3.4, "
        "commit 0123456 with changes, 2026-02-03"
    )


@pytest.mark.parametrize(("load", "words"), [(0.0, ", load 0.0 at the start,"), (None, "GB/s")])
def test_a_machine_that_did_nothing_else_is_told_from_one_of_which_it_is_not_known(
    write: Any, load: float | None, words: str
) -> None:
    line = machine(write(load=load))

    assert words in line
    assert ("load" in line) is (load is not None)


@pytest.mark.parametrize(("changed", "message"), [
    ({"kind": "speed"}, "benchmark 0, 'test.fastnn.', is of kind 'speed', need one of training"),
    ({"workload": None}, "has workload None, need str"),
    ({"batch_size": "100"}, "has batch_size '100', need int"),
    ({"batch_size": True}, "has batch_size True, need int"),
    ({"counts": None}, "has counts None, need bool"),
    ({"traffic_seconds": -1}, "has traffic_seconds -1, need seconds from 1e-12 to 1e12"),
    ({"samples": 10**400}, "has samples 1000.*, need int"),
])  # fmt: skip
def test_what_is_wrong_with_a_benchmark_is_told(
    write: Any, changed: dict[str, Any], message: str
) -> None:
    path = write(timed("fastnn", 1.0, **changed))

    with pytest.raises(DataError, match=message) as caught:
        read(path)

    assert str(path) in str(caught.value)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), None, "1", 5e-324,
                                     10**400])  # fmt: skip
def test_a_time_that_is_none_is_refused(write: Any, seconds: Any) -> None:
    with pytest.raises(DataError, match=r"has min .*, need seconds from 1e-12 to 1e12"):
        read(write(timed("fastnn", seconds)))


@pytest.mark.parametrize("content", [
    b"", b"[]", b"{}", b"\xff", b"[" * 200_000,
    b'{"machine_info": {}}', b'{"machine_info": {}, "benchmarks": {}}',
    b'{"machine_info": {}, "benchmarks": [], "commit_info": "0123"}',
    b'{"machine_info": {"versions": ["numpy"]}, "benchmarks": []}',
])  # fmt: skip
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"other\.json (is not JSON|has (no|commit_info|versions))"):
        read(path)


@pytest.mark.parametrize("entry", [None, [], {}, {"extra_info": {}}, {"stats": {}}])
def test_a_benchmark_of_somebody_else_is_refused(write: Any, entry: Any) -> None:
    with pytest.raises(DataError, match="benchmark 0"):
        read(write([entry]))


def test_turns_that_do_not_fit_together_are_refused(write: Any) -> None:
    with pytest.raises(DataError, match="is turn 0 of fastnn once more"):
        read(write(timed("fastnn", 1.0), timed("fastnn", 1.0)))
    with pytest.raises(DataError, match="has other samples than an earlier turn of fastnn"):
        read(write(timed("fastnn", 1.0), timed("fastnn", 1.0, turn=1, samples=7)))


def test_the_table_has_contenders_down_and_batch_sizes_across(three: Path) -> None:
    lines = table.markdown(three).splitlines()

    assert lines[:-2] == [
        "**mnist 784-200-10**, training on cpu, samples/s by batch size",
        "",
        "|  | 100 | 1,000 |",
        "| --- | --: | --: |",
        "| fastnn fused | **2,000 (50 %)** | - |",
        "| fastnn layers | 1,000 (25 %) | **10,000** |",
        "| JAX scanned | - | 20,000 |",
        "| NumPy loop | 500 (12 %) | - |",
        "| PyTorch compiled | ~~4,000 (100 %)~~ (other loss) | - |",
        "| PyTorch eager | 250 (6 %) | - |",
        "| BLAS alone | 4,000 (100 %) | - |",
        "| fastnn / best peer | 4.00 | 0.500 |",
    ]
    assert lines[-1].startswith(f"Measured on {machine(three)}, in 1 turn of one call or more.")


def test_a_ratio_is_tabled_with_its_standard_error(write: Any) -> None:
    path = write(timed("fastnn", *[1.0] * 5), timed("NumPy loop", 2.4, 2.1, 2.0, 2.4, 3.0))

    text = table.markdown(path)

    error = standard_error(read(path))
    assert error is not None
    assert f"| fastnn / best peer | 2.00 ± {100 * error:.0f} % |" in text
    assert "± 1 %" in table.markdown(
        write(timed("fastnn", 1.0, 1.0), timed("NumPy loop", 2.0, 2.0))
    )
    assert "± is a ratio's standard error" in text
    assert "median turn usually takes 1.10 times as long, of the worst turn 1.25 times" in text


def test_the_standard_error_is_how_far_ratios_of_so_many_turns_lie_apart(write: Any) -> None:
    """Of 400 cases alike, where others slow three turns in four by half."""
    rng = np.random.default_rng(0)
    rows = read(write(*(
        timed(name, *seconds * rng.lognormal(0, 0.1, 16) * rng.choice([1, 1.5, 1.5, 1.5], 16),
              batch_size=size)
        for size in range(400) for name, seconds in (("fastnn", 1.0), ("NumPy loop", 3.0))
    )))  # fmt: skip
    cases = [list(group) for _, group in groupby(rows, key=lambda row: row.case)]

    ratios = np.array([ratio(case) for case in cases])
    errors = np.array([standard_error(case) for case in cases])

    assert np.median(ratios) == pytest.approx(3, rel=0.02)
    # Of a least value the bootstrap is no better than that.
    assert np.mean(errors) == pytest.approx(ratios.std() / 3, rel=0.35)


def test_a_ratio_of_single_turns_has_no_standard_error(three: Path, write: Any) -> None:
    assert standard_error(row for row in read(three) if row.batch_size == 100) is None
    assert standard_error(read(write(timed("fastnn", 1.0, 2.0)))) is None


def test_kernels_and_starts_have_tables_of_time(write: Any) -> None:
    small = {"sizes": None, "batch_size": None, "samples": None, "counts": None}
    path = write(timed("fastnn", 0.5, kind="start", workload="import", **small),
                 timed("PyTorch eager", 2.0, kind="start", workload="import", **small),
                 timed("fastnn", 25e-6, kind="kernel", workload="softmax",
                       **small | {"sizes": "100x10"}))  # fmt: skip

    text = table.markdown(path)

    assert "**Kernel** on cpu, microseconds a call; the reference is its definition" in text
    assert "| softmax 100x10 | **25.0** |" in text
    assert "|  | fastnn | PyTorch eager |" in text
    assert "| import | **0.500** | 2.00 |" in text


@pytest.mark.parametrize(("value", "shown"), [
    (0.01234, "0.0123"), (0.9996, "1.00"), (9.876, "9.88"), (123.4, "123"), (99_950, "100,000"),
    (1_234_567, "1,230,000"),
])  # fmt: skip
def test_numbers_have_three_digits(value: float, shown: str) -> None:
    assert table.number(value) == shown


def test_the_readme_gets_what_is_there_between_its_marks(three: Path) -> None:
    readme = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
    three.with_name("cpu-ratios.png").touch()

    new = table.rewritten(readme, [three, three.with_name("cuda.json")])

    picture = "![ratios (cpu)](bench/results/cpu-ratios.png)"
    assert new == (f"before\n{table.BEGIN}\n{picture}\n\n{table.markdown(three, ['training'])}\n\n"
                   f"{table.END}\nafter\n")  # fmt: skip
    assert table.rewritten(new, [three]) == new
    with pytest.raises(DataError, match="has no lines"):
        table.rewritten("no marks", [three])


@pytest.mark.parametrize("counts", [True, False])
def test_bold_is_explained_where_something_is(write: Any, counts: bool) -> None:
    markdown = table.markdown(write(timed("fastnn", 1.0, counts=counts), timed("NumPy loop", 2.0)))

    assert ("| **" in markdown, "In bold" in markdown) == (counts, counts)


def test_the_tables_say_what_the_committed_results_say() -> None:
    paths = [*table.RESULTS.glob("*.json")]
    assert paths
    for path in paths:
        tables = path.with_suffix(".md").read_text("utf-8")
        assert tables == table.markdown(path) + "\n", "python -m bench.table --readme"


def test_one_command_writes_all_tables(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = three.with_name("README.md")
    readme.write_text(f"before\n{table.BEGIN}\n{table.END}\nafter\n")
    monkeypatch.setattr(table, "README", readme)
    monkeypatch.setattr(table, "RESULTS", three.parent)
    monkeypatch.setattr(table, "COMMITTED", [three])

    table.main(["--readme"])

    assert three.with_suffix(".md").read_text("utf-8") == table.markdown(three) + "\n"
    assert table.markdown(three, ["training"]) in readme.read_text("utf-8")


def test_the_readme_says_what_the_committed_results_say() -> None:
    readme = table.README.read_text("utf-8")
    if any(path.exists() for path in table.COMMITTED):
        assert table.rewritten(readme, table.COMMITTED) == readme, "python -m bench.table --readme"
    else:
        assert table.BEGIN not in readme


def test_changes_are_sorted_and_noise_is_told_from_them(write: Any) -> None:
    turns = 1.0, 1.1, 1.2, 1.3, 1.4
    a = write(timed("fastnn", *turns), timed("fastnn layers", *turns),
              timed("fastnn fused", 1.0, batch_size=1), name="a")  # fmt: skip
    b = write(timed("fastnn", *(x / 2 for x in turns)), timed("fastnn layers", 1.5, *turns[:4]),
              timed("fastnn fused", 4.0, batch_size=1), name="b")  # fmt: skip

    changes = compare.compare(a, b)

    assert [(change.before.contender, change.remark) for change in changes] == [
        ("fastnn fused", "too few turns to know"), ("fastnn", ""),
        ("fastnn layers", "within noise"),
    ]  # fmt: skip
    assert changes[1].ratio == pytest.approx(2.0)
    # Five apart from five others: two of all ways to choose five of ten.
    assert changes[1].chance == pytest.approx(2 / math.comb(10, 5))


def test_what_slows_a_turn_of_all_is_no_noise_of_fastnn(write: Any) -> None:
    slow = (1.0, 3.0, 2.0, 1.5, 2.5)
    others = [timed(name, *slow) for name in ("NumPy loop", "JAX scanned")]
    a = write(timed("fastnn", *slow), *others, name="a")
    b = write(timed("fastnn", *(0.9 * x for x in slow)), *others, name="b")

    (change,) = compare.compare(a, b)

    assert change.remark == ""
    assert change.drift == pytest.approx(1.0)
    assert change.ratio == pytest.approx(1 / 0.9)


def test_what_slows_turns_of_the_others_alone_is_no_change(write: Any) -> None:
    a = write(timed("fastnn", *[1.0] * 16), timed("NumPy loop", *[2.0] * 16), name="a")
    b = write(timed("fastnn", *[1.0] * 16), timed("NumPy loop", *[3.0] * 5, *[2.0] * 11), name="b")

    (change,) = compare.compare(a, b)

    assert change.is_noise
    assert change.ratio == 1.0


def test_a_small_change_is_none_however_sure(write: Any) -> None:
    turns = 1.0, 1.001, 1.002, 1.003, 1.004
    a, b = (write(timed("fastnn", *(x * factor for x in turns)), name=str(factor))
            for factor in (1.0, 1.04))  # fmt: skip

    (change,) = compare.compare(a, b)

    assert change.chance < compare.CHANCE
    assert change.is_noise


@pytest.mark.parametrize("turns", [5, 16])
def test_a_change_of_nothing_is_seldom_told_and_one_of_a_tenth_is(write: Any, turns: int) -> None:
    """Of 200 cases that are as they were, and 100 in which fastnn became faster."""
    rng = np.random.default_rng(turns)
    files = []
    for file, gain in (("a", 1.0), ("b", 1.1)):
        gains = {"fastnn": [1.0] * 200 + [gain] * 100, "NumPy loop": [1.0] * 300}
        files.append(write(*(
            timed(name, *rng.lognormal(0, 0.02, turns) / gains[name][size - 1], batch_size=size)
            for size in range(1, 301) for name in gains
        ), name=file))  # fmt: skip

    changes = compare.compare(*files)

    told = [change for change in changes if not change.is_noise]
    faster = [change.ratio for change in told if change.before.batch_size > 200]
    assert len(changes) == 300
    assert len(told) - len(faster) < 3 * compare.CHANCE * 200
    assert len(faster) > 70
    assert np.median(faster) == pytest.approx(1.1, rel=0.02)


def test_what_the_others_became_is_the_machine(write: Any) -> None:
    """One other that became faster still, as of a new version, is not."""
    others = "NumPy loop", "JAX scanned", "PyTorch eager", "PyTorch compiled"
    a = write(timed("fastnn", 1.0), timed("fastnn", 1.0, batch_size=1),
              *(timed(name, 1.0) for name in others), name="a")  # fmt: skip
    b = write(timed("fastnn", 0.5), timed("fastnn", 0.5, batch_size=1), timed(others[0], 0.5),
              timed(others[1], 0.05), timed(others[2], 0.5),
              timed(others[3], 9.0, counts=False), name="b")  # fmt: skip

    by_batch_size = {change.before.batch_size: change for change in compare.compare(a, b)}

    assert by_batch_size[100].drift == pytest.approx(2.0)
    assert by_batch_size[100].ratio == pytest.approx(1.0)
    assert by_batch_size[1].drift == 1.0
    assert by_batch_size[1].ratio == pytest.approx(2.0)


def test_a_turn_that_no_other_took_is_left_out(write: Any) -> None:
    """As the last of a run that was stopped."""
    a = write(timed("fastnn", 1.0, 1.0), timed("NumPy loop", 1.0, 1.0), name="a")
    b = write(timed("fastnn", 3.0, 9.0), timed("NumPy loop", 3.0), name="b")

    (change,) = compare.compare(a, b)

    assert change.ratio == pytest.approx(1.0)


def test_the_comparison_tells_what_fastnn_changed_beyond_noise(write: Any) -> None:
    a = write(timed("fastnn", *[1.0] * 5), timed("scikit-learn", 1.0),
              timed("fastnn layers", 1.0, 1.1, 1.2, 1.3, 1.4), timed("fastnn", 1.0, batch_size=7),
              timed("fastnn", 1.0, batch_size=8), name="a")  # fmt: skip
    b = write(timed("fastnn", *[0.5] * 5), timed("JAX scanned", 1.0),
              timed("fastnn layers", 1.1, 1.0, 1.3, 1.2, 1.4), timed("fastnn", 2.0, batch_size=8),
              name="b")  # fmt: skip

    lines = list(compare.lines(a, b))

    assert lines[3].split() == ["case", "contender", "A", "B", "others", "B/A", "chance"]
    told = [re.split(" {2,}", line) for line in lines[4:6]]
    assert sorted(told) == [
        ["training mnist 784-200-10 batch 100 cpu", "fastnn", "1,000", "2,000", "1.000", "2.000",
         "0.0079"],
        ["training mnist 784-200-10 batch 8 cpu", "fastnn", "1,000", "500", "1.000", "0.500", "-",
         "too few turns to know"],
    ]  # fmt: skip
    assert lines[6] == ""
    assert lines[-2:] == [
        "1 faster, 0 slower, 1 within noise, 1 of too few turns to know",
        f"only in A: 1 ({compare.OTHERS})",
    ]  # fmt: skip


@pytest.mark.parametrize("module", [again, compare, table])
def test_commands_say_what_they_need_and_what_is_wrong(
    module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    count = 2 if module in (again, compare) else 1
    broken = tmp_path / "broken.json"
    broken.write_text("not JSON")

    for words, code, complaint in (
        ([], 2, "usage: python -m bench."),
        ([str(tmp_path / "missing.json")] * count, 74, "No such file"),
        ([str(broken)] * count, 65, "broken.json is not JSON"),
    ):
        monkeypatch.setattr(sys, "argv", ["command", *words])
        with pytest.raises(SystemExit) as end:
            command.run(module.main)
        assert end.value.code == code
        assert complaint in capsys.readouterr().err


def test_tables_are_printed_where_the_terminal_has_no_plus_minus(
    write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.BytesIO()
    path = write(timed("fastnn", 1.0, 2.0), timed("NumPy loop", 3.0, 4.0))
    monkeypatch.setattr(sys, "argv", ["table", str(path)])
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(screen, "ascii", write_through=True))

    command.run(table.main)

    assert rb"3.00 \xb1 " in screen.getvalue()


def test_two_runs_agree_where_their_ratios_do(write: Any) -> None:
    """Of which the second is on a slower machine: from 2 to 2.2, and from 4 to 8."""
    a = write(timed("fastnn fused", 1.0), timed("NumPy loop", 2.0), timed("JAX scanned", 4.0),
              timed("scikit-learn", 9.0), name="a")  # fmt: skip
    b = write(timed("fastnn fused", 3.0), timed("NumPy loop", 6.6), timed("JAX scanned", 24.0),
              timed("PyTorch eager", 9.0), name="b")  # fmt: skip

    assert list(again.lines(a, b)) == [
        f"- A: {machine(a)}",
        f"- B: {machine(b)}",
        "",
        "| ratios | of | within 15% | median distance |",
        "| --- | --: | --: | --: |",
        "| training, to single peers | 2 | 1 | 55.0% |",
        "| training, to the best peer | 1 | 1 | 10.0% |",
        "",
        "| further apart | peer | A | B |",
        "| --- | --- | --: | --: |",
        "| training mnist 784-200-10 batch 100 cpu | JAX scanned | 4.00 | 8.00 |",
        "",
        f"only in A: 1, only in B: 1 ({compare.OTHERS})",
    ]


def test_other_samples_are_another_job(write: Any) -> None:
    """As those of a quick run are."""
    paths = [write(timed("fastnn", 1.0, samples=samples), timed("NumPy loop", 2.0, samples=samples),
                   name=str(samples)) for samples in (250, 1000)]  # fmt: skip

    with pytest.raises(DataError, match="no job of fastnn in common, need two runs of the same"):
        compare.compare(*paths)
    with pytest.raises(DataError, match="no ratio in common, need two runs of the same jobs"):
        list(again.lines(*paths))
