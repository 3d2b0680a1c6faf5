"""Pictures of results: each number is where it belongs, and nothing is printed over another."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.results import LIMIT, Row
from fastnn.errors import DataError

agg = pytest.importorskip("matplotlib.backends.backend_agg", reason="matplotlib is not installed")

from matplotlib.text import Text  # noqa: E402

from bench import pictures  # noqa: E402
from bench.bars import ratios  # noqa: E402
from bench.curves import spread, throughput  # noqa: E402

SIZES = (1, 10, 100, 1000, 8192)
NETWORKS = ("784-200-10", "784-50-100-10", "784-512-512-10")
RATES = {"fastnn fused": 5e6, "fastnn layers": 1.01e6, "JAX scanned": 1e6, "NumPy loop": 1e6,
         "PyTorch compiled": 0.99e6, "PyTorch eager": 2.6e3, LIMIT: 9e6}  # fmt: skip


def row(contender: str, rate: float, **changed: Any) -> Row:
    """Of turns from 0.8 times the rate to the rate."""
    values: dict[str, Any] = {
        "kind": "training", "workload": "mnist", "sizes": NETWORKS[0], "device": "cpu",
        "batch_size": 100, "counts": True, "floor": 9e6, "samples": 1000,
    } | changed  # fmt: skip
    seconds = 1000 / rate
    return Row(contender=contender, **values,
               times=dict(enumerate(seconds / x for x in (0.9, 1, 0.8))))  # fmt: skip


ROWS = [
    row(contender, rate * (1 + k) / 5, sizes=sizes, batch_size=size, floor=9e6 * (1 + k) / 5,
        counts=(contender, size) != ("NumPy loop", 10))
    for sizes in NETWORKS for k, size in enumerate(SIZES) for contender, rate in RATES.items()
    if (contender, size) not in (("JAX scanned", 1), ("PyTorch eager", 8192))
]  # fmt: skip
SLOWER = [row("fastnn", 1e3), row("JAX scanned", 30e3), row("NumPy loop", 0.8), row("Z 6", 1e3)]
LONELY = [row("fastnn", 1e3), row("some other peer", 2e3)]


def printed(figure: Any) -> dict[tuple[str, int], Any]:
    """The box in pixels of each text of a figure, by what it says and a number."""
    canvas = agg.FigureCanvasAgg(figure)
    canvas.draw()
    texts = [*figure.texts]
    for ax in figure.axes:
        texts += [*ax.texts, ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label]
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            texts += [tick.label1 for tick in axis.get_major_ticks()
                      if low <= tick.get_loc() <= high]  # fmt: skip
    # Text's own method: an annotation's box would have its line in it.
    return {(text.get_text(), k): Text.get_window_extent(text, canvas.get_renderer())
            for k, text in enumerate(texts) if text.get_text()}  # fmt: skip


def segments(ax: Any) -> list[Any]:
    """The bars of all turns."""
    return [bar for each in ax.collections for bar in each.get_segments()]


@pytest.mark.parametrize("rows", [ROWS, SLOWER, LONELY], ids=["all", "slower", "lonely"])
@pytest.mark.parametrize("picture", [throughput, ratios])
def test_no_print_is_over_other_print_or_cut_off(picture: Any, rows: list[Row]) -> None:
    figure = picture(rows)

    boxes = printed(figure)
    over = [(a, b) for (a, one), (b, other) in combinations(boxes.items(), 2)
            if one.overlaps(other)]  # fmt: skip
    assert over == []
    assert len(boxes) > 5
    for text, box in boxes.items():
        assert box.x0 >= -1, text
        assert box.x1 <= figure.bbox.width + 1, text


def test_each_point_is_a_figure_with_its_turns() -> None:
    figure = throughput(ROWS)

    ax = figure.axes[1]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("batch size", "samples/s")
    assert ax.get_title(loc="left") == f"mnist {NETWORKS[1]}, cpu"
    drawn: list[Any] = [line.get_xydata() for line in ax.lines]
    for contender in RATES:
        for counts in (True, False):
            some = [r for r in ROWS if (r.contender, r.sizes, r.counts) == (
                contender, NETWORKS[1], counts)]  # fmt: skip
            want = np.array([[r.batch_size, r.samples_per_second] for r in some]).reshape(-1, 2)
            found = [x for x in drawn if x.shape == want.shape and np.allclose(x, want)]
            assert found or not len(want), contender
            if contender != LIMIT:
                bars = segments(ax)
                ends = [(r.low, r.samples_per_second) for r in some]
                assert all(any(np.allclose(bar[:, 1], each) for bar in bars) for each in ends)


def test_what_does_not_count_is_hollow_and_no_part_of_a_line() -> None:
    rows = [row("fastnn", 1e3), row("NumPy loop", 2e3, counts=False)]

    figure = throughput(rows)

    lines: list[Any] = list(figure.axes[0].lines)
    hollow = [line for line in lines if line.get_markerfacecolor() == "white"
              and len(line.get_xdata())]  # fmt: skip
    assert {line.get_linestyle() for line in hollow} == {"None"}
    assert [list(line.get_ydata()) for line in hollow if line.get_marker() == "P"] == [[2e3]]
    assert "Hollow" in figure.texts[0].get_text()


def test_bars_are_the_ratios_or_say_why_there_is_none() -> None:
    figure = ratios(ROWS)

    jax, numpy, compiled, eager = figure.axes
    assert [len(ax.patches) for ax in (jax, numpy, compiled, eager)] == [12, 12, 15, 12]
    ends = [bar.get_x() + bar.get_width() for bar in compiled.patches]  # type: ignore[attr-defined]
    np.testing.assert_allclose(ends, 5e6 / 0.99e6)
    assert [text.get_text() for text in numpy.texts].count("other loss") == len(NETWORKS)
    assert [text.get_text() for text in eager.texts].count("not run") == len(NETWORKS)


def test_where_fastnn_is_slower_its_bar_is_to_the_left() -> None:
    ax = ratios(SLOWER).axes[0]

    (bar,) = ax.patches
    assert bar.get_x() + bar.get_width() == pytest.approx(1 / 30)  # type: ignore[attr-defined]
    assert ax.get_xlim()[0] < 1 / 30


@pytest.mark.parametrize(("wanted", "places"), [
    ([], []), ([50.0], [50]), ([10.0, 90.0], [10, 90]), ([50.0, 50.0], [45, 55]),
    ([52.0, 50.0], [56, 46]), ([0.0, 0.0, 0.0], [0, 10, 20]), ([99.0, 100.0], [90, 100]),
    ([-5.0, 120.0], [0, 100]),
])  # fmt: skip
def test_labels_are_spread_as_little_as_they_must_be(
    wanted: list[float], places: list[float]
) -> None:
    assert spread(wanted, 10, 100) == pytest.approx(places)


def test_pictures_are_written_beside_the_results(tmp_path: Path) -> None:
    path = tmp_path / "cpu.json"
    extra = {"kind": "training", "workload": "iris", "sizes": "4-5-3", "device": "cpu",
             "batch_size": 120, "samples": 120, "counts": True}  # fmt: skip
    path.write_text(json.dumps({"machine_info": {}, "benchmarks": [
        {"stats": {"min": 1.0}, "extra_info": extra | {"contender": name}}
        for name in ("fastnn", "NumPy loop")
    ]}))  # fmt: skip

    pictures.main([str(path)])

    for name in ("cpu-throughput.png", "cpu-ratios.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("picture", [throughput, ratios])
def test_results_without_training_are_refused(picture: Any) -> None:
    with pytest.raises(DataError, match="have no training"):
        picture([row("fastnn", 1.0, kind="inference"), row(LIMIT, 1.0)])


def test_nobody_to_compare_with_is_refused() -> None:
    with pytest.raises(DataError, match="no contender to compare fastnn with"):
        ratios([row("fastnn", 1.0), row(LIMIT, 2.0)])
